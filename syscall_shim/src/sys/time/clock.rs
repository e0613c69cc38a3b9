use super::signed;
use crate::kernel::{Clock, Kernel};
use crate::user::UserPtr;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, SysResult, Timespec};

/// The clock of a clockid_t. Negative ones (as signed) are CPU clocks of a process or thread.
pub(crate) fn clock_from_id(id: u32) -> Result<Clock, Errno> {
    Ok(match id {
        raw::CLOCK_REALTIME => Clock::Realtime,
        raw::CLOCK_MONOTONIC => Clock::Monotonic,
        raw::CLOCK_PROCESS_CPUTIME_ID => Clock::ProcessCpu(0),
        raw::CLOCK_THREAD_CPUTIME_ID => Clock::ThreadCpu(0),
        raw::CLOCK_MONOTONIC_RAW => Clock::MonotonicRaw,
        raw::CLOCK_REALTIME_COARSE => Clock::RealtimeCoarse,
        raw::CLOCK_MONOTONIC_COARSE => Clock::MonotonicCoarse,
        raw::CLOCK_BOOTTIME => Clock::Boottime,
        raw::CLOCK_REALTIME_ALARM => Clock::RealtimeAlarm,
        raw::CLOCK_BOOTTIME_ALARM => Clock::BoottimeAlarm,
        raw::CLOCK_TAI => Clock::Tai,
        _ => return cpu_clock(id as i32),
    })
}

/// clock_getcpuclockid(3): the complement of the pid, three bits up; bit 2 says thread, bits 0 and 1 which clock.
fn cpu_clock(id: i32) -> Result<Clock, Errno> {
    const PER_THREAD: i32 = 4;
    if id >= 0 || id & 3 == 3 {
        return Err(Errno::EINVAL);
    }
    let pid = !(id >> 3);
    Ok(if id & PER_THREAD != 0 {
        Clock::ThreadCpu(pid)
    } else {
        Clock::ProcessCpu(pid)
    })
}

/// clock_gettime(2)
pub fn clock_gettime<K: Kernel>(k: &K, clockid: u32, time: UserPtr<Timespec>) -> SysResult {
    let now = k.clock_gettime(clock_from_id(clockid)?)?;
    time.write(k, &Timespec::from_ns(signed(now)))?;
    Ok(0)
}

/// clock_getres(2)
pub fn clock_getres<K: Kernel>(k: &K, clockid: u32, res: UserPtr<Timespec>) -> SysResult {
    let resolution = k.clock_getres(clock_from_id(clockid)?)?;
    res.write_if(k, &Timespec::from_ns(signed(resolution)))?;
    Ok(0)
}

/// The CLOCK_MONOTONIC time at which `clock` reads `time`: how the shim's waits are given. CPU clocks have none.
pub(crate) fn monotonic_deadline<K: Kernel>(k: &K, clock: Clock, time: u64) -> Result<u64, Errno> {
    match clock {
        Clock::Monotonic => Ok(time),
        Clock::ProcessCpu(_) | Clock::ThreadCpu(_) => Err(Errno::EOPNOTSUPP),
        _ => {
            let left = time.saturating_sub(k.clock_gettime(clock)?);
            Ok(k.monotonic().saturating_add(left))
        }
    }
}

/// When a wait of `ns` ends: if it was interrupted and is made again, when it was to end then.
pub(crate) fn end_of_wait<K: Kernel>(k: &K, ns: u64) -> u64 {
    k.take_deadline()
        .unwrap_or_else(|| k.monotonic().saturating_add(ns))
}

/// The deadline of a relative timeout, which is EINVAL out of range; no pointer, no deadline.
pub(crate) fn deadline_after<K: Kernel>(
    k: &K,
    timeout: UserPtr<Timespec>,
) -> Result<Option<u64>, Errno> {
    match timeout.read_if(k)? {
        Some(timeout) => Ok(Some(k.monotonic().saturating_add(timeout.to_ns()?))),
        None => Ok(None),
    }
}
