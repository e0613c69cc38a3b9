//! One timer: a clock, what is sent, and when.

use crate::task::process::Process;
use crate::task::signal;
use crate::task::thread::Thread;
use crate::time::{self, TimerId};
use alloc::sync::{Arc, Weak};
use linux_abi::{Rlimit64, SigSet, Siginfo, Signal};
use spin::Mutex;
use syscall_shim::kernel::Interval;
use syscall_shim::state::Resource;
use vfs::Wake;

/// The shortest time between two looks at a timer that repeats: a shorter interval only counts overruns.
const SHORTEST_NS: u64 = 20_000;
/// A CPU-time timer is looked at no more often than this...
const CPU_STEP_NS: u64 = 1_000_000;
/// ...and, while its clock stands still, no less often than this.
const LONGEST_CPU_STEP_NS: u64 = 16_000_000;
/// As [`Timer::id`] of a setitimer(2) timer.
pub(super) const ITIMER: i32 = -1;

/// What a timer goes by.
pub(super) enum Counts {
    /// CLOCK_MONOTONIC; `ahead` is what the program's clock has on it.
    Time {
        ahead: u64,
    },
    ProcessCpu,
    ThreadCpu(Weak<Thread>),
}

/// Who hears of it.
pub(super) enum Tell {
    Nobody,
    Process(Signal),
    /// RLIMIT_CPU: SIGXCPU at the soft limit and each second from there, SIGKILL at the hard one.
    CpuLimit,
    Thread(Signal, Weak<Thread>),
}

#[derive(Default)]
struct State {
    /// Where the clock stands when it next expires; 0: not armed.
    deadline: u64,
    interval: u64,
    queued: Option<TimerId>,
    /// Expirations since the signal was queued, while it has not been taken.
    overrun: u32,
    /// What timer_getoverrun(2) tells: those of the signal that was taken last.
    last_overrun: u32,
    /// CPU time at the last look, and how long was waited for it.
    seen: u64,
    step: u64,
}

pub(super) struct Timer {
    this: Weak<Timer>,
    id: i32,
    process: Weak<Process>,
    counts: Counts,
    tell: Tell,
    /// si_value
    value: u64,
    state: Mutex<State>,
}

impl State {
    /// Counts what has expired when the clock stands at `now`.
    fn advance(&mut self, now: u64) -> u64 {
        if self.deadline == 0 || now < self.deadline {
            return 0;
        }
        let Some(more) = (now - self.deadline).checked_div(self.interval) else {
            self.deadline = 0;
            return 1;
        };
        self.deadline = self
            .deadline
            .saturating_add((more + 1).saturating_mul(self.interval));
        more + 1
    }

    fn setting(&self, now: u64) -> Interval {
        let value = if self.deadline == 0 {
            0
        } else {
            self.deadline.saturating_sub(now).max(1)
        };
        Interval {
            value,
            interval: self.interval,
        }
    }

    /// What is left, for a timer whose expirations nobody counts.
    fn projected(&self, now: u64) -> Interval {
        let mut ahead = State {
            deadline: self.deadline,
            interval: self.interval,
            ..State::default()
        };
        ahead.advance(now);
        ahead.setting(now)
    }
}

impl Timer {
    pub(super) fn new(
        id: i32,
        process: &Arc<Process>,
        counts: Counts,
        tell: Tell,
        value: u64,
    ) -> Arc<Self> {
        let process = Arc::downgrade(process);
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            id,
            process,
            counts,
            tell,
            value,
            state: Mutex::new(State::default()),
        })
    }

    fn now(&self) -> u64 {
        match &self.counts {
            Counts::Time { ahead } => time::monotonic() + ahead,
            Counts::ProcessCpu => self
                .process
                .upgrade()
                .map_or(0, |process| process.cpu_time()),
            Counts::ThreadCpu(thread) => thread.upgrade().map_or(0, |thread| thread.cpu_time()),
        }
    }

    pub(super) fn get(&self) -> Interval {
        let now = self.now();
        self.state.lock().projected(now)
    }

    pub(super) fn set(&self, new: Interval, absolute: bool) -> Interval {
        let now = self.now();
        let mut state = self.state.lock();
        let old = state.projected(now);
        let deadline = match new.value {
            0 => 0,
            value if absolute => value,
            value => now.saturating_add(value),
        };
        *state = State {
            deadline,
            interval: new.interval,
            queued: state.queued,
            seen: now,
            last_overrun: state.last_overrun,
            ..State::default()
        };
        drop(state);
        self.look();
        old
    }

    /// Sends what is due and makes sure of being called again.
    fn look(&self) {
        let now = self.now();
        let mut state = self.state.lock();
        let expired = state.advance(now);
        let next = self.next_look(&mut state, now, expired > 0);
        // There is one entry at most, though several CPUs may look at once.
        if let Some(queued) = state.queued.take() {
            time::cancel(queued);
        }
        state.queued = next.map(|next| time::add_timer(next, self.this.clone()));
        drop(state);
        if expired > 0 {
            self.expire(expired);
        }
    }

    /// When to look again, by CLOCK_MONOTONIC.
    fn next_look(&self, state: &mut State, now: u64, repeated: bool) -> Option<u64> {
        if state.deadline == 0 || matches!(self.tell, Tell::Nobody) {
            return None;
        }
        let left = state.deadline.saturating_sub(now);
        let wait = match self.counts {
            Counts::Time { .. } if repeated => left.max(SHORTEST_NS),
            Counts::Time { .. } => left,
            _ => {
                let moved = now != state.seen;
                state.step = if moved {
                    CPU_STEP_NS
                } else {
                    (state.step * 2).clamp(CPU_STEP_NS, LONGEST_CPU_STEP_NS)
                };
                state.seen = now;
                left.max(state.step)
            }
        };
        Some(time::monotonic().saturating_add(wait))
    }

    /// Queues the signal, or counts overruns while the last one has not been taken.
    fn expire(&self, times: u64) {
        let Some(process) = self.process.upgrade() else {
            return;
        };
        let (signal, thread) = match &self.tell {
            Tell::Nobody => return,
            Tell::CpuLimit => return limit_reached(&process),
            Tell::Process(signal) => (*signal, None),
            Tell::Thread(signal, thread) => match thread.upgrade() {
                Some(thread) => (*signal, Some(thread)),
                None => return,
            },
        };
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        if self.id == ITIMER {
            // It cannot fail: these are no real-time signals.
            let _ = signal::send_to_process(&process, Siginfo::kernel(signal));
            return;
        }
        let asked = thread
            .clone()
            .or_else(|| process.live_threads().into_iter().next());
        let waiting =
            asked.is_some_and(|thread| !signal::pending_in(&thread, SigSet::of(signal)).is_empty());
        let overrun = {
            let mut state = self.state.lock();
            let before = if waiting {
                state.overrun.saturating_add(times)
            } else {
                times - 1
            };
            state.overrun = before.min(i32::MAX as u32);
            state.overrun
        };
        if waiting {
            return;
        }
        let info = Siginfo::timer(signal, self.id, overrun as i32, self.value);
        // A full queue loses the signal, as under Linux; the next expiration tries again.
        let _ = match thread {
            Some(thread) => signal::send_to_thread(&thread, info),
            None => signal::send_to_process(&process, info),
        };
    }

    /// What timer_getoverrun(2) tells.
    pub(super) fn last_overrun(&self) -> u32 {
        self.state.lock().last_overrun
    }

    /// The signal is being taken: answers the overruns until now.
    pub(super) fn take_overrun(&self) -> u32 {
        let mut state = self.state.lock();
        state.last_overrun = core::mem::take(&mut state.overrun);
        state.last_overrun
    }

    pub(super) fn disarm(&self) {
        let queued = {
            let mut state = self.state.lock();
            state.deadline = 0;
            state.queued.take()
        };
        if let Some(queued) = queued {
            time::cancel(queued);
        }
    }
}

/// As Linux: the soft limit moves on with each warning.
fn limit_reached(process: &Process) {
    let seconds = process.cpu_time() / time::SECOND;
    let signal = {
        let mut limits = process.state.limits.lock();
        let limit = limits.get(Resource::CPU);
        if seconds >= limit.max {
            Signal::SIGKILL
        } else {
            let cur = (seconds + 1).min(limit.max);
            limits.set(Resource::CPU, Rlimit64 { cur, ..limit });
            Signal::SIGXCPU
        }
    };
    // It cannot fail: these are no real-time signals.
    let _ = signal::send_to_process(process, Siginfo::kernel(signal));
}

impl Wake for Timer {
    fn wake(&self, _events: u32) {
        self.look();
    }
}
