use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, SysResult, Timespec};

/// How long a thread runs before another of its kind: what sched_rr_get_interval(2) tells.
const SLICE_NS: i64 = 4_000_000;

/// Whether `policy` is one that is scheduled like the normal one; EPERM for those that need rights nobody has here.
pub(super) fn check_policy<K: Kernel>(k: &K, policy: u32, priority: i32) -> Result<(), Errno> {
    match policy & !raw::SCHED_RESET_ON_FORK {
        raw::SCHED_NORMAL | raw::SCHED_BATCH | raw::SCHED_IDLE if priority == 0 => Ok(()),
        raw::SCHED_FIFO | raw::SCHED_RR if (1..=99).contains(&priority) => {
            k.unsupported_part("sched_setscheduler: real-time policies");
            Err(Errno::EPERM)
        }
        raw::SCHED_DEADLINE => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn check_thread<K: Kernel>(k: &K, pid: i32) -> Result<(), Errno> {
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    if k.thread_exists(pid) {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

/// sched_setscheduler(2)
pub fn sched_setscheduler<K: Kernel>(
    k: &K,
    pid: i32,
    policy: u32,
    param: UserPtr<i32>,
) -> SysResult {
    if param.is_null() || (policy as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let priority = param.read(k)?;
    check_thread(k, pid)?;
    check_policy(k, policy, priority)?;
    k.set_sched_policy(pid, policy)?;
    Ok(0)
}

/// sched_getscheduler(2)
pub fn sched_getscheduler<K: Kernel>(k: &K, pid: i32) -> SysResult {
    check_thread(k, pid)?;
    Ok(k.sched_policy(pid)? as usize)
}

/// sched_setparam(2)
pub fn sched_setparam<K: Kernel>(k: &K, pid: i32, param: UserPtr<i32>) -> SysResult {
    if param.is_null() {
        return Err(Errno::EINVAL);
    }
    let priority = param.read(k)?;
    check_thread(k, pid)?;
    check_policy(k, raw::SCHED_NORMAL, priority)?;
    Ok(0)
}

/// sched_getparam(2)
pub fn sched_getparam<K: Kernel>(k: &K, pid: i32, param: UserPtr<i32>) -> SysResult {
    if param.is_null() {
        return Err(Errno::EINVAL);
    }
    check_thread(k, pid)?;
    param.write(k, &0)?;
    Ok(0)
}

/// The priorities of a policy: lowest and highest.
fn priorities(policy: u32) -> Result<(usize, usize), Errno> {
    match policy {
        raw::SCHED_FIFO | raw::SCHED_RR => Ok((1, 99)),
        raw::SCHED_NORMAL | raw::SCHED_BATCH | raw::SCHED_IDLE | raw::SCHED_DEADLINE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_get_priority_max(2)
pub fn sched_get_priority_max<K: Kernel>(_k: &K, policy: u32) -> SysResult {
    priorities(policy).map(|(_, highest)| highest)
}

/// sched_get_priority_min(2)
pub fn sched_get_priority_min<K: Kernel>(_k: &K, policy: u32) -> SysResult {
    priorities(policy).map(|(lowest, _)| lowest)
}

/// sched_rr_get_interval(2)
pub fn sched_rr_get_interval<K: Kernel>(k: &K, pid: i32, interval: UserPtr<Timespec>) -> SysResult {
    check_thread(k, pid)?;
    interval.write(k, &Timespec::from_ns(SLICE_NS))?;
    Ok(0)
}
