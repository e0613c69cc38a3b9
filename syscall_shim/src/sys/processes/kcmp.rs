use crate::Fd;
use crate::kernel::Kernel;
use alloc::sync::Arc;
use core::cmp::Ordering;
use linux_abi::{Errno, SysResult};

/// `enum kcmp_type`.
const KCMP_FILE: i32 = 0;
/// `KCMP_VM` to `KCMP_SYSVSEM`: what the threads of a process share.
const SHARED: core::ops::RangeInclusive<i32> = 1..=6;
const KCMP_EPOLL_TFD: i32 = 7;

/// kcmp(2), of threads of the calling process.
pub fn kcmp<K: Kernel>(k: &K, pid1: i32, pid2: i32, kind: i32, idx1: u64, idx2: u64) -> SysResult {
    for pid in [pid1, pid2] {
        // 0 is no process here.
        if pid == 0 || !k.thread_exists(pid) {
            return Err(Errno::ESRCH);
        }
        if !k.is_own_thread(pid) {
            k.unsupported_part("kcmp: another process");
            return Err(Errno::EPERM);
        }
    }
    match kind {
        KCMP_FILE => {
            let [one, other] = [idx1, idx2].map(|fd| k.files().get(fd as Fd));
            let (one, other) = (Arc::as_ptr(&one?).addr(), Arc::as_ptr(&other?).addr());
            Ok(match one.cmp(&other) {
                Ordering::Equal => 0,
                Ordering::Less => 1,
                Ordering::Greater => 2,
            })
        }
        KCMP_EPOLL_TFD => {
            k.unsupported_part("kcmp: KCMP_EPOLL_TFD");
            Err(Errno::EOPNOTSUPP)
        }
        kind if SHARED.contains(&kind) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
