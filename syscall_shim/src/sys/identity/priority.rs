use crate::kernel::Kernel;
use crate::state::ProcessState;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Capability, Errno, SysResult};

const PRIO_PROCESS: i32 = 0;
const PRIO_PGRP: i32 = 1;
const PRIO_USER: i32 = 2;

/// Shows all processes that `which` and `who` mean to `look`. ESRCH: there is none.
fn each<K: Kernel>(
    k: &K,
    which: i32,
    who: u32,
    look: &mut dyn FnMut(&ProcessState),
) -> Result<(), Errno> {
    let own = k.process();
    let mut any = false;
    match which {
        PRIO_PROCESS => return k.with_process(who as i32, look),
        PRIO_PGRP => {
            let group = match who {
                0 => own.pgid.load(Relaxed),
                group => group as i32,
            };
            k.with_processes(&mut |_, state| {
                if state.pgid.load(Relaxed) == group {
                    any = true;
                    look(state);
                }
                true
            });
        }
        PRIO_USER => {
            let user = match who {
                0 => own.with_identity(|id| id.ruid),
                user => user,
            };
            k.with_processes(&mut |_, state| {
                if state.with_identity(|id| id.ruid) == user {
                    any = true;
                    look(state);
                }
                true
            });
        }
        _ => return Err(Errno::EINVAL),
    }
    if any { Ok(()) } else { Err(Errno::ESRCH) }
}

/// getpriority(2): from 40 (nice -20) to 1 (nice 19), so that an answer is never negative. Of several the best.
pub fn getpriority<K: Kernel>(k: &K, which: i32, who: u32) -> SysResult {
    let mut best = i32::MAX;
    each(k, which, who, &mut |state| {
        best = best.min(state.nice.load(Relaxed));
    })?;
    Ok((20 - best) as usize)
}

/// setpriority(2)
pub fn setpriority<K: Kernel>(k: &K, which: i32, who: u32, niceval: i32) -> SysResult {
    let (euid, privileged) = k
        .process()
        .with_identity(|id| (id.euid, id.can(Capability::SYS_NICE)));
    let new = niceval.clamp(-20, 19);
    let mut outcome = Ok(0);
    each(k, which, who, &mut |state| {
        let mine = state.with_identity(|id| euid == id.ruid || euid == id.euid);
        if !mine && !privileged {
            outcome = Err(Errno::EPERM);
        } else if new < state.nice.load(Relaxed) && !privileged {
            outcome = Err(Errno::EACCES);
        } else {
            state.nice.store(new, Relaxed);
        }
    })?;
    outcome
}

/// Which and who of ioprio_get(2) count from 1 where getpriority(2) counts from 0.
fn ioprio_own<K: Kernel>(k: &K, which: i32, who: i32) -> Result<(), Errno> {
    let which = which.checked_sub(1).ok_or(Errno::EINVAL)?;
    each(k, which, who as u32, &mut |_| {})
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
