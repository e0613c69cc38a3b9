//! Extended attributes, xattr(7).
use super::AT_FDCWD;
use super::at::with_place;
use crate::kernel::Kernel;
use crate::user::UserPath;
use crate::{Buffer, Fd, Path};
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::raw::general::{
    XATTR_CREATE, XATTR_LIST_MAX, XATTR_NAME_MAX, XATTR_REPLACE, XATTR_SIZE_MAX,
};
use linux_abi::{Errno, SysResult};
use vfs::{Credentials, LookupFlags, Place};

const FOLLOW: LookupFlags = LookupFlags::FOLLOW;
const NOFOLLOW: LookupFlags = LookupFlags::empty();

fn read_name<K: Kernel>(k: &K, name: UserPath) -> Result<Vec<u8>, Errno> {
    match name.read(k, XATTR_NAME_MAX as usize + 1) {
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        name => name,
    }
}

/// Runs `act` on what a descriptor stands for; one opened with `O_PATH` is good for nothing here.
fn with_file<K: Kernel>(
    k: &K,
    fd: Fd,
    act: impl FnOnce(&Place, &Credentials) -> SysResult,
) -> SysResult {
    let file = k.files().get(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    act(file.place(), &k.process().file_credentials())
}

/// An attribute that is to be set.
struct New {
    name: Vec<u8>,
    value: Vec<u8>,
    flags: u32,
}

impl New {
    fn read<K: Kernel>(
        k: &K,
        name: UserPath,
        value: Buffer,
        size: usize,
        flags: u32,
    ) -> Result<Self, Errno> {
        if flags & !(XATTR_CREATE | XATTR_REPLACE) != 0 {
            return Err(Errno::EINVAL);
        }
        let name = read_name(k, name)?;
        if size > XATTR_SIZE_MAX as usize {
            return Err(Errno::E2BIG);
        }
        let mut bytes = vec![0; size];
        value.read_slice(k, &mut bytes)?;
        Ok(Self {
            name,
            value: bytes,
            flags,
        })
    }

    fn set(&self, place: &Place, cred: &Credentials) -> SysResult {
        place
            .set_xattr(cred, &self.name, &self.value, self.flags)
            .map(|()| 0)
    }
}

/// Stores an answer; a buffer of no size only asks how long it is.
fn store<K: Kernel>(k: &K, answer: &[u8], buffer: Buffer, size: usize) -> SysResult {
    if size == 0 {
        return Ok(answer.len());
    }
    if answer.len() > size {
        return Err(Errno::ERANGE);
    }
    buffer.write_slice(k, answer)?;
    Ok(answer.len())
}

fn list<K: Kernel>(
    k: &K,
    (place, cred): (&Place, &Credentials),
    buffer: Buffer,
    size: usize,
) -> SysResult {
    let names = place.list_xattrs(cred);
    if names.len() > XATTR_LIST_MAX as usize {
        return Err(Errno::E2BIG);
    }
    store(k, &names, buffer, size)
}

/// setxattr(2)
pub fn setxattr<K: Kernel>(
    k: &K,
    path: Path,
    name: Path,
    value: Buffer,
    size: usize,
    flags: u32,
) -> SysResult {
    let new = New::read(k, name, value, size, flags)?;
    with_place(k, AT_FDCWD, path, FOLLOW, |place, cred| {
        new.set(place, cred)
    })
}

/// lsetxattr(2)
pub fn lsetxattr<K: Kernel>(
    k: &K,
    path: Path,
    name: Path,
    value: Buffer,
    size: usize,
    flags: u32,
) -> SysResult {
    let new = New::read(k, name, value, size, flags)?;
    with_place(k, AT_FDCWD, path, NOFOLLOW, |place, cred| {
        new.set(place, cred)
    })
}

/// fsetxattr(2)
pub fn fsetxattr<K: Kernel>(
    k: &K,
    fd: Fd,
    name: Path,
    value: Buffer,
    size: usize,
    flags: u32,
) -> SysResult {
    with_file(k, fd, |place, cred| {
        New::read(k, name, value, size, flags)?.set(place, cred)
    })
}

/// getxattr(2)
pub fn getxattr<K: Kernel>(k: &K, path: Path, name: Path, value: Buffer, size: usize) -> SysResult {
    with_place(k, AT_FDCWD, path, FOLLOW, |place, cred| {
        let found = place.xattr(cred, &read_name(k, name)?)?;
        store(k, &found, value, size)
    })
}

/// lgetxattr(2)
pub fn lgetxattr<K: Kernel>(
    k: &K,
    path: Path,
    name: Path,
    value: Buffer,
    size: usize,
) -> SysResult {
    with_place(k, AT_FDCWD, path, NOFOLLOW, |place, cred| {
        let found = place.xattr(cred, &read_name(k, name)?)?;
        store(k, &found, value, size)
    })
}

/// fgetxattr(2)
pub fn fgetxattr<K: Kernel>(k: &K, fd: Fd, name: Path, value: Buffer, size: usize) -> SysResult {
    with_file(k, fd, |place, cred| {
        let found = place.xattr(cred, &read_name(k, name)?)?;
        store(k, &found, value, size)
    })
}

/// listxattr(2)
pub fn listxattr<K: Kernel>(k: &K, path: Path, buffer: Buffer, size: usize) -> SysResult {
    with_place(k, AT_FDCWD, path, FOLLOW, |place, cred| {
        list(k, (place, cred), buffer, size)
    })
}

/// llistxattr(2)
pub fn llistxattr<K: Kernel>(k: &K, path: Path, buffer: Buffer, size: usize) -> SysResult {
    with_place(k, AT_FDCWD, path, NOFOLLOW, |place, cred| {
        list(k, (place, cred), buffer, size)
    })
}

/// flistxattr(2)
pub fn flistxattr<K: Kernel>(k: &K, fd: Fd, buffer: Buffer, size: usize) -> SysResult {
    with_file(k, fd, |place, cred| list(k, (place, cred), buffer, size))
}

fn remove<K: Kernel>(k: &K, name: Path, place: &Place, cred: &Credentials) -> SysResult {
    place.remove_xattr(cred, &read_name(k, name)?).map(|()| 0)
}

/// removexattr(2)
pub fn removexattr<K: Kernel>(k: &K, path: Path, name: Path) -> SysResult {
    with_place(k, AT_FDCWD, path, FOLLOW, |place, cred| {
        remove(k, name, place, cred)
    })
}

/// lremovexattr(2)
pub fn lremovexattr<K: Kernel>(k: &K, path: Path, name: Path) -> SysResult {
    with_place(k, AT_FDCWD, path, NOFOLLOW, |place, cred| {
        remove(k, name, place, cred)
    })
}

/// fremovexattr(2)
pub fn fremovexattr<K: Kernel>(k: &K, fd: Fd, name: Path) -> SysResult {
    with_file(k, fd, |place, cred| remove(k, name, place, cred))
}
