use super::{clock_from_id, end_of_wait, monotonic_deadline, signed};
use crate::kernel::{Clock, Kernel};
use crate::sys::signals::{not_restarted, resumed};
use crate::user::UserPtr;
use linux_abi::{Errno, SysResult, Timespec};

/// nanosleep(2): measures CLOCK_MONOTONIC, as Linux does.
pub fn nanosleep<K: Kernel>(
    k: &K,
    duration: UserPtr<Timespec>,
    rem: UserPtr<Timespec>,
) -> SysResult {
    let duration = duration.read(k)?.to_ns()?;
    sleep_for(k, duration, rem)
}

/// clock_nanosleep(2)
pub fn clock_nanosleep<K: Kernel>(
    k: &K,
    clockid: u32,
    flags: u32,
    duration: UserPtr<Timespec>,
    rem: UserPtr<Timespec>,
) -> SysResult {
    const TIMER_ABSTIME: u32 = 1;
    let clock = clock_from_id(clockid)?;
    match clock {
        Clock::ThreadCpu(0) => return Err(Errno::EINVAL),
        Clock::MonotonicRaw | Clock::RealtimeCoarse | Clock::MonotonicCoarse => {
            return Err(Errno::EOPNOTSUPP);
        }
        Clock::ProcessCpu(_) | Clock::ThreadCpu(_) => {
            k.unsupported_part("clock_nanosleep: CPU-time clocks");
            return Err(Errno::EOPNOTSUPP);
        }
        _ => {}
    }
    let time = duration.read(k)?.to_ns()?;
    if flags & TIMER_ABSTIME == 0 {
        return sleep_for(k, time, rem);
    }
    let deadline = monotonic_deadline(k, clock, time)?;
    // An absolute sleep that is interrupted without a handler simply goes on to the same point.
    sleep_until(k, deadline).map(|()| 0)
}

fn sleep_for<K: Kernel>(k: &K, duration: u64, rem: UserPtr<Timespec>) -> SysResult {
    let deadline = end_of_wait(k, duration);
    let interrupted = match k.wait(&[], Some(deadline), &mut || false) {
        Ok(_) => return Ok(0),
        Err(errno) => resumed(k, Some(deadline), errno),
    };
    let left = deadline.saturating_sub(k.monotonic());
    rem.write_if(k, &Timespec::from_ns(signed(left)))?;
    Err(interrupted)
}

fn sleep_until<K: Kernel>(k: &K, deadline: u64) -> Result<(), Errno> {
    k.wait(&[], Some(deadline), &mut || false)
        .map(drop)
        .map_err(not_restarted)
}
