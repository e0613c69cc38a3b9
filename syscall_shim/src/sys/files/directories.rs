use super::AT_FDCWD;
use super::at::{with_path, with_place};
use crate::kernel::Kernel;
use crate::{Buffer, Fd, Path};
use linux_abi::raw::general::{
    S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK,
};
use linux_abi::{Capability, Errno, SysResult};
use vfs::{LookupFlags, NewNode, access};

const DIRECTORY: LookupFlags = LookupFlags::FOLLOW.union(LookupFlags::DIRECTORY);

/// chdir(2)
pub fn chdir<K: Kernel>(k: &K, pathname: Path) -> SysResult {
    with_place(k, AT_FDCWD, pathname, DIRECTORY, |place, cred| {
        cred.check(&place.inode.metadata(), access::EXEC)?;
        k.fs().set_cwd(place.clone())
    })?;
    Ok(0)
}

/// fchdir(2)
pub fn fchdir<K: Kernel>(k: &K, fd: Fd) -> SysResult {
    let file = k.files().get(fd)?;
    let metadata = file.metadata();
    if !metadata.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    k.process()
        .file_credentials()
        .check(&metadata, access::EXEC)?;
    k.fs().set_cwd(file.place().clone()).map(|()| 0)
}

/// chroot(2)
pub fn chroot<K: Kernel>(k: &K, pathname: Path) -> SysResult {
    with_place(k, AT_FDCWD, pathname, DIRECTORY, |place, cred| {
        cred.check(&place.inode.metadata(), access::EXEC)?;
        if !k
            .process()
            .with_identity(|id| id.can(Capability::SYS_CHROOT))
        {
            return Err(Errno::EPERM);
        }
        k.fs().set_root(place.clone())
    })?;
    Ok(0)
}

/// getcwd(2): answers the length with the NUL.
pub fn getcwd<K: Kernel>(k: &K, buf: Buffer, size: usize) -> SysResult {
    let mut path = k.fs().getcwd()?;
    path.push(0);
    if path.len() > size {
        return Err(Errno::ERANGE);
    }
    buf.write_slice(k, &path)?;
    Ok(path.len())
}

/// mkdir(2)
pub fn mkdir<K: Kernel>(k: &K, pathname: Path, mode: u32) -> SysResult {
    mkdirat(k, AT_FDCWD, pathname, mode)
}

/// mkdirat(2)
pub fn mkdirat<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, mode: u32) -> SysResult {
    with_path(k, dirfd, pathname, |base, path| {
        base.at(k).mkdir(path, mode)
    })?;
    Ok(0)
}

/// rmdir(2)
pub fn rmdir<K: Kernel>(k: &K, pathname: Path) -> SysResult {
    with_path(k, AT_FDCWD, pathname, |base, path| base.at(k).rmdir(path))?;
    Ok(0)
}

/// mknod(2)
pub fn mknod<K: Kernel>(k: &K, pathname: Path, mode: u32, dev: u32) -> SysResult {
    mknodat(k, AT_FDCWD, pathname, mode, dev)
}

/// mknodat(2)
pub fn mknodat<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, mode: u32, dev: u32) -> SysResult {
    let dev = u64::from(dev);
    let node = match mode & S_IFMT {
        0 | S_IFREG => NewNode::Regular,
        S_IFIFO => NewNode::Fifo,
        S_IFSOCK => NewNode::Socket,
        S_IFCHR => NewNode::CharDevice(dev),
        S_IFBLK => NewNode::BlockDevice(dev),
        S_IFDIR => return Err(Errno::EPERM),
        S_IFLNK => return Err(Errno::EINVAL),
        _ => return Err(Errno::EINVAL),
    };
    with_path(k, dirfd, pathname, |base, path| {
        base.at(k).mknod(path, node, mode & 0o7777)
    })?;
    Ok(0)
}
