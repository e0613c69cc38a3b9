use linux_abi::{Errno, Signal};

/// clock_gettime(2) clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Realtime,
    Monotonic,
    /// All threads of a process; 0 is the caller's.
    ProcessCpu(i32),
    /// One thread; 0 is the caller.
    ThreadCpu(i32),
    MonotonicRaw,
    RealtimeCoarse,
    MonotonicCoarse,
    Boottime,
    RealtimeAlarm,
    BoottimeAlarm,
    Tai,
}

/// A timer's setting, in nanoseconds. `value` 0 disarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    pub value: u64,
    pub interval: u64,
}

/// setitimer(2) timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItimerKind {
    Real,
    Virtual,
    Prof,
}

/// What a POSIX timer does when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerNotify {
    None,
    /// To the process; `value` is si_value, or the timer's number where the program gave no sigevent.
    Signal {
        signal: Signal,
        value: Option<u64>,
    },
    /// `SIGEV_THREAD_ID`.
    Thread {
        signal: Signal,
        value: Option<u64>,
        tid: i32,
    },
}

/// Clocks and timers. Times are nanoseconds.
pub trait Time {
    /// CLOCK_MONOTONIC, the quick way.
    fn monotonic(&self) -> u64;

    /// EINVAL for a CPU clock of a process or thread that does not exist.
    fn clock_gettime(&self, clock: Clock) -> Result<u64, Errno>;

    /// EINVAL as above.
    fn clock_getres(&self, clock: Clock) -> Result<u64, Errno>;

    /// The old setting; `new` none only asks.
    fn setitimer(&self, kind: ItimerKind, new: Option<Interval>) -> Result<Interval, Errno>;

    /// The timer's number. EAGAIN when there are too many. EINVAL if `tid` is no thread of the process.
    fn timer_create(&self, clock: Clock, notify: TimerNotify) -> Result<i32, Errno>;

    /// The old setting. EINVAL for an unknown timer.
    fn timer_settime(&self, timer: i32, absolute: bool, new: Interval) -> Result<Interval, Errno>;

    fn timer_gettime(&self, timer: i32) -> Result<Interval, Errno>;

    fn timer_getoverrun(&self, timer: i32) -> Result<u32, Errno>;

    fn timer_delete(&self, timer: i32) -> Result<(), Errno>;
}
