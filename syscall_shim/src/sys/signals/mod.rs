//! Signals.

mod action;
mod altstack;
mod kill;
mod mask;
mod queue;
mod take;

pub use action::rt_sigaction;
pub use altstack::sigaltstack;
pub(crate) use kill::signal_or_probe;
pub use kill::{kill, tgkill, tkill};
pub use mask::{rt_sigpending, rt_sigprocmask};
pub use queue::{rt_sigqueueinfo, rt_tgsigqueueinfo};
pub use take::{pause, restart_syscall, rt_sigreturn, rt_sigsuspend, rt_sigtimedwait};

use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, SigSet};

/// The size of the kernel's sigset_t, which every call that takes one checks.
pub(crate) const SIGSET_SIZE: usize = size_of::<SigSet>();

/// For calls that a handler interrupts whatever `SA_RESTART` says.
pub(crate) fn not_restarted(errno: Errno) -> Errno {
    if errno == Errno::ERESTARTSYS {
        Errno::ERESTARTNOHAND
    } else {
        errno
    }
}

/// The same for a wait whose length the program gave as a duration: made again, it ends when it was to end before.
pub(crate) fn resumed<K: Kernel>(k: &K, deadline: Option<u64>, errno: Errno) -> Errno {
    if let (Errno::ERESTARTSYS, Some(deadline)) = (errno, deadline) {
        k.keep_deadline(deadline);
    }
    not_restarted(errno)
}

/// Runs `wait` under the signal mask at `mask`, if there is one: ppoll(2), pselect(2), epoll_pwait(2).
pub(crate) fn with_sigmask<K: Kernel, R>(
    k: &K,
    mask: UserPtr<SigSet>,
    size: usize,
    wait: impl FnOnce() -> Result<R, Errno>,
) -> Result<R, Errno> {
    if mask.is_null() {
        return wait();
    }
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    k.set_temporary_sigmask(mask.read(k)?.without(SigSet::UNBLOCKABLE));
    let answer = wait();
    // An interruption leaves the mask to the signal's delivery, which runs the handler under it.
    if !matches!(
        answer,
        Err(Errno::EINTR | Errno::ERESTARTNOHAND | Errno::ERESTARTSYS)
    ) {
        k.restore_sigmask();
    }
    answer
}

#[cfg(test)]
mod tests;
