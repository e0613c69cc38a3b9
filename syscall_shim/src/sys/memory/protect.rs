use super::range;
use crate::kernel::Kernel;
use linux_abi::{Errno, Prot, SysResult};

/// mprotect(2)
pub fn mprotect<K: Kernel>(k: &K, addr: u64, len: u64, prot: u64) -> SysResult {
    let prot = u32::try_from(prot)
        .ok()
        .and_then(Prot::from_bits)
        .ok_or(Errno::EINVAL)?;
    let both_ways = Prot::PROT_GROWSDOWN | Prot::PROT_GROWSUP;
    // Nothing grows up on this machine.
    if prot.contains(both_ways) || prot.contains(Prot::PROT_GROWSUP) {
        return Err(Errno::EINVAL);
    }
    let len = range(addr, len, Errno::ENOMEM)?;
    if len == 0 {
        return Ok(0);
    }
    k.mprotect(addr, len, prot).map(|()| 0)
}

/// mseal(2)
pub fn mseal<K: Kernel>(k: &K, addr: u64, len: u64, flags: u64) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let len = range(addr, len, Errno::EINVAL)?;
    if len == 0 {
        return Ok(0);
    }
    k.mseal(addr, len).map(|()| 0)
}

/// pkey_mprotect(2), as on a processor without protection keys: only the key "none".
pub fn pkey_mprotect<K: Kernel>(k: &K, addr: u64, len: u64, prot: u64, pkey: i32) -> SysResult {
    if pkey != -1 {
        return Err(Errno::EINVAL);
    }
    mprotect(k, addr, len, prot)
}

/// pkey_alloc(2): Linux on a processor without protection keys gives none out either, with this errno (and not with the
/// ENOSPC of the manual page).
pub fn pkey_alloc<K: Kernel>(_k: &K, _flags: u32, _rights: u32) -> SysResult {
    Err(Errno::EINVAL)
}

/// pkey_free(2): no key was ever given out.
pub fn pkey_free<K: Kernel>(_k: &K, _pkey: i32) -> SysResult {
    Err(Errno::EINVAL)
}
