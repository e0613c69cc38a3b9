use crate::state::ProcessState;
use linux_abi::{Errno, Siginfo, WaitFlags};

/// getrusage(2): whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageOf {
    Process,
    Children,
    Thread,
}

/// Resources used. Times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub user: u64,
    pub system: u64,
    pub max_rss_kib: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
}

/// Which children wait4(2) and waitid(2) wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitTarget {
    Any,
    Pid(i32),
    /// 0: the caller's.
    Group(i32),
}

/// A child that changed state.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    pub pid: i32,
    /// As wait(2) encodes it.
    pub status: i32,
    pub info: Siginfo,
    pub usage: Usage,
}

/// The calling thread's process.
pub trait Process {
    fn getpid(&self) -> i32;

    fn getppid(&self) -> i32;

    /// What the shim keeps for the process: identity, limits, prctl(2) settings. Made by `ProcessState::new` with the
    /// process.
    fn process(&self) -> &ProcessState;

    /// Whether there is a process `pid`.
    fn process_exists(&self, pid: i32) -> bool;

    fn getrusage(&self, of: UsageOf) -> Usage;

    /// Sleeps (unless `WNOHANG`: none then) until a child of the target has changed state. ECHILD: there is no such child.
    fn wait_child(&self, target: WaitTarget, flags: WaitFlags) -> Result<Option<Waited>, Errno>;

    /// The limits have changed: what the kernel keeps a copy of (the descriptor table's size) is to follow.
    fn limits_changed(&self);
}
