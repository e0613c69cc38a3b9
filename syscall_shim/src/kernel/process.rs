use super::CloneRequest;
use crate::state::ProcessState;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::{Errno, Siginfo, SysResult, WaitFlags};
use vfs::{File, Place};

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

/// kcmp(2): what processes may have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    Memory,
    Files,
    Directories,
    SignalActions,
    /// What semop(2) is to undo, as far as there is anything.
    SemaphoreUndo,
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

/// execve(2), with its strings read.
pub struct ExecRequest {
    pub place: Place,
    /// The path as the caller gave it; for a descriptor one below /dev/fd.
    pub path: Vec<u8>,
    pub args: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
}

/// The calling thread's process, and others.
pub trait Process {
    fn getpid(&self) -> i32;

    fn getppid(&self) -> i32;

    /// What the shim keeps for the process: identity, limits, prctl(2) settings. Made by `ProcessState::new` with the
    /// process.
    fn process(&self) -> &ProcessState;

    /// Whether there is a process `pid`.
    fn process_exists(&self, pid: i32) -> bool;

    /// Looks at what is kept for another process, or for the one that has a thread of that number (0: the caller's). ESRCH.
    fn with_process(&self, pid: i32, look: &mut dyn FnMut(&ProcessState)) -> Result<(), Errno>;

    /// The same for all processes, until one is enough (`look` answers false).
    fn with_processes(&self, look: &mut dyn FnMut(i32, &ProcessState) -> bool);

    /// setpgid(2), 0 for the caller and for the process's own number. ESRCH: neither the caller nor a child of it. EACCES: the
    /// child runs another program. EPERM: another session, a session's leader, or no such group.
    fn set_process_group(&self, pid: i32, pgid: i32) -> Result<(), Errno>;

    /// fork(2), vfork(2): the child's number.
    fn start_process(&self, request: &CloneRequest) -> Result<i32, Errno>;

    /// execve(2). Returns only if it fails.
    fn exec(&self, request: ExecRequest) -> SysResult;

    /// A file for a process, with these flags of open(2). ESRCH, EINVAL if the number is another thread's than the first.
    fn pidfd(&self, pid: i32, flags: u32) -> Result<Arc<File>, Errno>;

    /// The process of such a file; EBADF if it is none.
    fn pidfd_target(&self, file: &File) -> Result<i32, Errno>;

    /// The process that pidfd_send_signal(2) means by a file: besides those files a directory of /proc. EBADF, ESRCH.
    fn signal_target(&self, file: &File) -> Result<i32, Errno>;

    /// Whether the caller may look into another process (`PTRACE_MODE_ATTACH`), named by any of its threads. ESRCH, EPERM.
    fn may_inspect(&self, pid: i32) -> Result<(), Errno>;

    /// Copies from another process's memory, which the caller may look into. ESRCH, EFAULT.
    fn read_of(&self, pid: i32, addr: u64, into: &mut [u8]) -> Result<(), Errno>;

    /// Copies into it.
    fn write_of(&self, pid: i32, addr: u64, from: &[u8]) -> Result<(), Errno>;

    /// What tells the object apart that the process of a thread has of a kind; equal where two have one in common. ESRCH.
    fn object_of(&self, tid: i32, kind: ObjectKind) -> Result<usize, Errno>;

    /// A descriptor of another process. ESRCH, EBADF, EPERM.
    fn file_of(&self, pid: i32, fd: i32) -> Result<Arc<File>, Errno>;

    fn getrusage(&self, of: UsageOf) -> Usage;

    /// Sleeps (unless `WNOHANG`: none then) until a child of the target has changed state. ECHILD: there is no such child.
    fn wait_child(&self, target: WaitTarget, flags: WaitFlags) -> Result<Option<Waited>, Errno>;

    /// A process's limits have changed (0: the caller's): what the kernel keeps a copy of (the descriptor table's size) is to
    /// follow.
    fn limits_changed(&self, pid: i32);
}
