//! Time: the clocks, which are the TSC scaled, and what is to happen at a point in time.

mod calibrate;
mod clock;
mod host;
mod timers;

pub use clock::{
    SHIFT, init, monotonic, monotonic_at, parameters, realtime, realtime_offset, tsc_khz, uptime,
};
pub use host::{HostClock, host};
pub use timers::{
    TimerId, add_timer, arm, arm_for_idle, cancel, idle_us, run_timers, timer_interrupt,
};

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
