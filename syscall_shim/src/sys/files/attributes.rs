use super::AT_FDCWD;
use super::at::{lookup_flags, with_place};
use crate::kernel::Kernel;
use crate::{Fd, Path};
use alloc::sync::Arc;
use linux_abi::{AtFlags, Errno, SysResult};
use vfs::{File, LookupFlags};

/// "Leave this id alone".
const KEEP: u32 = u32::MAX;

fn id(raw: u32) -> Option<u32> {
    (raw != KEEP).then_some(raw)
}

/// A file that was not opened for its path only.
fn open_file<K: Kernel>(k: &K, fd: Fd) -> Result<Arc<File>, Errno> {
    let file = k.files().get(fd)?;
    if file.is_path() {
        Err(Errno::EBADF)
    } else {
        Ok(file)
    }
}

/// umask(2)
pub fn umask<K: Kernel>(k: &K, mask: u32) -> SysResult {
    Ok(k.fs().set_umask(mask & 0o777) as usize)
}

/// chmod(2)
pub fn chmod<K: Kernel>(k: &K, pathname: Path, mode: u32) -> SysResult {
    fchmodat2(k, AT_FDCWD, pathname, mode, 0)
}

/// fchmod(2)
pub fn fchmod<K: Kernel>(k: &K, fd: Fd, mode: u32) -> SysResult {
    let file = open_file(k, fd)?;
    file.place()
        .chmod(&k.process().file_credentials(), mode & 0o7777)
        .map(|()| 0)
}

/// fchmodat(2), which has no flags: the C library does them.
pub fn fchmodat<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, mode: u32) -> SysResult {
    fchmodat2(k, dirfd, pathname, mode, 0)
}

/// fchmodat2(2)
pub fn fchmodat2<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, mode: u32, flags: u32) -> SysResult {
    let lookup = lookup_flags(flags, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH)?;
    with_place(k, dirfd, pathname, lookup, |place, cred| {
        place.chmod(cred, mode & 0o7777)
    })?;
    Ok(0)
}

/// chown(2)
pub fn chown<K: Kernel>(k: &K, pathname: Path, owner: u32, group: u32) -> SysResult {
    change_owner(k, AT_FDCWD, pathname, owner, group, LookupFlags::FOLLOW)
}

/// lchown(2)
pub fn lchown<K: Kernel>(k: &K, pathname: Path, owner: u32, group: u32) -> SysResult {
    change_owner(k, AT_FDCWD, pathname, owner, group, LookupFlags::empty())
}

/// fchown(2)
pub fn fchown<K: Kernel>(k: &K, fd: Fd, owner: u32, group: u32) -> SysResult {
    let file = open_file(k, fd)?;
    file.place()
        .chown(&k.process().file_credentials(), id(owner), id(group))
        .map(|()| 0)
}

/// fchownat(2)
pub fn fchownat<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    owner: u32,
    group: u32,
    flags: u32,
) -> SysResult {
    let lookup = lookup_flags(flags, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH)?;
    change_owner(k, dirfd, pathname, owner, group, lookup)
}

fn change_owner<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    owner: u32,
    group: u32,
    lookup: LookupFlags,
) -> SysResult {
    with_place(k, dirfd, pathname, lookup, |place, cred| {
        place.chown(cred, id(owner), id(group))
    })?;
    Ok(0)
}
