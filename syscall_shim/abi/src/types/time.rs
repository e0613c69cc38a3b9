//! Times and timers.
use crate::Errno;

const NS: i64 = 1_000_000_000;

abi_struct! {
    /// `struct timespec`.
    Timespec [16] { sec: i64, nsec: i64, }
    /// `struct timeval`.
    Timeval [16] { sec: i64, usec: i64, }
    /// `struct itimerspec`, timer_settime(2).
    Itimerspec [32] { interval: Timespec, value: Timespec, }
    /// `struct itimerval`, setitimer(2).
    Itimerval [32] { interval: Timeval, value: Timeval, }
    /// `struct timezone`, gettimeofday(2): always zero.
    Timezone [8] { minuteswest: i32, dsttime: i32, }
    /// `struct tms`, times(2), in clock ticks.
    Tms [32] { utime: i64, stime: i64, cutime: i64, cstime: i64, }
    /// `struct utimbuf`, utime(2).
    Utimbuf [16] { actime: i64, modtime: i64, }
    /// `struct sigevent`, timer_create(2).
    Sigevent [64] { value: u64, signo: i32, notify: i32, thread_id: i32, rest: [u32; 11], }
}

impl Timespec {
    /// Nanoseconds as a time; negative ones borrow from the seconds.
    #[must_use]
    pub const fn from_ns(ns: i64) -> Self {
        Self {
            sec: ns.div_euclid(NS),
            nsec: ns.rem_euclid(NS),
        }
    }

    /// Whether the fields are in range, as every call that takes a time demands.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.sec >= 0 && self.nsec >= 0 && self.nsec < NS
    }

    /// Nanoseconds; beyond 292 years it saturates, as the kernel's ktime does. EINVAL if a field is out of range.
    pub const fn to_ns(&self) -> Result<u64, Errno> {
        if !self.is_valid() {
            return Err(Errno::EINVAL);
        }
        Ok(self.sec.saturating_mul(NS).saturating_add(self.nsec) as u64)
    }
}

impl Timeval {
    /// Nanoseconds as a time, rounded down.
    #[must_use]
    pub const fn from_ns(ns: i64) -> Self {
        Self {
            sec: ns.div_euclid(NS),
            usec: ns.rem_euclid(NS) / 1000,
        }
    }

    /// Nanoseconds, saturating. EINVAL if a field is out of range.
    pub const fn to_ns(&self) -> Result<u64, Errno> {
        if self.sec < 0 || self.usec < 0 || self.usec >= 1_000_000 {
            return Err(Errno::EINVAL);
        }
        Ok(self.sec.saturating_mul(NS).saturating_add(self.usec * 1000) as u64)
    }
}
