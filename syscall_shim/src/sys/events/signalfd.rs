use crate::Fd;
use crate::kernel::Kernel;
use crate::sys::signals::SIGSET_SIZE;
use crate::user::UserPtr;
use linux_abi::{Errno, FdFlags, OpenFlags, SigSet, SysResult};
use vfs::File;

/// signalfd(2), the old call without flags
pub fn signalfd<K: Kernel>(k: &K, fd: Fd, mask: UserPtr<SigSet>, size: usize) -> SysResult {
    signalfd4(k, fd, mask, size, 0)
}

/// signalfd(2): -1 makes a new one, else the mask of an old one is changed.
pub fn signalfd4<K: Kernel>(
    k: &K,
    fd: Fd,
    mask: UserPtr<SigSet>,
    size: usize,
    flags: u32,
) -> SysResult {
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let mask = mask.read(k)?.without(SigSet::UNBLOCKABLE);
    let flags = FdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if fd != -1 {
        k.signalfd_set(&*k.files().get(fd)?, mask)?;
        return Ok(fd as usize);
    }
    let status = OpenFlags::O_RDWR.bits() | (flags & FdFlags::NONBLOCK).bits();
    let file = File::from_ops(k.signalfd_create(mask)?, status);
    let fd = k.files().insert(file, flags.contains(FdFlags::CLOEXEC))?;
    Ok(fd as usize)
}
