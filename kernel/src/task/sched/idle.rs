//! What a CPU does that has no thread to run, and the end of all CPUs.

use super::cpu;
use crate::mm::tlb::quietly;
use crate::task::entry::handle_interrupts;
use crate::task::thread::Thread;
use crate::{drivers, faults, gate, percpu, time};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How long the last thread waits for the other CPUs to stop, in ns. Only a CPU that the host does not run needs as long.
const STOP_PATIENCE: u64 = 100_000_000;

static STOP: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicU64 = AtomicU64::new(0);
/// CPUs that have come to the scheduler.
static UP: AtomicU64 = AtomicU64::new(0);

/// The CPU that was the last to run out of work: where the monitor takes an idle CPU's time to serve the network's device, it
/// gets this one's. While another CPU has work, none of them waits there: the device's thread serves.
static KEEPER: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = u32::MAX;

/// Whether this CPU gets the devices' interrupts, and looks after them while it idles.
fn serves_devices() -> bool {
    cpu::number() == 0 || rests_at_the_monitor()
}

fn rests_at_the_monitor() -> bool {
    KEEPER.load(Ordering::Relaxed) == cpu::number() && drivers::network::rests_at_the_monitor()
}

/// Asked once whenever work has run out: of two CPUs that idle one is the keeper, and stays it.
fn become_keeper() {
    let me = cpu::number();
    let is_idle = |cpu| percpu::of(cpu).is_some_and(|block| block.idle.load(Ordering::SeqCst));
    if cpu::others().all(is_idle) {
        KEEPER.store(me, Ordering::Relaxed);
    } else {
        let _ = KEEPER.compare_exchange(me, NOBODY, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The executing CPU takes part from now on.
pub(super) fn come_up() {
    UP.fetch_or(1 << cpu::number(), Ordering::SeqCst);
    // A call from before its interrupts were enabled is lost.
    percpu::this().called.store(false, Ordering::SeqCst);
}

/// Waits for a thread to run, looking for a while before it halts.
pub(super) fn wait_for_thread() -> Arc<Thread> {
    percpu::this().idle.store(true, Ordering::SeqCst);
    become_keeper();
    let thread = quietly(|| {
        loop {
            if let Some(thread) = look_then_halt() {
                return thread;
            }
        }
    });
    cpu::set_idle(false);
    percpu::this().idle.store(false, Ordering::SeqCst);
    thread
}

fn look_then_halt() -> Option<Arc<Thread>> {
    let this = cpu::this();
    let begin = time::monotonic();
    // Waking from a halt is dear on some hosts.
    let until = begin + spin_time();
    loop {
        handle_interrupts();
        stop_if_asked();
        if serves_devices() {
            drivers::poll();
        }
        time::run_timers();
        if let Some(thread) = super::take_next() {
            this.spin.hit();
            if serves_devices() {
                drivers::network::spun_with_success();
            }
            return Some(thread);
        }
        // Whoever had chosen this CPU may have lost its thread to another.
        if !cpu::is_free(cpu::number()) {
            cpu::set_idle(true);
        }
        if time::monotonic() >= until {
            break;
        }
        core::hint::spin_loop();
    }
    if serves_devices() && drivers::network::before_halt() {
        return None;
    }
    faults::send_delayed(true);
    // Work for a thread on its way out: none is, and the gate would not halt.
    percpu::clear_work();
    let thread = if rests_at_the_monitor() {
        rest()
    } else {
        halt()
    };
    let ns = time::monotonic() - begin;
    if cpu::cpu_count() > 1 {
        this.spin.learn(ns, this.has_queued());
    }
    if serves_devices() {
        drivers::network::after_halt(ns);
    }
    thread
}

/// Waits for an interrupt, or answers a thread that came before.
fn halt() -> Option<Arc<Thread>> {
    let this = cpu::this();
    time::arm_for_idle();
    this.halted.store(true, Ordering::SeqCst);
    // Who puts a thread into the queue from here on sends an interrupt.
    let thread = super::take_next();
    if thread.is_none() {
        gate::halt();
    }
    this.halted.store(false, Ordering::SeqCst);
    thread
}

/// Waits in the monitor, or answers a thread that came before.
fn rest() -> Option<Arc<Thread>> {
    let this = cpu::this();
    this.halted.store(true, Ordering::SeqCst);
    this.resting.store(true, Ordering::SeqCst);
    // Who calls from here on tells the monitor as well.
    let thread = super::take_next();
    if thread.is_none() && !percpu::this().called.load(Ordering::SeqCst) {
        gate::rest(time::idle_us());
    }
    this.resting.store(false, Ordering::SeqCst);
    this.halted.store(false, Ordering::SeqCst);
    thread
}

fn spin_time() -> u64 {
    let devices = if serves_devices() {
        drivers::network::spin_time()
    } else {
        0
    };
    let others = if cpu::cpu_count() > 1 {
        cpu::this().spin.get()
    } else {
        0
    };
    devices.max(others)
}

/// The program ends: the other CPUs stop where they leave the kernel. The second to ask for it stops as well.
pub fn stop_others() {
    if STOP.swap(true, Ordering::SeqCst) {
        stop_if_asked_by_another();
    }
    if cpu::cpu_count() == 1 {
        return;
    }
    let me = 1 << cpu::number();
    cpu::others().for_each(cpu::call);
    let until = time::monotonic() + STOP_PATIENCE;
    while (STOPPED.load(Ordering::SeqCst) | me) & UP.load(Ordering::SeqCst)
        != UP.load(Ordering::SeqCst)
        && time::monotonic() < until
    {
        core::hint::spin_loop();
    }
}

/// On the way out of the kernel, and while idle.
pub fn stop_if_asked() {
    if STOP.load(Ordering::Relaxed) {
        stop_if_asked_by_another();
    }
}

fn stop_if_asked_by_another() -> ! {
    STOPPED.fetch_or(1 << cpu::number(), Ordering::SeqCst);
    loop {
        percpu::take_interrupts();
        percpu::clear_work();
        gate::halt();
    }
}
