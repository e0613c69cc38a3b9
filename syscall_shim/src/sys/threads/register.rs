use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, RobustListHead, Rseq, SysResult};

/// set_tid_address(2)
pub fn set_tid_address<K: Kernel>(k: &K, tidptr: u64) -> SysResult {
    Ok(k.set_tid_address(tidptr) as usize)
}

/// set_robust_list(2)
pub fn set_robust_list<K: Kernel>(k: &K, head: u64, size: usize) -> SysResult {
    if size != size_of::<RobustListHead>() {
        return Err(Errno::EINVAL);
    }
    k.set_robust_list(head);
    Ok(0)
}

/// get_robust_list(2)
pub fn get_robust_list<K: Kernel>(
    k: &K,
    pid: i32,
    head: UserPtr<u64>,
    size: UserPtr<u64>,
) -> SysResult {
    let tid = if pid == 0 { k.gettid() } else { pid };
    let list = k.get_robust_list(tid)?;
    size.write(k, &(size_of::<RobustListHead>() as u64))?;
    head.write(k, &list)?;
    Ok(0)
}

/// rseq(2)
pub fn rseq<K: Kernel>(k: &K, rseq: u64, len: u32, flags: u32, sig: u32) -> SysResult {
    const RSEQ_FLAG_UNREGISTER: u32 = 1;
    if flags & !RSEQ_FLAG_UNREGISTER != 0 {
        return Err(Errno::EINVAL);
    }
    let unregister = flags & RSEQ_FLAG_UNREGISTER != 0;
    // The kernel's alignment and size; longer areas belong to newer C libraries.
    let size = size_of::<Rseq>() as u64;
    if !unregister && (!rseq.is_multiple_of(size) || u64::from(len) != size) {
        return Err(Errno::EINVAL);
    }
    if !unregister && !k.access_ok(rseq, u64::from(len)) {
        return Err(Errno::EFAULT);
    }
    k.rseq(rseq, len, unregister, sig).map(|()| 0)
}
