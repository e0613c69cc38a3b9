//! Extended attributes, which no file system here keeps. What is wrong with the arguments is still said first.
use super::AT_FDCWD;
use super::at::with_place;
use crate::kernel::Kernel;
use crate::user::UserPath;
use crate::{Buffer, Fd, Path};
use linux_abi::raw::general::{XATTR_CREATE, XATTR_NAME_MAX, XATTR_REPLACE, XATTR_SIZE_MAX};
use linux_abi::{Errno, SysResult};
use vfs::LookupFlags;

fn check_name<K: Kernel>(k: &K, name: UserPath) -> Result<(), Errno> {
    match name.read(k, XATTR_NAME_MAX as usize + 1) {
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        name => name.map(drop),
    }
}

fn check_set<K: Kernel>(k: &K, name: UserPath, size: usize, flags: u32) -> Result<(), Errno> {
    if flags & !(XATTR_CREATE | XATTR_REPLACE) != 0 {
        return Err(Errno::EINVAL);
    }
    check_name(k, name)?;
    if size > XATTR_SIZE_MAX as usize {
        Err(Errno::E2BIG)
    } else {
        Ok(())
    }
}

fn exists<K: Kernel>(k: &K, path: Path, lookup: LookupFlags) -> Result<(), Errno> {
    with_place(k, AT_FDCWD, path, lookup, |_, _| Ok(()))
}

fn is_open<K: Kernel>(k: &K, fd: Fd) -> Result<(), Errno> {
    if k.files().get(fd)?.is_path() {
        Err(Errno::EBADF)
    } else {
        Ok(())
    }
}

/// setxattr(2)
pub fn setxattr<K: Kernel>(
    k: &K,
    path: Path,
    name: Path,
    _value: Buffer,
    size: usize,
    flags: u32,
) -> SysResult {
    check_set(k, name, size, flags)?;
    exists(k, path, LookupFlags::FOLLOW)?;
    Err(Errno::EOPNOTSUPP)
}

/// lsetxattr(2)
pub fn lsetxattr<K: Kernel>(
    k: &K,
    path: Path,
    name: Path,
    _value: Buffer,
    size: usize,
    flags: u32,
) -> SysResult {
    check_set(k, name, size, flags)?;
    exists(k, path, LookupFlags::empty())?;
    Err(Errno::EOPNOTSUPP)
}

/// fsetxattr(2)
pub fn fsetxattr<K: Kernel>(
    k: &K,
    fd: Fd,
    name: Path,
    _value: Buffer,
    size: usize,
    flags: u32,
) -> SysResult {
    is_open(k, fd)?;
    check_set(k, name, size, flags)?;
    Err(Errno::EOPNOTSUPP)
}

/// getxattr(2)
pub fn getxattr<K: Kernel>(
    k: &K,
    path: Path,
    name: Path,
    _value: Buffer,
    _size: usize,
) -> SysResult {
    exists(k, path, LookupFlags::FOLLOW)?;
    check_name(k, name)?;
    Err(Errno::EOPNOTSUPP)
}

/// lgetxattr(2)
pub fn lgetxattr<K: Kernel>(
    k: &K,
    path: Path,
    name: Path,
    _value: Buffer,
    _size: usize,
) -> SysResult {
    exists(k, path, LookupFlags::empty())?;
    check_name(k, name)?;
    Err(Errno::EOPNOTSUPP)
}

/// fgetxattr(2)
pub fn fgetxattr<K: Kernel>(k: &K, fd: Fd, name: Path, _value: Buffer, _size: usize) -> SysResult {
    is_open(k, fd)?;
    check_name(k, name)?;
    Err(Errno::EOPNOTSUPP)
}

/// listxattr(2): no file has any.
pub fn listxattr<K: Kernel>(k: &K, path: Path, _list: Buffer, _size: usize) -> SysResult {
    exists(k, path, LookupFlags::FOLLOW)?;
    Ok(0)
}

/// llistxattr(2)
pub fn llistxattr<K: Kernel>(k: &K, path: Path, _list: Buffer, _size: usize) -> SysResult {
    exists(k, path, LookupFlags::empty())?;
    Ok(0)
}

/// flistxattr(2)
pub fn flistxattr<K: Kernel>(k: &K, fd: Fd, _list: Buffer, _size: usize) -> SysResult {
    is_open(k, fd)?;
    Ok(0)
}

/// removexattr(2)
pub fn removexattr<K: Kernel>(k: &K, path: Path, name: Path) -> SysResult {
    getxattr(k, path, name, Buffer::new(0), 0)
}

/// lremovexattr(2)
pub fn lremovexattr<K: Kernel>(k: &K, path: Path, name: Path) -> SysResult {
    lgetxattr(k, path, name, Buffer::new(0), 0)
}

/// fremovexattr(2)
pub fn fremovexattr<K: Kernel>(k: &K, fd: Fd, name: Path) -> SysResult {
    fgetxattr(k, fd, name, Buffer::new(0), 0)
}
