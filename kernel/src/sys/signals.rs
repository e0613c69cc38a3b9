//! Signals of the calling thread and to others.

use super::Caller;
use crate::percpu;
use crate::task::{Process as Task, Thread, family, sigframe, signal, wait};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_abi::{Errno, SigAction, SigSet, Siginfo, Signal, SsFlags, StackT, SysResult};
use syscall_shim::kernel::{KillTarget, Signals, Woken};
use vfs::Wake;

/// Tells a process that a file is ready. It is not looked up by its number: this may be called with the table of processes locked.
struct IoSignal(Weak<Task>);

impl Wake for IoSignal {
    fn wake(&self, _events: u32) {
        if let Some(process) = self.0.upgrade() {
            // It cannot fail: this is no real-time signal.
            let _ = signal::send_to_process(&process, Siginfo::kernel(Signal::SIGIO));
        }
    }
}

/// Who gets a signal.
enum Receiver {
    Processes(Vec<Arc<Task>>),
    Thread(Arc<Thread>),
}

impl Caller<'_> {
    fn receiver(&self, target: KillTarget) -> Result<Receiver, Errno> {
        let own = &self.thread().process;
        match target {
            KillTarget::Process(pid) => self
                .find_process(pid)
                .map(|process| Receiver::Processes(Vec::from([process])))
                .ok_or(Errno::ESRCH),
            KillTarget::Group(0) => {
                let group = own.state.pgid.load(Ordering::Relaxed);
                Ok(Receiver::Processes(family::group(group)))
            }
            KillTarget::Group(group) => Ok(Receiver::Processes(family::group(group))),
            KillTarget::All => Ok(Receiver::Processes(family::others(own))),
            KillTarget::Thread { tgid, tid } => {
                let thread = Thread::find(tid)
                    .filter(|thread| tgid.is_none_or(|tgid| tgid == thread.process.pid));
                thread.map(Receiver::Thread).ok_or(Errno::ESRCH)
            }
        }
    }
}

impl Caller<'_> {
    /// EPERM if the caller may not signal the process. A shell may continue whatever is of its session.
    fn check_kill(&self, process: &Task, info: Option<&Siginfo>) -> Result<(), Errno> {
        let session = |process: &Task| process.state.sid.load(Ordering::Relaxed);
        let continues = info.is_some_and(|info| info.signo == i32::from(Signal::SIGCONT.number()));
        if continues && session(process) == session(&self.thread().process) {
            return Ok(());
        }
        self.check_control(process)
    }

    /// As kill(2): it is enough if one could be sent.
    fn send_to_all(&self, processes: &[Arc<Task>], info: Option<&Siginfo>) -> Result<(), Errno> {
        let mut outcome = Err(Errno::ESRCH);
        for process in processes {
            let sent = self
                .check_kill(process, info)
                .and_then(|()| info.map_or(Ok(()), |info| signal::send_to_process(process, *info)));
            if outcome.is_err() {
                outcome = sent;
            }
        }
        outcome
    }
}

impl Signals for Caller<'_> {
    fn sigaction(&self, signal: Signal, new: Option<&SigAction>) -> Result<SigAction, Errno> {
        Ok(signal::set_action(&self.thread().process, signal, new))
    }

    fn sigmask(&self) -> SigSet {
        self.thread().signals.lock().mask
    }

    fn set_sigmask(&self, mask: SigSet) {
        signal::set_mask(mask);
    }

    fn set_temporary_sigmask(&self, mask: SigSet) {
        let mut signals = self.thread().signals.lock();
        // A call that is interrupted and made again finds the mask of before still remembered.
        let before = signals.saved_mask.unwrap_or(signals.mask);
        signals.saved_mask = Some(before);
        signals.mask = mask;
        drop(signals);
        percpu::request_work();
    }

    fn restore_sigmask(&self) {
        let before = self.thread().signals.lock().saved_mask.take();
        if let Some(before) = before {
            signal::set_mask(before);
        }
    }

    fn sigpending(&self) -> SigSet {
        signal::pending_blocked(self.thread())
    }

    fn sigaltstack(&self, new: Option<&StackT>) -> Result<StackT, Errno> {
        let sp = self.with_frame(|frame| frame.rsp);
        let mut signals = self.thread().signals.lock();
        let mut old = signals.alternate;
        let on_it = signal::on_alternate(&old, sp);
        if old.size == 0 {
            old.flags |= SsFlags::SS_DISABLE.bits();
        } else if on_it {
            old.flags |= SsFlags::SS_ONSTACK.bits();
        }
        if let Some(new) = new {
            if on_it {
                return Err(Errno::EPERM);
            }
            signals.alternate = *new;
        }
        Ok(old)
    }

    fn kill(&self, target: KillTarget, info: Option<&Siginfo>) -> Result<(), Errno> {
        let receiver = self.receiver(target)?;
        match receiver {
            Receiver::Processes(processes) => self.send_to_all(&processes, info),
            Receiver::Thread(thread) => {
                self.check_kill(&thread.process, info)?;
                info.map_or(Ok(()), |info| signal::send_to_thread(&thread, *info))
            }
        }
    }

    fn take_signal(&self, set: SigSet) -> Option<Siginfo> {
        signal::take(self.thread(), set)
    }

    fn sigtimedwait(&self, set: SigSet, deadline: Option<u64>) -> Result<Siginfo, Errno> {
        let thread = self.thread();
        let arrivals = thread.process.signals.lock().arrivals.clone();
        let mut taken = None;
        let outcome = wait::wait(&[&arrivals], deadline, &mut || {
            taken = signal::take(thread, set);
            taken.is_some()
        });
        match (outcome, taken) {
            (_, Some(info)) => Ok(info),
            (Ok(Woken::Ready | Woken::TimedOut), None) => Err(Errno::EAGAIN),
            (Err(_), None) => Err(Errno::EINTR),
        }
    }

    fn io_signal(&self, pid: i32) -> Result<Arc<dyn Wake>, Errno> {
        let process = self.find_process(pid).ok_or(Errno::ESRCH)?;
        Ok(Arc::new(IoSignal(Arc::downgrade(&process))))
    }

    fn sigreturn(&self) -> SysResult {
        let restored =
            self.with_frame(|frame| sigframe::pop(self.thread(), frame).map(|()| frame.rax));
        match restored {
            Ok(rax) => Ok(rax as usize),
            Err(errno) => {
                signal::force(Siginfo::kernel(Signal::SIGSEGV));
                Err(errno)
            }
        }
    }
}
