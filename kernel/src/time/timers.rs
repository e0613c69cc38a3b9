//! What happens when: a queue of wake-ups for each CPU, and its local APIC's timer, which is set to the earliest.

use super::monotonic;
use crate::drivers::apic;
use crate::percpu::{self, MAX_CPUS};
use crate::rank::{self, Ranked};
use crate::task::sched;
use alloc::collections::BTreeMap;
use alloc::sync::Weak;
use core::sync::atomic::{AtomicU64, Ordering};
use vfs::Wake;

/// The timer is not running.
const IDLE: u64 = u64::MAX;
const NOT_SERVING: u64 = 0;
/// The longest that the program is left alone because timers take all the time there is.
const LONGEST_REST_NS: u64 = 1_000_000;
/// The longest that the hardware timer runs at once; what is farther away is armed in steps.
const LONGEST_NS: u64 = u32::MAX as u64;
/// Entries beyond which a queue is looked through for wakers that are gone.
const CROWDED: usize = 256;

#[derive(Default)]
struct Queue {
    entries: BTreeMap<(u64, u64), Weak<dyn Wake>>,
    next_seq: u64,
    /// Length after the last clean-up.
    cleaned_len: usize,
}

struct Cpu {
    queue: Ranked<Queue, { rank::TIMERS }>,
    /// When the hardware timer will interrupt, or `IDLE`.
    armed: AtomicU64,
    /// It is not to interrupt earlier than this: the program has its time as well.
    not_before: AtomicU64,
    /// While an interrupt is served, the earliest time that was asked for; else `NOT_SERVING`.
    asked: AtomicU64,
}

static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu {
        queue: Ranked::new(Queue {
            entries: BTreeMap::new(),
            next_seq: 0,
            cleaned_len: 0,
        }),
        armed: AtomicU64::new(IDLE),
        not_before: AtomicU64::new(0),
        asked: AtomicU64::new(NOT_SERVING),
    }
}; MAX_CPUS];

fn cpu_number() -> usize {
    percpu::this().cpu as usize % MAX_CPUS
}

fn this() -> &'static Cpu {
    &CPUS[cpu_number()]
}

/// Names an entry, so that it can be cancelled.
#[derive(Clone, Copy, Debug)]
pub struct TimerId {
    cpu: usize,
    key: (u64, u64),
}

impl Queue {
    fn insert(&mut self, deadline: u64, whom: Weak<dyn Wake>) -> (u64, u64) {
        if self.entries.len() > CROWDED + 2 * self.cleaned_len {
            self.entries.retain(|_, whom| whom.strong_count() > 0);
            self.cleaned_len = self.entries.len();
        }
        let key = (deadline, self.next_seq);
        self.next_seq += 1;
        self.entries.insert(key, whom);
        key
    }

    fn next_deadline(&self) -> Option<u64> {
        self.entries
            .first_key_value()
            .map(|((deadline, _), _)| *deadline)
    }

    fn pop_due(&mut self, now: u64) -> Option<Weak<dyn Wake>> {
        let first = self.entries.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Calls `whom.wake(0)` once CLOCK_MONOTONIC has reached `deadline`.
pub fn add_timer(deadline: u64, whom: Weak<dyn Wake>) -> TimerId {
    let cpu = cpu_number();
    let key = CPUS[cpu].queue.lock().insert(deadline, whom);
    arm(deadline);
    TimerId { cpu, key }
}

/// Takes a timer back. One that has fired already is no error.
pub fn cancel(id: TimerId) {
    if let Some(cpu) = CPUS.get(id.cpu) {
        cpu.queue.lock().entries.remove(&id.key);
    }
}

/// Wakes everybody whose time has come on this CPU.
pub fn run_timers() {
    let cpu = this();
    let Some(first) = cpu.queue.lock().next_deadline() else {
        return;
    };
    let now = monotonic();
    if first > now {
        return;
    }
    // Only what was due at the start: a waker that arms itself anew must not keep us here.
    loop {
        let due = cpu.queue.lock().pop_due(now);
        match due {
            Some(whom) => whom.upgrade().into_iter().for_each(|whom| whom.wake(0)),
            None => return,
        }
    }
}

/// The hardware timer has interrupted.
pub fn timer_interrupt() {
    let cpu = this();
    let due = cpu.armed.swap(IDLE, Ordering::Relaxed);
    cpu.asked.store(IDLE, Ordering::Relaxed);
    run_timers();
    let now = monotonic();
    sched::tick(now);
    let asked = cpu.asked.swap(NOT_SERVING, Ordering::Relaxed);
    // As long as this one took, on its way here and to be served, the next one waits: timers that fire faster than they can be
    // served leave half of the time to the program, which else would never run again.
    let took = now.saturating_sub(due).min(LONGEST_REST_NS);
    cpu.not_before.store(now + took, Ordering::Relaxed);
    arm_next(asked);
}

/// Has the hardware timer interrupt at `deadline` or before. Costs nothing if it will do so earlier anyway.
pub fn arm(deadline: u64) {
    let cpu = this();
    if cpu.asked.load(Ordering::Relaxed) != NOT_SERVING {
        cpu.asked.fetch_min(deadline, Ordering::Relaxed);
        return;
    }
    let deadline = deadline.max(cpu.not_before.load(Ordering::Relaxed));
    if cpu.armed.load(Ordering::Relaxed) <= deadline {
        return;
    }
    let now = monotonic();
    let ns = deadline.saturating_sub(now).clamp(1, LONGEST_NS);
    cpu.armed.store(now + ns, Ordering::Relaxed);
    apic::arm_timer(ns);
}

/// How long until the earliest timer of this CPU, for [`crate::gate::rest`]; not all of it, if that is long.
pub fn idle_us() -> u32 {
    let next = this().queue.lock().next_deadline();
    next.map_or(boot_abi::IDLE_FOREVER, |deadline| {
        // Rather a little late than twice.
        let us = deadline.saturating_sub(monotonic()).div_ceil(1000);
        us.min(u64::from(boot_abi::IDLE_FOREVER) - 1) as u32
    })
}

/// Has the hardware timer interrupt for the earliest timer of this CPU, which does nothing else.
pub fn arm_for_idle() {
    this().not_before.store(0, Ordering::Relaxed);
    arm_next(IDLE);
}

/// Has the hardware timer interrupt at `asked`, or for the earliest timer of this CPU.
fn arm_next(asked: u64) {
    let next = this().queue.lock().next_deadline().unwrap_or(IDLE);
    let deadline = next.min(asked);
    if deadline != IDLE {
        arm(deadline);
    }
}
