use super::Mock;
use crate::kernel::{KillTarget, Signals};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::{Errno, SigAction, SigSet, Siginfo, Signal, StackT, SysResult};
use spin::Mutex;

/// What has happened to signals.
#[derive(Default)]
pub struct Recorded {
    pub actions: Mutex<BTreeMap<u8, SigAction>>,
    pub mask: Mutex<SigSet>,
    /// The mask that a temporary one has replaced.
    pub saved: Mutex<Option<SigSet>>,
    pub stack: Mutex<StackT>,
    pub sent: Mutex<Vec<(KillTarget, Option<Siginfo>)>>,
    pub pending: Mutex<Vec<Siginfo>>,
}

/// Whoever it is.
struct Nobody;

impl vfs::Wake for Nobody {
    fn wake(&self, _events: u32) {}
}

impl Signals for Mock {
    fn io_signal(&self, pid: i32) -> Result<Arc<dyn vfs::Wake>, Errno> {
        if pid == super::PID {
            Ok(Arc::new(Nobody))
        } else {
            Err(Errno::ESRCH)
        }
    }

    fn sigaction(&self, signal: Signal, new: Option<&SigAction>) -> Result<SigAction, Errno> {
        let mut actions = self.signals.actions.lock();
        let old = actions.get(&signal.number()).copied().unwrap_or_default();
        if let Some(new) = new {
            actions.insert(signal.number(), *new);
        }
        Ok(old)
    }

    fn sigmask(&self) -> SigSet {
        *self.signals.mask.lock()
    }

    fn set_sigmask(&self, mask: SigSet) {
        *self.signals.mask.lock() = mask;
    }

    fn set_temporary_sigmask(&self, mask: SigSet) {
        *self.signals.saved.lock() = Some(self.sigmask());
        self.set_sigmask(mask);
    }

    fn restore_sigmask(&self) {
        if let Some(mask) = self.signals.saved.lock().take() {
            self.set_sigmask(mask);
        }
    }

    fn sigpending(&self) -> SigSet {
        let pending = self.signals.pending.lock();
        let of = |info: &Siginfo| Signal::new(info.signo as u64).map_or(SigSet::EMPTY, SigSet::of);
        pending.iter().map(of).fold(SigSet::EMPTY, SigSet::union)
    }

    fn sigaltstack(&self, new: Option<&StackT>) -> Result<StackT, Errno> {
        let mut stack = self.signals.stack.lock();
        let old = *stack;
        if let Some(new) = new {
            *stack = *new;
        }
        Ok(old)
    }

    fn kill(&self, target: KillTarget, info: Option<&Siginfo>) -> Result<(), Errno> {
        self.signals.sent.lock().push((target, info.copied()));
        Ok(())
    }

    fn take_signal(&self, set: SigSet) -> Option<Siginfo> {
        let mut pending = self.signals.pending.lock();
        let wanted = |info: &Siginfo| {
            Signal::new(info.signo as u64).is_ok_and(|signal| set.contains(signal))
        };
        let at = pending.iter().position(wanted)?;
        Some(pending.remove(at))
    }

    fn sigtimedwait(&self, _set: SigSet, deadline: Option<u64>) -> Result<Siginfo, Errno> {
        let deadline = deadline.ok_or(Errno::EINTR)?;
        self.host.advance_to(deadline);
        Err(Errno::EAGAIN)
    }

    fn sigreturn(&self) -> SysResult {
        Ok(0x1234)
    }
}
