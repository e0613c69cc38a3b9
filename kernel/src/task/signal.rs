//! Signals: pending queues, who takes them, what they do by default. Frames on the program's stack: `sigframe`.

use super::frame::Frame;
use super::process::{News, Process};
use super::thread::{State, Thread};
use super::{family, sigframe};
use crate::percpu;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_abi::{
    CloneFlags, Errno, SI_TIMER, SIG_DFL, SIG_IGN, SaFlags, SigAction, SigSet, Siginfo, Signal,
    SsFlags, StackT,
};
use spin::Mutex;
use syscall_shim::state::Resource;
use vfs::WaitList;

/// Pending signals: one of each standard one, all of the real-time ones.
#[derive(Default)]
pub struct Queue {
    set: SigSet,
    infos: Vec<Siginfo>,
}

impl Queue {
    fn push(&mut self, signal: Signal, info: Siginfo, limit: usize) -> Result<(), Errno> {
        if !signal.is_realtime() && self.set.contains(signal) {
            return Ok(());
        }
        if signal.is_realtime() && self.infos.len() >= limit {
            return Err(Errno::EAGAIN);
        }
        self.set = self.set.union(SigSet::of(signal));
        self.infos.push(info);
        Ok(())
    }

    /// The first pending signal of `wanted`.
    fn take(&mut self, wanted: SigSet) -> Option<Siginfo> {
        let signal = preferred(self.set.intersection(wanted))?;
        let at = self
            .infos
            .iter()
            .position(|info| info.signo == i32::from(signal.number()))?;
        let info = self.infos.remove(at);
        if !self.infos.iter().any(|other| other.signo == info.signo) {
            self.set = self.set.without(SigSet::of(signal));
        }
        Some(info)
    }

    fn discard_of_timer(&mut self, id: i32) {
        let is_its = |info: &Siginfo| info.code == SI_TIMER && info.pid() == id;
        let signals = self.infos.iter().filter(|info| is_its(info));
        let Some(number) = signals.map(|info| info.signo).next() else {
            return;
        };
        self.infos.retain(|info| !is_its(info));
        if !self.infos.iter().any(|info| info.signo == number)
            && let Ok(signal) = Signal::new(number as u64)
        {
            self.set = self.set.without(SigSet::of(signal));
        }
    }

    fn discard(&mut self, signal: Signal) {
        self.set = self.set.without(SigSet::of(signal));
        self.infos
            .retain(|info| info.signo != i32::from(signal.number()));
    }
}

/// Faults come before everything else, then the lowest number.
fn preferred(set: SigSet) -> Option<Signal> {
    const SYNCHRONOUS: [Signal; 6] = [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGSYS,
    ];
    let faults = SYNCHRONOUS
        .iter()
        .fold(SigSet::EMPTY, |set, &signal| set.union(SigSet::of(signal)));
    set.intersection(faults).first().or_else(|| set.first())
}

#[derive(Default)]
pub struct ThreadSignals {
    pub mask: SigSet,
    /// What ppoll(2) and its kin replaced.
    pub saved_mask: Option<SigSet>,
    pending: Queue,
    pub alternate: StackT,
    /// The last exception, for the signal context.
    pub fault: super::fault::Last,
}

/// What a process does about each signal.
type Actions = [SigAction; Signal::MAX as usize];

pub struct ProcessSignals {
    /// Shared with other processes after `CLONE_SIGHAND`. No other lock is taken while it is held.
    actions: Arc<Mutex<Actions>>,
    pending: Queue,
    /// For signalfd and sigtimedwait.
    pub arrivals: Arc<WaitList>,
}

impl Default for ProcessSignals {
    fn default() -> Self {
        Self {
            actions: Arc::new(Mutex::new([SigAction::default(); Signal::MAX as usize])),
            pending: Queue::default(),
            arrivals: Arc::new(WaitList::new()),
        }
    }
}

impl ProcessSignals {
    /// Actions are inherited, pending signals are not. A signalfd is told of the arrivals at whoever reads it, so all that
    /// may have inherited one share the list.
    pub fn inherit(&mut self, parent: &ProcessSignals, flags: CloneFlags) {
        self.arrivals = parent.arrivals.clone();
        if flags.contains(CloneFlags::CLONE_SIGHAND) {
            self.actions = parent.actions.clone();
            return;
        }
        *self.actions.lock() = *parent.actions.lock();
        if flags.contains(CloneFlags::CLONE_CLEAR_SIGHAND) {
            self.reset_handlers();
        }
    }

    /// What execve(2) does: only what is ignored stays so. From then on the actions are the process's own.
    pub fn reset_handlers(&mut self) {
        let mut actions = *self.actions.lock();
        for action in &mut actions {
            let handler = if action.handler == SIG_IGN {
                SIG_IGN
            } else {
                SIG_DFL
            };
            *action = SigAction {
                handler,
                ..SigAction::default()
            };
        }
        match Arc::get_mut(&mut self.actions) {
            Some(own) => *own.get_mut() = actions,
            None => self.actions = Arc::new(Mutex::new(actions)),
        }
    }
}

impl ThreadSignals {
    /// What the thread that execve(2) makes begins with.
    pub fn take_over(&mut self, from: &mut ThreadSignals) {
        self.mask = from.mask;
        self.pending = core::mem::take(&mut from.pending);
    }
}

impl ProcessSignals {
    pub fn action(&self, signal: Signal) -> SigAction {
        self.actions
            .lock()
            .get(usize::from(signal.number()) - 1)
            .copied()
            .unwrap_or_default()
    }

    /// Tells apart whose actions are shared.
    #[must_use]
    pub fn actions_address(&self) -> usize {
        Arc::as_ptr(&self.actions).addr()
    }

    fn set_action(&mut self, signal: Signal, action: SigAction) {
        if let Some(slot) = self
            .actions
            .lock()
            .get_mut(usize::from(signal.number()) - 1)
        {
            *slot = action;
        }
    }
}

/// What a signal does without a handler.
#[derive(PartialEq, Eq)]
enum Default_ {
    Ignore,
    Terminate,
    Stop,
}

fn default_of(signal: Signal) -> Default_ {
    match signal {
        Signal::SIGCHLD | Signal::SIGURG | Signal::SIGWINCH | Signal::SIGCONT => Default_::Ignore,
        Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => Default_::Stop,
        _ => Default_::Terminate,
    }
}

fn is_ignored(signal: Signal, action: &SigAction) -> bool {
    action.handler == SIG_IGN
        || (action.handler == SIG_DFL && default_of(signal) == Default_::Ignore)
}

/// Whether the thread has to look at signals on its way out, or at its process's end.
#[must_use]
pub fn has_work(thread: &Thread) -> bool {
    if thread.is_doomed() || thread.process.is_stopped() {
        return true;
    }
    let signals = thread.signals.lock();
    signals.saved_mask.is_some() || !deliverable(thread, &signals).is_empty()
}

/// What is pending and not blocked.
fn deliverable(thread: &Thread, signals: &ThreadSignals) -> SigSet {
    let shared = thread.process.signals.lock().pending.set;
    signals.pending.set.union(shared).without(signals.mask)
}

/// Whether a signal would end a wait of this thread.
#[must_use]
pub fn interrupts(thread: &Thread) -> bool {
    thread.is_doomed() || !deliverable(thread, &thread.signals.lock()).is_empty()
}

/// After a change of the mask or an arrival: has the running thread come back to it.
pub fn note_pending(thread: &Thread) {
    if percpu::is_current(thread) {
        percpu::request_work();
    } else {
        super::sched::notify(thread);
    }
    // It may be asleep even so: an idle processor stays with the thread that slept last.
    thread.wake_up();
}

fn queue_limit(process: &Process) -> usize {
    process.state.limits.lock().current(Resource::SIGPENDING) as usize
}

/// Queues a signal to one thread.
pub fn send_to_thread(thread: &Thread, info: Siginfo) -> Result<(), Errno> {
    let signal = Signal::new(info.signo as u64)?;
    prepare(&thread.process, signal);
    if discards(
        &thread.process,
        signal,
        thread.signals.lock().mask.contains(signal),
    ) {
        return Ok(());
    }
    let limit = queue_limit(&thread.process);
    thread.signals.lock().pending.push(signal, info, limit)?;
    announce(&thread.process);
    note_pending(thread);
    Ok(())
}

/// Queues a signal to a process and wakes a thread that can take it.
pub fn send_to_process(process: &Process, info: Siginfo) -> Result<(), Errno> {
    let signal = Signal::new(info.signo as u64)?;
    prepare(process, signal);
    let threads = process.live_threads();
    let blocked = threads
        .iter()
        .all(|thread| thread.signals.lock().mask.contains(signal));
    if discards(process, signal, blocked) {
        return Ok(());
    }
    let limit = queue_limit(process);
    process.signals.lock().pending.push(signal, info, limit)?;
    announce(process);
    let takes = |thread: &&Arc<Thread>| {
        thread.state() != State::Dead && !thread.signals.lock().mask.contains(signal)
    };
    if let Some(thread) = threads.iter().find(takes) {
        note_pending(thread);
    }
    Ok(())
}

/// What a signal does when it is sent, be it blocked or ignored: a process goes on, or is not to go on.
fn prepare(process: &Process, signal: Signal) {
    const STOPS: [Signal; 4] = [
        Signal::SIGSTOP,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ];
    match signal {
        Signal::SIGKILL => {
            process.resume();
        }
        Signal::SIGCONT => {
            STOPS.iter().for_each(|stop| discard(process, *stop));
            if process.resume() {
                // The thread that goes on first tells the parent: here the table of processes may be locked.
                process.set_news(News::Continued);
                process.tells_going_on.store(true, Ordering::SeqCst);
            }
        }
        _ if STOPS.contains(&signal) => discard(process, Signal::SIGCONT),
        _ => {}
    }
}

fn discard(process: &Process, signal: Signal) {
    process.signals.lock().pending.discard(signal);
    process
        .live_threads()
        .iter()
        .for_each(|thread| thread.signals.lock().pending.discard(signal));
}

/// Stays while the process is stopped.
pub fn stay_stopped(thread: &Thread) {
    let process = &thread.process;
    super::wait::wait_through_signals(&[], &mut || !process.is_stopped());
    if process.tells_going_on.swap(false, Ordering::SeqCst) {
        family::tell_of_change(process, News::Continued);
    }
}

/// What happens without a handler to a signal that stops.
fn stop(process: &Process, signal: Signal) {
    // Of the first process nobody would take note.
    if process.pid == family::INIT {
        return crate::notice::once(
            &crate::notice::STOP,
            "stopping the program (SIGTSTP, SIGSTOP) is not supported; the signal was ignored",
        );
    }
    // Nor would anybody let a process go on whose group has no shell.
    if signal == Signal::SIGSTOP || !family::is_orphaned(process) {
        process.stop(signal);
        family::tell_of_change(process, News::Stopped(signal));
    }
}

/// An ignored signal leaves no trace, unless it is blocked (it may be waited for).
fn discards(process: &Process, signal: Signal, blocked: bool) -> bool {
    !blocked && is_ignored(signal, &process.signals.lock().action(signal))
}

fn announce(process: &Process) {
    let arrivals = process.signals.lock().arrivals.clone();
    arrivals.notify(vfs::poll::IN);
}

/// A signal of the host's, for the whole program: SIGINT and the like, typed or sent to the monitor.
pub fn signal_from_host(number: u8) {
    if let (Ok(signal), Some(process)) =
        (Signal::new(u64::from(number)), super::entry::init_process())
    {
        // A full queue cannot be: these are no real-time signals.
        let _ = send_to_process(process, Siginfo::kernel(signal));
    }
}

/// A fault of the running thread. Blocked or ignored, it ends the process, as under Linux.
pub fn force(info: Siginfo) {
    let thread = percpu::current();
    let Ok(signal) = Signal::new(info.signo as u64) else {
        return;
    };
    let mut signals = thread.signals.lock();
    let mut shared = thread.process.signals.lock();
    if signals.mask.contains(signal) || shared.action(signal).handler == SIG_IGN {
        shared.set_action(signal, SigAction::default());
    }
    signals.mask = signals.mask.without(SigSet::of(signal));
    let _ = signals.pending.push(signal, info, usize::MAX);
    percpu::request_work();
}

/// What is queued of a timer_create(2) timer goes.
pub fn discard_of_timer(process: &Process, id: i32) {
    process.signals.lock().pending.discard_of_timer(id);
    for thread in process.live_threads() {
        thread.signals.lock().pending.discard_of_timer(id);
    }
}

/// rt_sigaction(2).
pub fn set_action(process: &Process, signal: Signal, new: Option<&SigAction>) -> SigAction {
    let mut signals = process.signals.lock();
    let old = signals.action(signal);
    if let Some(new) = new {
        signals.set_action(signal, *new);
        if is_ignored(signal, new) {
            drop(signals);
            discard(process, signal);
        }
    }
    old
}

/// Changes the mask of the running thread.
pub fn set_mask(mask: SigSet) {
    let thread = percpu::current();
    thread.signals.lock().mask = mask;
    if has_work(thread) {
        percpu::request_work();
    }
}

/// The signals that are pending and blocked.
#[must_use]
pub fn pending_blocked(thread: &Thread) -> SigSet {
    let signals = thread.signals.lock();
    let shared = thread.process.signals.lock().pending.set;
    signals.pending.set.union(shared).intersection(signals.mask)
}

/// The signals of `set` that are pending for the thread or its process.
#[must_use]
pub fn pending_in(thread: &Thread, set: SigSet) -> SigSet {
    let signals = thread.signals.lock();
    signals
        .pending
        .set
        .union(thread.process.signals.lock().pending.set)
        .intersection(set)
}

/// What waits for the thread alone, what for its process, and how many there are of both.
pub fn pending(thread: &Thread) -> (SigSet, SigSet, usize) {
    let signals = thread.signals.lock();
    let shared = thread.process.signals.lock();
    (
        signals.pending.set,
        shared.pending.set,
        signals.pending.infos.len() + shared.pending.infos.len(),
    )
}

/// Takes the first pending signal of `set`.
pub fn take(thread: &Thread, set: SigSet) -> Option<Siginfo> {
    let mut signals = thread.signals.lock();
    let mut info = signals
        .pending
        .take(set)
        .or_else(|| thread.process.signals.lock().pending.take(set))?;
    drop(signals);
    thread.process.timers.delivered(&mut info);
    Some(info)
}

/// Whether `sp` lies on the alternate stack.
#[must_use]
pub fn on_alternate(stack: &StackT, sp: u64) -> bool {
    let flags = SsFlags::from_bits_retain(stack.flags);
    !flags.intersects(SsFlags::SS_DISABLE | SsFlags::SS_AUTODISARM)
        && sp > stack.sp
        && sp - stack.sp <= stack.size
}

/// On the way out: runs one handler after the other onto the program's stack, ends the process, or restarts the call.
pub fn deliver(frame: &mut Frame) {
    let thread = percpu::current();
    loop {
        let (info, restore) = {
            let mut signals = thread.signals.lock();
            let wanted = SigSet {
                bits: !signals.mask.bits,
            };
            let info = signals
                .pending
                .take(wanted)
                .or_else(|| thread.process.signals.lock().pending.take(wanted));
            (info, signals.saved_mask)
        };
        let Some(info) = info else {
            if let Some(mask) = restore {
                let mut signals = thread.signals.lock();
                signals.saved_mask = None;
                signals.mask = mask;
                if deliverable(thread, &signals).is_empty() {
                    drop(signals)
                } else {
                    continue;
                }
            }
            super::entry::restart_without_handler(frame);
            return;
        };
        act(thread, frame, info);
    }
}

fn act(thread: &Thread, frame: &mut Frame, mut info: Siginfo) {
    thread.process.timers.delivered(&mut info);
    crate::trace::signal(&info);
    let Ok(signal) = Signal::new(info.signo as u64) else {
        return;
    };
    let action = {
        let mut shared = thread.process.signals.lock();
        let action = shared.action(signal);
        if action.handler != SIG_DFL && action.sa_flags().contains(SaFlags::SA_RESETHAND) {
            shared.set_action(
                signal,
                SigAction {
                    handler: SIG_DFL,
                    ..action
                },
            );
        }
        action
    };
    match action.handler {
        SIG_IGN => {}
        SIG_DFL => match default_of(signal) {
            Default_::Ignore => {}
            Default_::Stop => stop(&thread.process, signal),
            Default_::Terminate => super::fault::die(signal, frame, &info),
        },
        _ => {
            super::rseq::rseq_check(thread, frame);
            super::entry::restart_with_handler(frame, &action);
            if sigframe::push(thread, frame, &action, signal, &info).is_err() {
                // No room for the frame: the stack itself is bad.
                super::fault::die(Signal::SIGSEGV, frame, &Siginfo::kernel(Signal::SIGSEGV));
            }
        }
    }
}
