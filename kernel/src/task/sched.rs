//! The scheduler: a queue per CPU, round robin, a time slice where somebody waits. Kernel code is not preempted; a
//! switch happens where a thread sleeps, yields, or leaves for the program with its slice used up.
#![allow(unsafe_code)]

use super::frame;
use super::thread::{State, Thread};
use crate::{drivers, gate, percpu, time};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use spin::Mutex;

pub const MAX_CPUS: usize = 16;
const SLICE_NS: u64 = 10_000_000;

unsafe extern "C" {
    fn context_switch(save: *mut u64, to: u64);
}

struct Cpu {
    queue: Mutex<VecDeque<Arc<Thread>>>,
    running: Mutex<Option<Arc<Thread>>>,
    /// The thread that was switched from; dropped on the other stack.
    previous: Mutex<Option<Arc<Thread>>>,
    slice_end: AtomicU64,
    resched: AtomicBool,
    boot_sp: AtomicU64,
}

impl Cpu {
    const fn new() -> Self {
        Self {
            queue: Mutex::new(VecDeque::new()),
            running: Mutex::new(None),
            previous: Mutex::new(None),
            slice_end: AtomicU64::new(0),
            resched: AtomicBool::new(false),
            boot_sp: AtomicU64::new(0),
        }
    }
}

/// What keeps blocked threads alive.
static LIVE: Mutex<BTreeMap<i32, Arc<Thread>>> = Mutex::new(BTreeMap::new());

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];

fn cpu() -> &'static Cpu {
    &CPUS[percpu::this().cpu as usize % MAX_CPUS]
}

/// Puts a runnable thread into the queue of this CPU.
pub fn enqueue(thread: Arc<Thread>) {
    let cpu = cpu();
    cpu.queue.lock().push_back(thread);
    // The runner has no slice while it is alone.
    let now = time::monotonic();
    if cpu.slice_end.load(Ordering::Relaxed) <= now {
        cpu.slice_end.store(now + SLICE_NS, Ordering::Relaxed);
        time::arm(now + SLICE_NS);
    }
}

/// Keeps a thread alive until it ends.
pub fn keep(thread: Arc<Thread>) {
    LIVE.lock().insert(thread.tid, thread);
}

/// The thread has ended.
pub fn release(tid: i32) {
    LIVE.lock().remove(&tid);
}

/// Whether the running thread's turn is over.
pub fn should_yield() -> bool {
    cpu().resched.swap(false, Ordering::Relaxed)
}

/// From the timer interrupt: the end of the slice, if somebody waits.
pub fn tick(now: u64) {
    let cpu = cpu();
    if cpu.queue.lock().is_empty() {
        return;
    }
    let end = cpu.slice_end.load(Ordering::Relaxed);
    if now >= end {
        cpu.resched.store(true, Ordering::Relaxed);
        cpu.slice_end.store(now + SLICE_NS, Ordering::Relaxed);
        time::arm(now + SLICE_NS);
    } else {
        time::arm(end);
    }
}

/// Lets others run.
pub fn yield_now() {
    if cpu().queue.lock().is_empty() {
        return;
    }
    if let Some(thread) = percpu::current().arc() {
        cpu().queue.lock().push_back(thread);
    }
    schedule();
}

/// Sleeps until the next wake-up (which may have come already). May wake for no reason.
pub fn sleep() {
    let current = percpu::current();
    if current.take_wake() {
        return;
    }
    current.set_state(State::Blocked);
    schedule();
    current.take_wake();
    // Idling may have put it aside.
    if super::signal::has_work(current) {
        percpu::request_work();
    }
}

/// Ends the running thread; it must have left all tables.
pub fn exit_current() -> ! {
    percpu::current().set_state(State::Dead);
    loop {
        schedule();
    }
}

/// The first switch, from the boot stack.
pub fn start() -> ! {
    loop {
        schedule();
    }
}

/// Runs the next thread; idles while there is none. Returns when the calling thread runs again.
fn schedule() {
    loop {
        let next = cpu().queue.lock().pop_front();
        match next {
            Some(next) if percpu::has_current() && core::ptr::eq(&*next, percpu::current()) => {
                return;
            }
            Some(next) => return switch_to(next),
            None => {
                pause_accounting();
                idle();
                resume_accounting();
            }
        }
    }
}

/// The thread that slept last is still the current one while the processor idles; that time is not its own.
fn pause_accounting() {
    if percpu::has_current() {
        let current = percpu::current();
        let since = current.since.swap(u64::MAX, Ordering::Relaxed);
        current
            .cpu_ns
            .fetch_add(time::monotonic().saturating_sub(since), Ordering::Relaxed);
    }
}

fn resume_accounting() {
    if percpu::has_current() {
        percpu::current()
            .since
            .store(time::monotonic(), Ordering::Relaxed);
    }
}

fn idle() {
    let begin = time::monotonic();
    // Waking from a halt is dear on some hosts.
    let until = begin + drivers::network::spin_time();
    loop {
        super::entry::handle_interrupts();
        drivers::poll();
        time::run_timers();
        if !cpu().queue.lock().is_empty() {
            drivers::network::spun_with_success();
            return;
        }
        if time::monotonic() >= until {
            break;
        }
        core::hint::spin_loop();
    }
    if drivers::network::before_halt() {
        return;
    }
    // Work for a thread on its way out: none is, and the gate would not halt.
    percpu::clear_work();
    if drivers::network::rests_at_the_monitor() {
        gate::rest(time::idle_us());
        return;
    }
    time::arm_for_idle();
    gate::halt();
    drivers::network::after_halt(time::monotonic() - begin);
}

fn switch_to(next: Arc<Thread>) {
    let cpu = cpu();
    let now = time::monotonic();
    let previous = cpu.running.lock().replace(next.clone());
    let target: &Thread = &next;
    let save: *mut u64 = match &previous {
        Some(previous) => {
            previous.cpu_ns.fetch_add(
                now.saturating_sub(previous.since.load(Ordering::Relaxed)),
                Ordering::Relaxed,
            );
            previous.process.switches.fetch_add(1, Ordering::Relaxed);
            // SAFETY: the running thread's context is this CPU's.
            let context = unsafe { &mut *previous.context.get() };
            context.fs_base = frame::read_fs_base();
            if previous.state() != State::Dead {
                context.vector.save(None);
            }
            &raw mut context.sp
        }
        None => cpu.boot_sp.as_ptr(),
    };
    target.since.store(now, Ordering::Relaxed);
    percpu::set_current(target, target.kstack_top());
    let same_space = previous
        .as_ref()
        .is_some_and(|previous| Arc::ptr_eq(&previous.process.space, &target.process.space));
    if !same_space {
        // SAFETY: the root of a live address space, which maps the kernel.
        unsafe { gate::load_cr3(target.process.space.root()) };
    }
    // SAFETY: a thread in the queue is not running: its context is ours to take.
    let to = unsafe { (*target.context.get()).sp };
    *cpu.previous.lock() = previous;
    drop(next);
    // SAFETY: both stacks are valid; `running` keeps the new thread alive, `previous` the old one until the switch is done.
    unsafe { context_switch(save, to) };
    finish_switch();
}

/// On the new thread's stack: loads its state and lets the old thread go.
fn finish_switch() {
    let current = percpu::current();
    // SAFETY: the running thread's context is this CPU's.
    let context = unsafe { &*current.context.get() };
    context.vector.load();
    frame::write_fs_base(context.fs_base);
    percpu::clear_work();
    if super::signal::has_work(current) {
        percpu::request_work();
    }
    let previous = cpu().previous.lock().take();
    drop(previous);
}

/// A new thread's first steps, from `thread_start` in entry.s.
#[unsafe(no_mangle)]
extern "C" fn thread_started() {
    finish_switch();
}
