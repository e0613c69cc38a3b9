use super::AT_FDCWD;
use super::at::{Base, with_path};
use crate::kernel::Kernel;
use crate::{Buffer, Fd, Path};
use linux_abi::{AtFlags, Errno, SysResult};
use vfs::LookupFlags;

/// link(2)
pub fn link<K: Kernel>(k: &K, oldpath: Path, newpath: Path) -> SysResult {
    linkat(k, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0)
}

/// linkat(2): does not follow unless told to.
pub fn linkat<K: Kernel>(
    k: &K,
    olddirfd: Fd,
    oldpath: Path,
    newdirfd: Fd,
    newpath: Path,
    flags: u32,
) -> SysResult {
    let allowed = AtFlags::AT_SYMLINK_FOLLOW | AtFlags::AT_EMPTY_PATH;
    let flags = AtFlags::from_bits(flags)
        .filter(|flags| allowed.contains(*flags))
        .ok_or(Errno::EINVAL)?;
    let mut lookup = LookupFlags::empty();
    lookup.set(
        LookupFlags::FOLLOW,
        flags.contains(AtFlags::AT_SYMLINK_FOLLOW),
    );
    lookup.set(
        LookupFlags::EMPTY_PATH,
        flags.contains(AtFlags::AT_EMPTY_PATH),
    );
    let target = with_path(k, olddirfd, oldpath, |base, path| {
        base.at(k).resolve(path, lookup)
    })?;
    with_path(k, newdirfd, newpath, |base, path| {
        base.at(k).link(&target, path)
    })?;
    Ok(0)
}

/// symlink(2)
pub fn symlink<K: Kernel>(k: &K, target: Path, linkpath: Path) -> SysResult {
    symlinkat(k, target, AT_FDCWD, linkpath)
}

/// symlinkat(2)
pub fn symlinkat<K: Kernel>(k: &K, target: Path, newdirfd: Fd, linkpath: Path) -> SysResult {
    target.with(k, |target| {
        with_path(k, newdirfd, linkpath, |base, path| {
            base.at(k).symlink(target, path)
        })
    })?;
    Ok(0)
}

/// readlink(2)
pub fn readlink<K: Kernel>(k: &K, pathname: Path, buf: Buffer, size: i32) -> SysResult {
    readlinkat(k, AT_FDCWD, pathname, buf, size)
}

/// readlinkat(2): cuts without a word, and writes no NUL.
pub fn readlinkat<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    buf: Buffer,
    size: i32,
) -> SysResult {
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size > 0)
        .ok_or(Errno::EINVAL)?;
    let text = with_path(k, dirfd, pathname, |base, path| base.at(k).readlink(path))?;
    let part = text.get(..size).unwrap_or(&text);
    buf.write_slice(k, part)?;
    Ok(part.len())
}

/// unlink(2)
pub fn unlink<K: Kernel>(k: &K, pathname: Path) -> SysResult {
    unlinkat(k, AT_FDCWD, pathname, 0)
}

/// unlinkat(2)
pub fn unlinkat<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, flags: u32) -> SysResult {
    let flags = AtFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if !AtFlags::AT_REMOVEDIR.contains(flags) {
        return Err(Errno::EINVAL);
    }
    let remove = |base: &Base, path: &[u8]| match flags.is_empty() {
        true => base.at(k).unlink(path),
        false => base.at(k).rmdir(path),
    };
    with_path(k, dirfd, pathname, remove)?;
    Ok(0)
}
