use crate::kernel::Kernel;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, SysResult};

const PRIO_PROCESS: i32 = 0;
const PRIO_PGRP: i32 = 1;
const PRIO_USER: i32 = 2;

/// ESRCH unless `which` and `who` mean the calling process.
fn own<K: Kernel>(k: &K, which: i32, who: u32) -> Result<(), Errno> {
    let state = k.process();
    let mine = match which {
        PRIO_PROCESS => who == 0 || k.thread_exists(who as i32),
        PRIO_PGRP => who == 0 || who as i32 == state.pgid.load(Relaxed),
        PRIO_USER => who == 0 || who == state.with_identity(|id| id.ruid),
        _ => return Err(Errno::EINVAL),
    };
    if mine { Ok(()) } else { Err(Errno::ESRCH) }
}

/// getpriority(2): from 40 (nice -20) to 1 (nice 19), so that an answer is never negative.
pub fn getpriority<K: Kernel>(k: &K, which: i32, who: u32) -> SysResult {
    own(k, which, who)?;
    Ok((20 - k.process().nice.load(Relaxed)) as usize)
}

/// setpriority(2)
pub fn setpriority<K: Kernel>(k: &K, which: i32, who: u32, niceval: i32) -> SysResult {
    own(k, which, who)?;
    let state = k.process();
    let new = niceval.clamp(-20, 19);
    if new < state.nice.load(Relaxed) && !state.with_identity(|id| id.is_privileged()) {
        return Err(Errno::EACCES);
    }
    state.nice.store(new, Relaxed);
    Ok(0)
}

/// Which and who of ioprio_get(2) count from 1 where getpriority(2) counts from 0.
fn ioprio_own<K: Kernel>(k: &K, which: i32, who: i32) -> Result<(), Errno> {
    own(k, which.checked_sub(1).ok_or(Errno::EINVAL)?, who as u32)
}

/// ioprio_get(2): class "none", which means best effort by the nice value.
pub fn ioprio_get<K: Kernel>(k: &K, which: i32, who: i32) -> SysResult {
    const BEST_EFFORT_4: usize = 2 << 13 | 4;
    ioprio_own(k, which, who)?;
    Ok(BEST_EFFORT_4)
}

/// ioprio_set(2): there is no queue that would look at it.
pub fn ioprio_set<K: Kernel>(k: &K, which: i32, who: i32, ioprio: i32) -> SysResult {
    const IDLE: i32 = 3;
    let (class, level) = (ioprio >> 13, ioprio & 7);
    if !(0..=IDLE).contains(&class) || (class == 0 && level != 0) {
        return Err(Errno::EINVAL);
    }
    ioprio_own(k, which, who)?;
    Ok(0)
}
