use super::signed;
use crate::kernel::{Interval, ItimerKind, Kernel};
use crate::user::UserPtr;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, Itimerval, SysResult, Timeval};

const SECOND: u64 = 1_000_000_000;

fn kind(which: u32) -> Result<ItimerKind, Errno> {
    match which {
        raw::ITIMER_REAL => Ok(ItimerKind::Real),
        raw::ITIMER_VIRTUAL => Ok(ItimerKind::Virtual),
        raw::ITIMER_PROF => Ok(ItimerKind::Prof),
        _ => Err(Errno::EINVAL),
    }
}

/// An armed timer never reads as zero, which would mean disarmed.
fn timeval(ns: u64) -> Timeval {
    Timeval::from_ns(signed(ns.next_multiple_of(1000)))
}

fn itimerval(setting: Interval) -> Itimerval {
    Itimerval {
        interval: timeval(setting.interval),
        value: timeval(setting.value),
    }
}

/// getitimer(2)
pub fn getitimer<K: Kernel>(k: &K, which: u32, value: UserPtr<Itimerval>) -> SysResult {
    let setting = k.setitimer(kind(which)?, None)?;
    value.write(k, &itimerval(setting))?;
    Ok(0)
}

/// setitimer(2). No new value means zero, an old kindness of Linux.
pub fn setitimer<K: Kernel>(
    k: &K,
    which: u32,
    new: UserPtr<Itimerval>,
    old: UserPtr<Itimerval>,
) -> SysResult {
    let new = new.read_if(k)?.unwrap_or_default();
    let new = Interval {
        value: new.value.to_ns()?,
        interval: new.interval.to_ns()?,
    };
    let before = k.setitimer(kind(which)?, Some(new))?;
    old.write_if(k, &itimerval(before))?;
    Ok(0)
}

/// alarm(2): whole seconds, and the rest of the old one rounded to the nearest, but never to 0.
pub fn alarm<K: Kernel>(k: &K, seconds: u32) -> SysResult {
    let new = Interval {
        value: u64::from(seconds) * SECOND,
        interval: 0,
    };
    let before = k.setitimer(ItimerKind::Real, Some(new))?.value;
    let rounded = (before + SECOND / 2) / SECOND;
    Ok(if before > 0 { rounded.max(1) } else { 0 } as usize)
}
