use super::AT_FDCWD;
use super::at::{lookup_flags, with_path};
use crate::kernel::Kernel;
use crate::user::UserPtr;
use crate::{Fd, Path};
use linux_abi::{AtFlags, Stat, SysResult};
use vfs::{LookupFlags, Metadata};

/// The structure that programs see.
fn stat_of(metadata: &Metadata) -> Stat {
    Stat {
        dev: metadata.dev,
        ino: metadata.ino,
        nlink: u64::from(metadata.nlink),
        mode: metadata.mode,
        uid: metadata.uid,
        gid: metadata.gid,
        rdev: metadata.rdev,
        size: metadata.size as i64,
        blksize: i64::from(metadata.blksize),
        blocks: metadata.blocks as i64,
        atime: metadata.atime.sec as u64,
        atime_nsec: u64::from(metadata.atime.nsec),
        mtime: metadata.mtime.sec as u64,
        mtime_nsec: u64::from(metadata.mtime.nsec),
        ctime: metadata.ctime.sec as u64,
        ctime_nsec: u64::from(metadata.ctime.nsec),
        ..Stat::default()
    }
}

fn stat_path<K: Kernel>(
    k: &K,
    dirfd: Fd,
    path: Path,
    lookup: LookupFlags,
    to: UserPtr<Stat>,
) -> SysResult {
    let metadata = with_path(k, dirfd, path, |base, path| {
        base.at(k).metadata(path, lookup)
    })?;
    to.write(k, &stat_of(&metadata))?;
    Ok(0)
}

/// stat(2)
pub fn stat<K: Kernel>(k: &K, pathname: Path, statbuf: UserPtr<Stat>) -> SysResult {
    stat_path(k, AT_FDCWD, pathname, LookupFlags::FOLLOW, statbuf)
}

/// lstat(2)
pub fn lstat<K: Kernel>(k: &K, pathname: Path, statbuf: UserPtr<Stat>) -> SysResult {
    stat_path(k, AT_FDCWD, pathname, LookupFlags::empty(), statbuf)
}

/// fstat(2)
pub fn fstat<K: Kernel>(k: &K, fd: Fd, statbuf: UserPtr<Stat>) -> SysResult {
    let metadata = k.files().get(fd)?.metadata();
    statbuf.write(k, &stat_of(&metadata))?;
    Ok(0)
}

/// fstatat(2)
pub fn newfstatat<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    statbuf: UserPtr<Stat>,
    flags: u32,
) -> SysResult {
    let allowed = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT | AtFlags::AT_EMPTY_PATH;
    let lookup = lookup_flags(flags, allowed)?;
    // How C libraries spell fstat(2).
    if lookup.contains(LookupFlags::EMPTY_PATH) && dirfd >= 0 && pathname.is_empty(k)? {
        return fstat(k, dirfd, statbuf);
    }
    stat_path(k, dirfd, pathname, lookup, statbuf)
}
