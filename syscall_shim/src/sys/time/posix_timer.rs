use super::{clock_from_id, signed};
use crate::kernel::{Clock, Interval, Kernel, TimerNotify};
use crate::user::UserPtr;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, Itimerspec, Sigevent, Signal, SysResult, Timespec};

/// timer_create(2)
pub fn timer_create<K: Kernel>(
    k: &K,
    clockid: u32,
    sevp: UserPtr<Sigevent>,
    timerid: UserPtr<i32>,
) -> SysResult {
    let clock = clock_from_id(clockid)?;
    match clock {
        Clock::MonotonicRaw | Clock::RealtimeCoarse | Clock::MonotonicCoarse => {
            return Err(Errno::EOPNOTSUPP);
        }
        _ => {}
    }
    let notify = match sevp.read_if(k)? {
        Some(event) => notification(&event)?,
        None => TimerNotify::Signal {
            signal: Signal::SIGALRM,
            value: None,
        },
    };
    let timer = k.timer_create(clock, notify)?;
    if let Err(errno) = timerid.write(k, &timer) {
        k.timer_delete(timer)?;
        return Err(errno);
    }
    Ok(0)
}

fn notification(event: &Sigevent) -> Result<TimerNotify, Errno> {
    let kind = u32::try_from(event.notify).map_err(|_| Errno::EINVAL)?;
    if kind == raw::SIGEV_NONE {
        return Ok(TimerNotify::None);
    }
    let signal = u64::try_from(event.signo)
        .map_err(|_| Errno::EINVAL)
        .and_then(Signal::new)?;
    let value = Some(event.value);
    match kind {
        // SIGEV_THREAD is the C library's; the kernel treats it as a signal.
        raw::SIGEV_SIGNAL | raw::SIGEV_THREAD => Ok(TimerNotify::Signal { signal, value }),
        raw::SIGEV_THREAD_ID => Ok(TimerNotify::Thread {
            signal,
            value,
            tid: event.thread_id,
        }),
        _ => Err(Errno::EINVAL),
    }
}

/// The nanoseconds of an itimerspec.
pub(crate) fn interval_of(spec: &Itimerspec) -> Result<Interval, Errno> {
    Ok(Interval {
        value: spec.value.to_ns()?,
        interval: spec.interval.to_ns()?,
    })
}

/// The itimerspec of a setting.
pub(crate) fn itimerspec(setting: Interval) -> Itimerspec {
    let time = |ns| Timespec::from_ns(signed(ns));
    Itimerspec {
        interval: time(setting.interval),
        value: time(setting.value),
    }
}

/// timer_settime(2)
pub fn timer_settime<K: Kernel>(
    k: &K,
    timer: i32,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> SysResult {
    if new.is_null() {
        return Err(Errno::EINVAL);
    }
    let setting = interval_of(&new.read(k)?)?;
    let before = k.timer_settime(timer, flags & raw::TIMER_ABSTIME != 0, setting)?;
    old.write_if(k, &itimerspec(before))?;
    Ok(0)
}

/// timer_gettime(2)
pub fn timer_gettime<K: Kernel>(k: &K, timer: i32, value: UserPtr<Itimerspec>) -> SysResult {
    let setting = k.timer_gettime(timer)?;
    value.write(k, &itimerspec(setting))?;
    Ok(0)
}

/// timer_getoverrun(2)
pub fn timer_getoverrun<K: Kernel>(k: &K, timer: i32) -> SysResult {
    k.timer_getoverrun(timer)
        .map(|count| count.min(i32::MAX as u32) as usize)
}

/// timer_delete(2)
pub fn timer_delete<K: Kernel>(k: &K, timer: i32) -> SysResult {
    k.timer_delete(timer).map(|()| 0)
}
