use super::{PAGE, pages};
use crate::kernel::Kernel;
use linux_abi::{Errno, MlockallFlags, SysResult, USER_END};

/// mlock(2) and its kin take any address: the range is widened to whole pages.
fn widen(addr: u64, len: u64) -> Result<(u64, u64), Errno> {
    let start = addr - addr % PAGE;
    let len = len
        .checked_add(addr % PAGE)
        .and_then(pages)
        .ok_or(Errno::EINVAL)?;
    match start.checked_add(len) {
        None => Err(Errno::EINVAL),
        Some(end) if end > USER_END => Err(Errno::ENOMEM),
        Some(_) => Ok((start, len)),
    }
}

fn lock<K: Kernel>(k: &K, addr: u64, len: u64, on_fault: bool) -> SysResult {
    let (addr, len) = widen(addr, len)?;
    if len == 0 {
        return Ok(0);
    }
    k.mlock(addr, len, on_fault).map(|()| 0)
}

/// mlock(2)
pub fn mlock<K: Kernel>(k: &K, addr: u64, len: u64) -> SysResult {
    lock(k, addr, len, false)
}

/// mlock2(2)
pub fn mlock2<K: Kernel>(k: &K, addr: u64, len: u64, flags: u32) -> SysResult {
    const MLOCK_ONFAULT: u32 = 1;
    if flags & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    lock(k, addr, len, flags & MLOCK_ONFAULT != 0)
}

/// munlock(2)
pub fn munlock<K: Kernel>(k: &K, addr: u64, len: u64) -> SysResult {
    let (addr, len) = widen(addr, len)?;
    if len == 0 {
        return Ok(0);
    }
    k.munlock(addr, len).map(|()| 0)
}

/// mlockall(2)
pub fn mlockall<K: Kernel>(k: &K, flags: u32) -> SysResult {
    let flags = MlockallFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.is_empty() || flags == MlockallFlags::MCL_ONFAULT {
        return Err(Errno::EINVAL);
    }
    k.mlockall(flags).map(|()| 0)
}

/// munlockall(2)
pub fn munlockall<K: Kernel>(k: &K) -> SysResult {
    k.munlockall().map(|()| 0)
}
