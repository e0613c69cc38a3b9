//! The safe side of `gate/entry.s`: a system call, an interrupt, the way out.
#![allow(unsafe_code)]

use super::frame::Frame;
use super::process::Process;
use super::{sched, signal, wait};
use crate::sys::{Caller, dispatch};
use crate::{drivers, faults, gate, percpu, time, trace};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicPtr, Ordering};
use linux_abi::{Errno, SaFlags, SigAction};
use spin::Once;
use syscall_shim::Regs;

static INIT: Once<Arc<Process>> = Once::new();

/// The first process.
pub fn init_process() -> Option<&'static Arc<Process>> {
    INIT.get()
}

pub fn set_init_process(process: Arc<Process>) {
    INIT.call_once(|| process);
}

type Handler = extern "C" fn(&mut Frame);

/// What carries a system call out, traced or not: the plain handler, until a thread's calls are filtered.
static HANDLER: AtomicPtr<()> = AtomicPtr::new(syscall_from_ring3 as *mut ());

/// All system calls go to `handler` from now on.
pub fn handle_by(handler: Handler) {
    HANDLER.store(handler as *mut (), Ordering::Release);
    trace::handler_changed();
}

/// See [`HANDLER`].
#[must_use]
pub fn handler() -> Handler {
    // SAFETY: nothing but a `Handler` is ever stored there.
    unsafe { core::mem::transmute::<*mut (), Handler>(HANDLER.load(Ordering::Acquire)) }
}

/// A system call without filters. The result goes to the frame.
pub extern "C" fn syscall_from_ring3(frame: &mut Frame) {
    let regs = Regs::new([
        frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9,
    ]);
    let caller = Caller::new(frame);
    let result = dispatch(&caller, &regs);
    caller.finish(result);
}

/// Last thing before the program goes on: interrupts, other threads, signals.
#[unsafe(no_mangle)]
extern "C" fn before_return(frame: &mut Frame) {
    loop {
        handle_interrupts();
        percpu::clear_work();
        sched::stop_if_asked();
        let thread = percpu::current();
        if thread.is_doomed() {
            wait::exit_thread(thread.process.ending().unwrap_or_default());
        }
        let yields = sched::should_yield();
        if yields {
            sched::yield_now();
        }
        if thread.process.is_stopped() {
            signal::stay_stopped(thread);
            continue;
        }
        if thread.take_moved() || yields {
            super::rseq::rseq_check(thread, frame);
        }
        signal::deliver(frame);
        if !percpu::interrupts_pending() && !thread.has_moved() && !signal::has_work(thread) {
            break;
        }
    }
    frame.rflags = Frame::safe_flags(frame.rflags);
}

/// Everything that has been noted since the last time.
pub fn handle_interrupts() {
    faults::send_delayed(false);
    let bits = percpu::take_interrupts();
    if bits == 0 {
        return;
    }
    if bits & (1 << gate::IRQ_TIMER) != 0 {
        time::timer_interrupt();
    }
    if bits & (1 << gate::IRQ_CALL) != 0 {
        sched::called();
    }
    let devices = bits & !(1 << gate::IRQ_TIMER | 1 << gate::IRQ_CALL);
    if devices != 0 {
        drivers::handle_interrupts(devices);
    }
}

/// The answers of calls that a signal interrupted.
const RESTARTS: [Errno; 3] = [
    Errno::ERESTARTSYS,
    Errno::ERESTARTNOINTR,
    Errno::ERESTARTNOHAND,
];

/// How an interrupted call goes on.
fn restart_code(frame: &Frame) -> Option<Errno> {
    if frame.orig_rax == u64::MAX {
        return None;
    }
    RESTARTS
        .into_iter()
        .find(|errno| frame.rax == u64::from(errno.raw()).wrapping_neg())
}

/// Whether the way out has to look at the result.
#[must_use]
pub fn is_restart(value: u64) -> bool {
    RESTARTS
        .iter()
        .any(|errno| value == u64::from(errno.raw()).wrapping_neg())
}

/// The program counter goes back to the two bytes of the `syscall` as the program knows them, with the number in rax; or to what a
/// patch has put in their place.
fn restart(frame: &mut Frame) {
    let space = super::current_space();
    let site = space.visible_pc(frame.rip).wrapping_sub(2);
    frame.rax = frame.orig_rax;
    frame.rip = space.resume_pc(site);
    frame.orig_rax = u64::MAX;
}

pub fn restart_without_handler(frame: &mut Frame) {
    if restart_code(frame).is_some() {
        restart(frame);
    }
}

/// A handler is about to run.
pub fn restart_with_handler(frame: &mut Frame, action: &SigAction) {
    *percpu::current().interrupted.lock() = None;
    match restart_code(frame) {
        Some(Errno::ERESTARTSYS) if action.sa_flags().contains(SaFlags::SA_RESTART) => {
            restart(frame)
        }
        Some(Errno::ERESTARTNOINTR) => restart(frame),
        Some(_) => frame.rax = u64::from(Errno::EINTR.raw()).wrapping_neg(),
        None => {}
    }
    frame.orig_rax = u64::MAX;
}
