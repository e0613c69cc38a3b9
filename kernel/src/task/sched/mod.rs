//! The scheduler: a queue per CPU, round robin, a time slice where somebody waits; a CPU without work takes some from another's
//! queue. Kernel code is not preempted; a switch happens where a thread sleeps, yields, or leaves for the program with its
//! slice used up.
//!
//! A thread's stack is in use from the switch to it until the switch from it is done (`Thread::on_cpu`): a CPU that idles does so
//! on the stack of the thread that slept last. Until then only that CPU may run it, so a wake-up puts it into that CPU's queue.
#![allow(unsafe_code)]

mod cpu;
mod idle;

#[cfg(debug_assertions)]
pub use cpu::interrupt;
pub use cpu::{cpu_count, online, set_cpu_count, tell};
pub use idle::{stop_if_asked, stop_others};

use super::frame;
use super::thread::{State, Thread};
use crate::faults::{self, Kind};
use crate::{gate, mm, percpu, time};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{Ordering, fence};
use cpu::Cpu;
use spin::Mutex;

unsafe extern "C" {
    fn context_switch(save: *mut u64, to: u64);
}

/// What keeps blocked threads alive.
static LIVE: Mutex<BTreeMap<i32, Arc<Thread>>> = Mutex::new(BTreeMap::new());

/// The CPUs that a thread may run on; all, if those that it wants are none.
fn allowed(thread: &Thread) -> u64 {
    let wanted = thread.affinity.load(Ordering::SeqCst) & online();
    if wanted == 0 { online() } else { wanted }
}

fn may_run_here(thread: &Thread) -> bool {
    allowed(thread) >> cpu::number() & 1 != 0
}

/// Puts a runnable thread into a queue.
pub fn enqueue(thread: Arc<Thread>) {
    put(thread, Cpu::begin_slice);
}

/// The same for one that has slept: who runs lets it have its turn soon.
pub fn enqueue_woken(thread: Arc<Thread>) {
    put(thread, Cpu::shorten_slice);
}

fn put(thread: Arc<Thread>, limit: impl FnOnce(&Cpu)) {
    let target = choose_cpu(&thread);
    cpu::of(target).push(thread);
    if target != cpu::number() {
        cpu::wake(target);
    } else if runs_a_thread() {
        limit(cpu::this());
    }
}

/// Whether somebody uses the CPU whose time could be limited.
fn runs_a_thread() -> bool {
    percpu::has_current() && !percpu::this().idle.load(Ordering::Relaxed)
}

/// The CPU whose stack the thread is on; else one that idles, the last one if possible; else this one.
fn choose_cpu(thread: &Thread) -> u32 {
    let me = cpu::number();
    if cpu_count() == 1 {
        return me;
    }
    if let Some(cpu) = thread.on_cpu() {
        return cpu;
    }
    let among = allowed(thread);
    let last = thread.last_cpu();
    if let Some(cpu) = cpu::claim_idle(among, last) {
        return cpu;
    }
    [me, last]
        .into_iter()
        .find(|cpu| among >> cpu & 1 != 0)
        .unwrap_or(among.trailing_zeros())
}

/// Keeps a thread alive until it ends.
pub fn keep(thread: Arc<Thread>) {
    let before = LIVE.lock().insert(thread.tid, thread);
    drop(before);
}

/// Wakes one of the threads for no reason; `which` chooses.
#[cfg(debug_assertions)]
pub fn disturb(which: u64) {
    let thread = {
        let live = LIVE.lock();
        let at = usize::try_from(which).unwrap_or(0) % live.len().max(1);
        live.values().nth(at).cloned()
    };
    if let Some(thread) = thread {
        thread.wake_up();
    }
}

/// The thread has ended. One with the same number may have taken its place.
pub fn release(thread: &Thread) {
    let released = {
        let mut live = LIVE.lock();
        live.get(&thread.tid)
            .is_some_and(|known| core::ptr::eq(Arc::as_ptr(known), thread))
            .then(|| live.remove(&thread.tid))
    };
    drop(released);
}

/// Whether the running thread's turn on this CPU is over.
pub fn should_yield() -> bool {
    cpu::this().take_reschedule()
}

/// From the timer interrupt: the end of the slice, if somebody waits.
pub fn tick(now: u64) {
    cpu::this().tick(now);
}

/// Another CPU has interrupted: it may have put a thread into the queue.
pub fn called() {
    percpu::this().called.store(false, Ordering::SeqCst);
    if cpu::this().has_queued() && runs_a_thread() {
        cpu::this().shorten_slice();
    }
}

/// A thread that is running elsewhere has something to look at on its way out to the program.
pub fn notify(thread: &Thread) {
    fence(Ordering::SeqCst);
    if let Some(cpu) = thread.on_cpu()
        && cpu != cpu::number()
    {
        cpu::call(cpu);
    }
}

/// The CPUs that the thread may run on have changed: it leaves one that is none of them.
pub fn affinity_changed(thread: &Thread) {
    fence(Ordering::SeqCst);
    let is_it = |queued: &Thread| core::ptr::eq(queued, thread) && queued.on_cpu().is_none();
    for number in 0..cpu_count() {
        if allowed(thread) >> number & 1 == 0
            && let Some(thread) = cpu::of(number).pop(is_it)
        {
            enqueue(thread);
        }
    }
    if let Some(number) = thread.on_cpu()
        && allowed(thread) >> number & 1 == 0
    {
        cpu::of(number).reschedule();
        if number == cpu::number() {
            percpu::request_work();
        } else {
            cpu::call(number);
        }
    }
}

/// Lets others run.
pub fn yield_now() {
    let current = percpu::current();
    if !may_run_here(current) {
        return leave_cpu(current);
    }
    if !cpu::this().has_queued() {
        return;
    }
    if let Some(thread) = current.arc() {
        cpu::this().push(thread);
    }
    schedule();
}

/// Sleeps until the next wake-up (which may have come already). May wake for no reason.
pub fn sleep() {
    let current = percpu::current();
    faults::disturb_somebody();
    if faults::strikes(Kind::Wake) {
        return yield_now();
    }
    // Before it can be woken: who does that need not call this CPU.
    cpu::this().begin_choice();
    if !current.fall_asleep() {
        return end_choice();
    }
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

/// The context in which each CPU begins: it has no thread, and runs whatever there is.
pub fn start() -> ! {
    idle::come_up();
    loop {
        schedule();
    }
}

/// Runs the next thread; idles while there is none. Returns when the calling thread runs again.
fn schedule() {
    cpu::this().begin_choice();
    let next = take_next().unwrap_or_else(|| {
        pause_accounting();
        let next = idle::wait_for_thread();
        resume_accounting();
        next
    });
    if percpu::is_current(&next) {
        end_choice();
    } else {
        switch_to(next);
    }
}

/// The executing CPU goes on to a thread.
fn end_choice() {
    cpu::this().end_choice();
    share_queue();
}

/// The first of this CPU's queue, else one that waits for another CPU and does not lie on its stack.
fn take_next() -> Option<Arc<Thread>> {
    let this = cpu::this();
    if let Some(next) = this.pop(may_run_here) {
        if this.has_queued() {
            this.begin_slice();
        }
        return Some(next);
    }
    cpu::others().find_map(|other| {
        cpu::of(other).pop(|thread| thread.on_cpu().is_none() && may_run_here(thread))
    })
}

/// The thread that slept last is still the current one while the processor idles; that time is not its own.
fn pause_accounting() {
    if percpu::has_current() {
        percpu::current().pause_clock(time::monotonic());
    }
}

fn resume_accounting() {
    if percpu::has_current() {
        percpu::current().start_clock(time::monotonic());
    }
}

fn switch_to(next: Arc<Thread>) {
    let cpu = cpu::this();
    let now = time::monotonic();
    let target: &Thread = &next;
    target.enter_cpu(cpu::number());
    let previous = cpu.running.lock().replace(next.clone());
    let save = suspend(cpu, previous.as_deref(), now);
    target.start_clock(now);
    percpu::set_current(target, target.kstack_top());
    load_space(target.space.root());
    // SAFETY: a thread from a queue is not running, and lies on no CPU's stack: its context is ours to take.
    let to = unsafe { (*target.context.get()).sp };
    *cpu.previous.lock() = previous;
    drop(next);
    // SAFETY: both stacks are valid; `running` keeps the new thread alive, `previous` the old one until the switch is done.
    unsafe { context_switch(save, to) };
    finish_switch();
}

/// The running thread may not stay on this CPU: it is put into another's queue once its stack is free.
fn leave_cpu(current: &Thread) {
    let cpu = cpu::this();
    let now = time::monotonic();
    current.start_move();
    let previous = cpu.running.lock().take();
    let save = suspend(cpu, previous.as_deref(), now);
    percpu::set_no_current();
    if let Ok(root) = mm::kernel_space::root() {
        load_space(root);
    }
    *cpu.previous.lock() = previous;
    let to = cpu.boot_sp.load(Ordering::Relaxed);
    // SAFETY: the context in which the CPU began is suspended in `switch_to`, since a thread runs; its stack is never freed.
    unsafe { context_switch(save, to) };
    finish_switch();
}

/// Saves what `context_switch` does not; answers where that is to save the stack pointer.
fn suspend(cpu: &Cpu, previous: Option<&Thread>, now: u64) -> *mut u64 {
    let Some(previous) = previous else {
        return cpu.boot_sp.as_ptr();
    };
    previous.pause_clock(now);
    previous.process.switches.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the running thread's context is this CPU's.
    let context = unsafe { &mut *previous.context.get() };
    context.fs_base = frame::read_fs_base();
    if previous.state() != State::Dead {
        context.vector.save(None);
    }
    &raw mut context.sp
}

fn load_space(root: u64) {
    // Before CR3: whoever changes the page tables later than this sees that it concerns this CPU.
    if percpu::this().root.swap(root, Ordering::SeqCst) != root {
        // SAFETY: the root of a live address space, or of the kernel's own; both map the kernel.
        unsafe { gate::load_cr3(root) };
    }
}

/// On the new stack: loads the thread's state and lets the old thread go.
fn finish_switch() {
    if percpu::has_current() {
        resume(percpu::current());
    }
    let previous = cpu::this().previous.lock().take();
    if let Some(previous) = previous
        && previous.leave_cpu()
    {
        enqueue(previous);
    }
    // While its stack was in use nobody else could take what was woken meanwhile.
    end_choice();
}

/// This CPU is about to run a thread while others may be waiting: they get their turn, or another CPU.
fn share_queue() {
    let this = cpu::this();
    if !this.has_queued() {
        return;
    }
    this.begin_slice();
    let takes = |thread: &Thread, other: u32| {
        thread.on_cpu().is_none() && allowed(thread) >> other & 1 != 0
    };
    let helper =
        cpu::others().find(|&other| cpu::is_free(other) && this.has(|thread| takes(thread, other)));
    if let Some(other) = helper {
        cpu::wake(other);
    }
}

fn resume(current: &Thread) {
    // SAFETY: the running thread's context is this CPU's.
    let context = unsafe { &*current.context.get() };
    context.vector.load();
    frame::write_fs_base(context.fs_base);
    percpu::clear_work();
    if !may_run_here(current) {
        cpu::this().reschedule();
        percpu::request_work();
    }
    if current.has_moved() || super::signal::has_work(current) {
        percpu::request_work();
    }
}

/// A new thread's first steps, from `thread_start` in entry.s.
#[unsafe(no_mangle)]
extern "C" fn thread_started() {
    finish_switch();
}
