use super::transfer::{blocking, limit_size, read_into, write_from};
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::{IoBuffers, UserPtr};
use linux_abi::{Errno, Iovec, RwFlags, SysResult};

/// The offset that means "the file's own position" to preadv2(2) and pwritev2(2).
const OWN_POSITION: u64 = u64::MAX;

/// readv(2)
pub fn readv<K: Kernel>(k: &K, fd: Fd, iov: UserPtr<Iovec>, iovcnt: usize) -> SysResult {
    let file = k.files().get(fd)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    let buffers = IoBuffers::vector(k, iov, iovcnt)?;
    read_into(k, &file, &buffers)
}

/// writev(2)
pub fn writev<K: Kernel>(k: &K, fd: Fd, iov: UserPtr<Iovec>, iovcnt: usize) -> SysResult {
    let file = k.files().get(fd)?;
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    let mut buffers = IoBuffers::vector(k, iov, iovcnt)?;
    if buffers.total() == 0 {
        // Other than write(2), this sends no empty datagram.
        return Ok(0);
    }
    limit_size(k, &file, &mut buffers, None)?;
    write_from(k, &file, &buffers)
}

/// preadv(2). The offset comes in the first register whole; the second is for 32-bit programs.
pub fn preadv<K: Kernel>(
    k: &K,
    fd: Fd,
    iov: UserPtr<Iovec>,
    iovcnt: usize,
    pos_l: u64,
    _pos_h: u64,
) -> SysResult {
    let offset = positive(pos_l)?;
    let file = k.files().get(fd)?;
    let buffers = IoBuffers::vector(k, iov, iovcnt)?;
    blocking(k, &file, || file.read_at(offset, &mut buffers.sink(k)))
}

/// pwritev(2)
pub fn pwritev<K: Kernel>(
    k: &K,
    fd: Fd,
    iov: UserPtr<Iovec>,
    iovcnt: usize,
    pos_l: u64,
    _pos_h: u64,
) -> SysResult {
    let offset = positive(pos_l)?;
    let file = k.files().get(fd)?;
    let mut buffers = IoBuffers::vector(k, iov, iovcnt)?;
    limit_size(k, &file, &mut buffers, Some(offset))?;
    blocking(k, &file, || file.write_at(offset, &mut buffers.source(k)))
}

fn positive(offset: u64) -> Result<u64, Errno> {
    if i64::try_from(offset).is_ok() {
        Ok(offset)
    } else {
        Err(Errno::EINVAL)
    }
}

/// Flags that need nothing done: everything is in memory, and written when it is written.
fn check_flags<K: Kernel>(k: &K, flags: u32, allowed: RwFlags) -> Result<RwFlags, Errno> {
    let flags = RwFlags::from_bits(flags).ok_or(Errno::EOPNOTSUPP)?;
    if allowed.contains(flags) {
        return Ok(flags);
    }
    k.unsupported_part("preadv2, pwritev2: RWF_APPEND, RWF_NOAPPEND");
    Err(Errno::EOPNOTSUPP)
}

/// preadv2(2)
pub fn preadv2<K: Kernel>(
    k: &K,
    fd: Fd,
    iov: UserPtr<Iovec>,
    iovcnt: usize,
    pos_l: u64,
    pos_h: u64,
    flags: u32,
) -> SysResult {
    let allowed = RwFlags::RWF_HIPRI | RwFlags::RWF_DSYNC | RwFlags::RWF_SYNC | RwFlags::RWF_NOWAIT;
    let flags = check_flags(k, flags, allowed)?;
    if flags.contains(RwFlags::RWF_NOWAIT) {
        return read_now(k, fd, iov, iovcnt, pos_l);
    }
    if pos_l == OWN_POSITION {
        return readv(k, fd, iov, iovcnt);
    }
    preadv(k, fd, iov, iovcnt, pos_l, pos_h)
}

/// `RWF_NOWAIT`: EAGAIN goes to the program.
fn read_now<K: Kernel>(
    k: &K,
    fd: Fd,
    iov: UserPtr<Iovec>,
    iovcnt: usize,
    offset: u64,
) -> SysResult {
    let file = k.files().get(fd)?;
    let buffers = IoBuffers::vector(k, iov, iovcnt)?;
    let mut sink = buffers.sink(k);
    if offset == OWN_POSITION {
        file.read(&mut sink)
    } else {
        file.read_at(positive(offset)?, &mut sink)
    }
}

/// pwritev2(2)
pub fn pwritev2<K: Kernel>(
    k: &K,
    fd: Fd,
    iov: UserPtr<Iovec>,
    iovcnt: usize,
    pos_l: u64,
    pos_h: u64,
    flags: u32,
) -> SysResult {
    check_flags(
        k,
        flags,
        RwFlags::RWF_HIPRI | RwFlags::RWF_DSYNC | RwFlags::RWF_SYNC,
    )?;
    if pos_l == OWN_POSITION {
        return writev(k, fd, iov, iovcnt);
    }
    pwritev(k, fd, iov, iovcnt, pos_l, pos_h)
}
