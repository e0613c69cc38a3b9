use super::{SIGSET_SIZE, not_restarted};
use crate::kernel::Kernel;
use crate::sys::time::deadline_after;
use crate::user::UserPtr;
use linux_abi::{Errno, SigSet, Siginfo, SysResult, Timespec};

/// Sleeps until a signal ends the call.
fn wait_for_signal<K: Kernel>(k: &K) -> SysResult {
    loop {
        k.wait(&[], None, &mut || false).map_err(not_restarted)?;
    }
}

/// pause(2)
pub fn pause<K: Kernel>(k: &K) -> SysResult {
    wait_for_signal(k)
}

/// rt_sigsuspend(2)
pub fn rt_sigsuspend<K: Kernel>(k: &K, set: UserPtr<SigSet>, size: usize) -> SysResult {
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    k.set_temporary_sigmask(set.read(k)?.without(SigSet::UNBLOCKABLE));
    wait_for_signal(k)
}

/// rt_sigtimedwait(2)
pub fn rt_sigtimedwait<K: Kernel>(
    k: &K,
    set: UserPtr<SigSet>,
    info: UserPtr<Siginfo>,
    timeout: UserPtr<Timespec>,
    size: usize,
) -> SysResult {
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = set.read(k)?.without(SigSet::UNBLOCKABLE);
    let deadline = deadline_after(k, timeout)?;
    let taken = match k.take_signal(set) {
        Some(taken) => taken,
        None => k.sigtimedwait(set, deadline)?,
    };
    info.write_if(k, &taken)?;
    Ok(taken.signo as usize)
}

/// rt_sigreturn(2)
pub fn rt_sigreturn<K: Kernel>(k: &K) -> SysResult {
    k.sigreturn()
}

/// restart_syscall(2): interrupted calls are repeated whole, so this has nothing to go on with.
pub fn restart_syscall<K: Kernel>(_k: &K) -> SysResult {
    Err(Errno::EINTR)
}
