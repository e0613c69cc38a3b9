//! Clocks, sleeping, timers.

mod adjust;
mod clock;
mod itimer;
mod posix_timer;
mod sleep;
mod today;

pub use adjust::{adjtimex, clock_adjtime};
pub use clock::{clock_getres, clock_gettime};
pub use itimer::{alarm, getitimer, setitimer};
pub(crate) use posix_timer::{interval_of, itimerspec};
pub use posix_timer::{timer_create, timer_delete, timer_getoverrun, timer_gettime, timer_settime};
pub use sleep::{clock_nanosleep, nanosleep};
pub use today::{gettimeofday, time, times};

pub(crate) use clock::{clock_from_id, deadline_after, end_of_wait, monotonic_deadline};

/// Nanoseconds as the signed number that times are made of.
pub(crate) fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
