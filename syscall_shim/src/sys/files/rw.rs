use super::transfer::{blocking, limit_size, read_into, write_from};
use crate::kernel::Kernel;
use crate::user::IoBuffers;
use crate::{Buffer, Fd};
use linux_abi::{Errno, SysResult};

/// read(2)
pub fn read<K: Kernel>(k: &K, fd: Fd, buf: Buffer, count: usize) -> SysResult {
    let file = k.files().get(fd)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    let buffers = IoBuffers::single(k, buf, count)?;
    read_into(k, &file, &buffers)
}

/// write(2)
pub fn write<K: Kernel>(k: &K, fd: Fd, buf: Buffer, count: usize) -> SysResult {
    let file = k.files().get(fd)?;
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    let mut buffers = IoBuffers::single(k, buf, count)?;
    limit_size(k, &file, &mut buffers, None)?;
    write_from(k, &file, &buffers)
}

/// pread(2)
pub fn pread64<K: Kernel>(k: &K, fd: Fd, buf: Buffer, count: usize, offset: i64) -> SysResult {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = k.files().get(fd)?;
    let buffers = IoBuffers::single(k, buf, count)?;
    blocking(k, &file, || file.read_at(offset, &mut buffers.sink(k)))
}

/// pwrite(2)
pub fn pwrite64<K: Kernel>(k: &K, fd: Fd, buf: Buffer, count: usize, offset: i64) -> SysResult {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = k.files().get(fd)?;
    let mut buffers = IoBuffers::single(k, buf, count)?;
    limit_size(k, &file, &mut buffers, Some(offset))?;
    blocking(k, &file, || file.write_at(offset, &mut buffers.source(k)))
}
