//! A CPU as the scheduler sees it, and the calls from one to another.

use crate::drivers::apic;
use crate::faults::{self, Kind};
use crate::gate::{self, IRQ_BASE, IRQ_CALL};
use crate::percpu::{self, MAX_CPUS};
use crate::rank::{self, Ranked};
use crate::task::thread::Thread;
use crate::time;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use net::forward::SpinTime;
use spin::Mutex;

const SLICE_NS: u64 = 10_000_000;
/// What a thread that slept waits at most for one that computes; as long as turns of Linux on two CPUs.
const WOKEN_SLICE_NS: u64 = 1_500_000;

pub(super) struct Cpu {
    /// Threads that can run, and are to run here unless another CPU has nothing else to do.
    queue: Ranked<VecDeque<Arc<Thread>>, { rank::CPU_QUEUE }>,
    /// Length of `queue`, for a look without the lock.
    queued: AtomicUsize,
    pub(super) running: Mutex<Option<Arc<Thread>>>,
    /// The thread that was switched from; dropped on the other stack.
    pub(super) previous: Mutex<Option<Arc<Thread>>>,
    slice_end: AtomicU64,
    resched: AtomicBool,
    /// It chooses what to run, and looks at its queue once more afterwards.
    choosing: AtomicBool,
    /// Where the context without a thread goes on.
    pub(super) boot_sp: AtomicU64,
    /// It does not look at its queue before an interrupt comes.
    pub(super) halted: AtomicBool,
    /// It waits in the monitor, where no interrupt reaches it.
    pub(super) resting: AtomicBool,
    pub(super) spin: SpinTime,
}

impl Cpu {
    const fn new() -> Self {
        Self {
            queue: Ranked::new(VecDeque::new()),
            queued: AtomicUsize::new(0),
            running: Mutex::new(None),
            previous: Mutex::new(None),
            slice_end: AtomicU64::new(0),
            resched: AtomicBool::new(false),
            choosing: AtomicBool::new(false),
            boot_sp: AtomicU64::new(0),
            halted: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            spin: SpinTime::new(),
        }
    }

    pub(super) fn has_queued(&self) -> bool {
        self.queued.load(Ordering::SeqCst) != 0
    }

    pub(super) fn push(&self, thread: Arc<Thread>) {
        let mut queue = self.queue.lock();
        queue.push_back(thread);
        self.queued.store(queue.len(), Ordering::SeqCst);
    }

    /// Takes the first thread that `takes` accepts.
    pub(super) fn pop(&self, takes: impl Fn(&Thread) -> bool) -> Option<Arc<Thread>> {
        if !self.has_queued() {
            return None;
        }
        let mut queue = self.queue.lock();
        let at = queue.iter().position(|thread| takes(thread))?;
        let thread = queue.remove(at);
        self.queued.store(queue.len(), Ordering::SeqCst);
        thread
    }

    /// Whether a thread of the queue is so.
    pub(super) fn has(&self, is_so: impl Fn(&Thread) -> bool) -> bool {
        self.queue.lock().iter().any(|thread| is_so(thread))
    }

    /// Somebody waits for the executing CPU: its thread's time is limited from now on, if it was not yet.
    pub(super) fn begin_slice(&self) {
        let now = time::monotonic();
        let end = self.slice_end.load(Ordering::Relaxed);
        if end <= now {
            self.new_slice(now);
        } else {
            // It may have been armed for something earlier, and have fired when nobody waited.
            time::arm(end);
        }
    }

    /// A thread that slept waits: the running one has not much time left, even if its turn has just begun.
    pub(super) fn shorten_slice(&self) {
        let now = time::monotonic();
        let end = self.slice_end.load(Ordering::Relaxed);
        let soon = now + WOKEN_SLICE_NS;
        if (now..=soon).contains(&end) {
            time::arm(end);
        } else {
            self.slice_end.store(soon, Ordering::Relaxed);
            time::arm(soon);
        }
    }

    fn new_slice(&self, now: u64) {
        self.slice_end.store(now + SLICE_NS, Ordering::Relaxed);
        time::arm(now + SLICE_NS);
    }

    /// The executing CPU's timer has interrupted.
    pub(super) fn tick(&self, now: u64) {
        if !self.has_queued() {
            return;
        }
        let end = self.slice_end.load(Ordering::Relaxed);
        if now >= end {
            self.resched.store(true, Ordering::Relaxed);
            self.new_slice(now);
        } else {
            time::arm(end);
        }
    }

    /// Asks for another choice of thread on the way out to the program.
    pub(super) fn reschedule(&self) {
        self.resched.store(true, Ordering::SeqCst);
    }

    /// From here on the executing CPU is not called for what is put into its queue.
    pub(super) fn begin_choice(&self) {
        if cpu_count() > 1 && !self.choosing.load(Ordering::Relaxed) {
            self.choosing.store(true, Ordering::SeqCst);
        }
    }

    /// It is, from here on; what was put there before is to be looked at now.
    pub(super) fn end_choice(&self) {
        if self.choosing.load(Ordering::Relaxed) {
            self.choosing.store(false, Ordering::SeqCst);
        }
    }

    /// Whether it will see what is in its queue without being called.
    fn looks(&self) -> bool {
        self.choosing.load(Ordering::SeqCst) && !self.halted.load(Ordering::SeqCst)
    }

    pub(super) fn take_reschedule(&self) -> bool {
        self.resched.load(Ordering::Relaxed) && self.resched.swap(false, Ordering::SeqCst)
    }
}

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];
static COUNT: AtomicU32 = AtomicU32::new(1);
/// CPUs that have nothing to do, and have not been chosen for a thread since.
static IDLE: AtomicU64 = AtomicU64::new(0);

/// How many CPUs the machine has. Before there are threads.
pub fn set_cpu_count(count: u32) {
    COUNT.store(count.clamp(1, MAX_CPUS as u32), Ordering::SeqCst);
}

#[must_use]
pub fn cpu_count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// The CPUs, a bit each.
#[must_use]
pub fn online() -> u64 {
    u64::MAX >> (MAX_CPUS as u32 - cpu_count())
}

pub(super) fn number() -> u32 {
    percpu::this().cpu
}

pub(super) fn this() -> &'static Cpu {
    &CPUS[number() as usize % MAX_CPUS]
}

pub(super) fn of(cpu: u32) -> &'static Cpu {
    &CPUS[cpu as usize % MAX_CPUS]
}

/// Says what each CPU does.
pub fn tell() {
    for number in 0..cpu_count() {
        let (cpu, block) = (of(number), percpu::of(number));
        let idle = block.is_some_and(|block| block.idle.load(Ordering::SeqCst));
        let called = block.is_some_and(|block| block.called.load(Ordering::SeqCst));
        say!(
            "CPU {number}: {}, {} in its queue{}{}{}{}",
            if idle { "idle" } else { "busy" },
            cpu.queued.load(Ordering::SeqCst),
            if cpu.choosing.load(Ordering::SeqCst) {
                ", chooses"
            } else {
                ""
            },
            if cpu.halted.load(Ordering::SeqCst) {
                ", halted"
            } else {
                ""
            },
            if cpu.resting.load(Ordering::SeqCst) {
                ", rests in the monitor"
            } else {
                ""
            },
            if called { ", called" } else { "" }
        );
    }
}

/// All but the executing one, beginning with the next.
pub(super) fn others() -> impl Iterator<Item = u32> {
    let (count, me) = (cpu_count(), number());
    (1..count).map(move |i| (me + i) % count)
}

pub(super) fn set_idle(on: bool) {
    let bit = 1 << number();
    if on {
        IDLE.fetch_or(bit, Ordering::SeqCst);
    } else {
        IDLE.fetch_and(!bit, Ordering::SeqCst);
    }
}

pub(super) fn is_free(cpu: u32) -> bool {
    IDLE.load(Ordering::Relaxed) >> cpu & 1 != 0
}

/// Chooses one of the idle CPUs of `among` for a thread, `first` if it is one. Nobody else gets the same.
pub(super) fn claim_idle(among: u64, first: u32) -> Option<u32> {
    loop {
        let free = IDLE.load(Ordering::SeqCst) & among;
        if free == 0 {
            return None;
        }
        let cpu = if free >> first & 1 != 0 {
            first
        } else {
            free.trailing_zeros()
        };
        if IDLE.fetch_and(!(1 << cpu), Ordering::SeqCst) >> cpu & 1 != 0 {
            return Some(cpu);
        }
    }
}

/// Has another CPU look at its queue; after the queue was changed.
pub(super) fn wake(cpu: u32) {
    fence(Ordering::SeqCst);
    if !of(cpu).looks() {
        call(cpu);
    }
}

/// Interrupts another CPU: it looks at its queue and at its thread's signals.
pub(super) fn call(cpu: u32) {
    rank::expect_free(rank::FUTEX);
    let Some(block) = percpu::of(cpu) else {
        return;
    };
    if block.called.swap(true, Ordering::SeqCst) {
        return;
    }
    if faults::strikes(Kind::Call) {
        faults::delay_call(cpu);
    } else {
        interrupt(cpu);
    }
}

/// Another CPU comes to `called`, also if it rests in the monitor.
pub fn interrupt(cpu: u32) {
    apic::send(cpu, IRQ_BASE + IRQ_CALL);
    fence(Ordering::SeqCst);
    if of(cpu).resting.load(Ordering::SeqCst) {
        gate::end_rest(cpu);
    }
}
