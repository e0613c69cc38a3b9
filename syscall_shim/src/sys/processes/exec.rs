use crate::kernel::{ExecRequest, Kernel};
use crate::sys::files::at::lookup_flags;
use crate::sys::files::{AT_FDCWD, at::with_path};
use crate::user::UserPtr;
use crate::{Fd, Path};
use alloc::format;
use alloc::vec::Vec;
use linux_abi::{AtFlags, Errno, SysResult};
use vfs::{FileType, LookupFlags};

/// `MAX_ARG_STRLEN`: one string, its NUL included.
const MAX_STRING: usize = 128 << 10;
/// No set of strings is larger, whatever `RLIMIT_STACK` says; the kernel looks at that again.
const MAX_STRINGS: usize = 6 << 20;
/// Read at a time.
const STEP: usize = 256;

/// execve(2)
pub fn execve<K: Kernel>(k: &K, pathname: Path, argv: u64, envp: u64) -> SysResult {
    run(k, AT_FDCWD, pathname, argv, envp, LookupFlags::FOLLOW)
}

/// execveat(2)
pub fn execveat<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    argv: u64,
    envp: u64,
    flags: u32,
) -> SysResult {
    let allowed = AtFlags::AT_EMPTY_PATH | AtFlags::AT_SYMLINK_NOFOLLOW;
    let lookup = lookup_flags(flags, allowed)?;
    run(k, dirfd, pathname, argv, envp, lookup)
}

fn run<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    argv: u64,
    envp: u64,
    lookup: LookupFlags,
) -> SysResult {
    let (place, path) = with_path(k, dirfd, pathname, |base, path| {
        let place = base.at(k).resolve(path, lookup)?;
        Ok((place, shown_path(dirfd, path)))
    })?;
    if place.inode.kind() == FileType::Symlink {
        return Err(Errno::ELOOP);
    }
    let mut room = MAX_STRINGS;
    k.exec(ExecRequest {
        place,
        path,
        args: strings(k, argv, &mut room)?,
        env: strings(k, envp, &mut room)?,
    })
}

/// The path by which the program, or its interpreter, finds the file.
fn shown_path(dirfd: Fd, path: &[u8]) -> Vec<u8> {
    if dirfd == AT_FDCWD || path.first() == Some(&b'/') {
        return path.to_vec();
    }
    let mut shown = format!("/dev/fd/{dirfd}").into_bytes();
    if !path.is_empty() {
        shown.push(b'/');
        shown.extend_from_slice(path);
    }
    shown
}

/// The strings of an array that a null pointer ends; no array has none.
fn strings<K: Kernel>(k: &K, array: u64, room: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut all = Vec::new();
    if array == 0 {
        return Ok(all);
    }
    let array = UserPtr::<u64>::new(array);
    loop {
        let at = array.at(all.len()).read(k)?;
        if at == 0 {
            return Ok(all);
        }
        let string = string(k, at)?;
        let taken = string.len() + 1 + size_of::<u64>();
        *room = room.checked_sub(taken).ok_or(Errno::E2BIG)?;
        all.push(string);
    }
}

fn string<K: Kernel>(k: &K, at: u64) -> Result<Vec<u8>, Errno> {
    let mut string = Vec::new();
    let mut piece = [0; STEP];
    while string.len() < MAX_STRING {
        match k.read_cstr(at.wrapping_add(string.len() as u64), &mut piece) {
            Ok(rest) => {
                string.extend_from_slice(rest);
                return Ok(string);
            }
            Err(Errno::ENAMETOOLONG) => string.extend_from_slice(&piece),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::E2BIG)
}
