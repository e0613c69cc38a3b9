use crate::kernel::Kernel;
use linux_abi::{Errno, EventfdFlags, SysResult};

/// eventfd(2), the old call without flags
pub fn eventfd<K: Kernel>(k: &K, initval: u32) -> SysResult {
    eventfd2(k, initval, 0)
}

/// eventfd(2)
pub fn eventfd2<K: Kernel>(k: &K, initval: u32, flags: u32) -> SysResult {
    let flags = EventfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let file = vfs::eventfd(initval, flags.bits())?;
    let fd = k
        .files()
        .insert(file, flags.contains(EventfdFlags::EFD_CLOEXEC))?;
    Ok(fd as usize)
}
