use alloc::sync::Arc;
use linux_abi::{Errno, SigAction, SigSet, Siginfo, Signal, StackT, SysResult};
use vfs::Wake;

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillTarget {
    Process(i32),
    /// The process group; 0 is the caller's.
    Group(i32),
    /// Every process the caller may signal, without init and itself (kill(2) with -1).
    All,
    Thread {
        tgid: Option<i32>,
        tid: i32,
    },
}

/// Signals of the calling thread and its process.
pub trait Signals {
    /// The old action; `new` none only asks. The shim has refused SIGKILL and SIGSTOP and cleared them from the mask. A
    /// signal set to "ignore" is no longer pending afterwards.
    fn sigaction(&self, signal: Signal, new: Option<&SigAction>) -> Result<SigAction, Errno>;

    fn sigmask(&self) -> SigSet;

    /// The shim has removed SIGKILL and SIGSTOP.
    fn set_sigmask(&self, mask: SigSet);

    /// For ppoll(2), pselect(2), epoll_pwait(2), sigsuspend(2): sets `mask` and remembers the old one. If the call ends
    /// with an interruption, the handler runs under `mask` and the old one returns with its frame; otherwise the shim
    /// calls `restore_sigmask`.
    fn set_temporary_sigmask(&self, mask: SigSet);

    /// Back to the remembered mask.
    fn restore_sigmask(&self);

    /// Pending for the thread or its process, and blocked.
    fn sigpending(&self) -> SigSet;

    /// The old stack; `SS_ONSTACK` in it if the thread runs on it now. EPERM to change it then. `new` has been checked.
    fn sigaltstack(&self, new: Option<&StackT>) -> Result<StackT, Errno>;

    /// Sends. `info` none: only whether it could be sent (signal 0). ESRCH: nobody there. EAGAIN: the queue is full.
    fn kill(&self, target: KillTarget, info: Option<&Siginfo>) -> Result<(), Errno>;

    /// Takes the first pending signal of `set` out of the queues; none if there is none.
    fn take_signal(&self, set: SigSet) -> Option<Siginfo>;

    /// sigtimedwait(2): sleeps until `take_signal(set)` has one. EAGAIN after the deadline (CLOCK_MONOTONIC ns), EINTR by
    /// another signal.
    fn sigtimedwait(&self, set: SigSet, deadline: Option<u64>) -> Result<Siginfo, Errno>;

    /// What sends a process SIGIO when it is woken. ESRCH.
    fn io_signal(&self, pid: i32) -> Result<Arc<dyn Wake>, Errno>;

    /// rt_sigreturn(2): restores what the frame on the program's stack holds; the answer goes to rax as it is (with
    /// `Err` never used for more than a frame that cannot be read, after which SIGSEGV is on its way).
    fn sigreturn(&self) -> SysResult;
}
