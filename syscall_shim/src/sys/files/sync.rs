use crate::Fd;
use crate::kernel::Kernel;
use linux_abi::{Errno, SysResult};
use vfs::{File, FileType};

/// EINVAL for what has nothing to be written back: pipes, sockets, terminals.
fn check_syncable(file: &File) -> Result<(), Errno> {
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    match file.kind() {
        FileType::Regular | FileType::Directory if file.ops().is_none() => Ok(()),
        FileType::BlockDevice => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// fsync(2)
pub fn fsync<K: Kernel>(k: &K, fd: Fd) -> SysResult {
    let file = k.files().get(fd)?;
    sync_file(k, &file).map(|()| 0)
}

/// The same for an open file.
pub(crate) fn sync_file<K: Kernel>(k: &K, file: &File) -> Result<(), Errno> {
    check_syncable(file)?;
    k.sync();
    Ok(())
}

/// fdatasync(2)
pub fn fdatasync<K: Kernel>(k: &K, fd: Fd) -> SysResult {
    fsync(k, fd)
}

/// sync(2)
pub fn sync<K: Kernel>(k: &K) -> SysResult {
    k.sync();
    Ok(0)
}

/// syncfs(2)
pub fn syncfs<K: Kernel>(k: &K, fd: Fd) -> SysResult {
    if k.files().get(fd)?.is_path() {
        return Err(Errno::EBADF);
    }
    k.sync();
    Ok(0)
}

/// sync_file_range(2)
pub fn sync_file_range<K: Kernel>(
    k: &K,
    fd: Fd,
    offset: i64,
    nbytes: i64,
    flags: u32,
) -> SysResult {
    const VALID: u32 = 7;
    if flags & !VALID != 0 || offset < 0 || nbytes < 0 || offset.checked_add(nbytes).is_none() {
        return Err(Errno::EINVAL);
    }
    let file = k.files().get(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    match file.kind() {
        FileType::Regular | FileType::Directory | FileType::BlockDevice | FileType::Symlink => {}
        _ => return Err(Errno::ESPIPE),
    }
    k.sync();
    Ok(0)
}

/// posix_fadvise(2): all is in memory already.
pub fn fadvise64<K: Kernel>(k: &K, fd: Fd, _offset: i64, len: i64, advice: u32) -> SysResult {
    const POSIX_FADV_NOREUSE: u32 = 5;
    let file = k.files().get(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    if file.kind() == FileType::Fifo {
        return Err(Errno::ESPIPE);
    }
    if len < 0 || advice > POSIX_FADV_NOREUSE {
        Err(Errno::EINVAL)
    } else {
        Ok(0)
    }
}

/// readahead(2)
pub fn readahead<K: Kernel>(k: &K, fd: Fd, _offset: i64, _count: usize) -> SysResult {
    let file = k.files().get(fd)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    if file.kind() == FileType::Regular && file.ops().is_none() {
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}
