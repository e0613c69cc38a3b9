use super::AT_FDCWD;
use super::at::with_path;
use crate::kernel::Kernel;
use crate::user::{UserPtr, require_zeros};
use crate::{Fd, Path};
use alloc::sync::Arc;
use linux_abi::{Errno, OpenFlags, OpenHow, PAGE_SIZE, ResolveFlags, SysResult};
use vfs::{File, LookupFlags};

/// open(2)
pub fn open<K: Kernel>(k: &K, pathname: Path, flags: u32, mode: u32) -> SysResult {
    openat(k, AT_FDCWD, pathname, flags, mode)
}

/// creat(2)
pub fn creat<K: Kernel>(k: &K, pathname: Path, mode: u32) -> SysResult {
    let flags = OpenFlags::O_CREAT | OpenFlags::O_WRONLY | OpenFlags::O_TRUNC;
    openat(k, AT_FDCWD, pathname, flags.bits(), mode)
}

/// openat(2). Unknown flags are ignored, as they always were.
pub fn openat<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, flags: u32, mode: u32) -> SysResult {
    let flags = OpenFlags::from_bits_truncate(flags);
    let how = vfs::OpenHow {
        flags: flags.bits(),
        mode: mode & 0o7777,
        resolve: None,
    };
    open_how(k, dirfd, pathname, how)
}

fn open_how<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, mut how: vfs::OpenHow) -> SysResult {
    let flags = OpenFlags::from_bits_retain(how.flags);
    if !flags.contains(OpenFlags::O_PATH) {
        // On 64 bits every file is large, and F_GETFL says so.
        how.flags |= OpenFlags::O_LARGEFILE.bits();
    }
    let file = with_path(k, dirfd, pathname, |base, path| base.at(k).open(path, &how))?;
    wait_open(k, &file)?;
    let fd = k
        .files()
        .insert(file, flags.contains(OpenFlags::O_CLOEXEC))?;
    Ok(fd as usize)
}

/// A FIFO is open when its other end is.
#[inline]
fn wait_open<K: Kernel>(k: &K, file: &Arc<File>) -> Result<(), Errno> {
    match file.ops() {
        Some(ops) if !ops.is_open() => {
            let list = ops.wait_list().ok_or(Errno::EIO)?;
            k.wait(&[list], None, &mut || ops.is_open()).map(drop)
        }
        _ => Ok(()),
    }
}

/// openat2(2): what open(2) ignores is an error here.
pub fn openat2<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    how: UserPtr<OpenHow>,
    size: usize,
) -> SysResult {
    if size < size_of::<OpenHow>() {
        return Err(Errno::EINVAL);
    }
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let value = how.read(k)?;
    require_zeros(k, how.at(1).cast(), size - size_of::<OpenHow>())?;
    let flags = u32::try_from(value.flags)
        .ok()
        .and_then(OpenFlags::from_bits)
        .ok_or(Errno::EINVAL)?;
    check_mode(flags, value.mode)?;
    let resolve = resolution(value.resolve)?;
    open_how(
        k,
        dirfd,
        pathname,
        vfs::OpenHow {
            flags: flags.bits(),
            mode: value.mode as u32,
            resolve: Some(resolve),
        },
    )
}

fn check_mode(flags: OpenFlags, mode: u64) -> Result<(), Errno> {
    let makes = flags.contains(OpenFlags::O_CREAT) || flags.contains(OpenFlags::O_TMPFILE);
    if mode & !0o7777 != 0 || (!makes && mode != 0) {
        return Err(Errno::EINVAL);
    }
    let path_flags =
        OpenFlags::O_PATH | OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW | OpenFlags::O_CLOEXEC;
    if flags.contains(OpenFlags::O_PATH) && !path_flags.contains(flags) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

fn resolution(raw: u64) -> Result<LookupFlags, Errno> {
    let resolve = ResolveFlags::from_bits(raw).ok_or(Errno::EINVAL)?;
    if resolve.contains(ResolveFlags::RESOLVE_BENEATH | ResolveFlags::RESOLVE_IN_ROOT) {
        return Err(Errno::EINVAL);
    }
    if resolve.contains(ResolveFlags::RESOLVE_CACHED) {
        // "Not without blocking": the program asks again without the flag.
        return Err(Errno::EAGAIN);
    }
    let pairs = [
        (ResolveFlags::RESOLVE_NO_XDEV, LookupFlags::NO_XDEV),
        (
            ResolveFlags::RESOLVE_NO_MAGICLINKS,
            LookupFlags::NO_MAGICLINKS,
        ),
        (ResolveFlags::RESOLVE_NO_SYMLINKS, LookupFlags::NO_SYMLINKS),
        (ResolveFlags::RESOLVE_BENEATH, LookupFlags::BENEATH),
        (ResolveFlags::RESOLVE_IN_ROOT, LookupFlags::IN_ROOT),
    ];
    let mut lookup = LookupFlags::empty();
    for (flag, meaning) in pairs {
        lookup.set(meaning, resolve.contains(flag));
    }
    Ok(lookup)
}
