//! Exceptions: page faults that are served, the others as signals; and the report of a program that dies of one.
#![allow(unsafe_code)]

use super::frame::Frame;
use super::signal;
use super::thread::Thread;
use crate::mm::fault::{Access, Denied};
use crate::mm::layout::{KERNEL_START, is_user_range};
use crate::mm::{kernel_space, user};
use crate::percpu;
use alloc::string::String;
use core::sync::atomic::Ordering;
use linux_abi::*;

const KERNEL_HIGH: u64 = KERNEL_START >> 32;
const PAGE_FAULT: u64 = 14;
const ERROR_WRITE: u64 = 2;
const ERROR_FETCH: u64 = 16;
const DEBUG: u64 = 1;
const ALIGNMENT_CHECK: u64 = 17;

/// What `struct sigcontext` tells of a fault.
#[derive(Default, Clone, Copy)]
pub struct Last {
    pub vector: u64,
    pub error: u64,
    pub cr2: u64,
}

/// The fault behind `info`; zeros for any other signal.
#[must_use]
pub fn last(thread: &Thread, info: &Siginfo) -> Last {
    if info.code <= 0 {
        return Last::default();
    }
    thread.signals.lock().fault
}

/// From `exc_entry`.
#[unsafe(no_mangle)]
extern "C" fn exception(frame: &mut Frame, vector: u64, error: u64, cr2: u64) {
    let from_kernel = frame.rip >> 32 == KERNEL_HIGH;
    if from_kernel {
        return kernel_fault(frame, vector, error, cr2);
    }
    if vector == PAGE_FAULT && is_user_range(cr2, 1) {
        percpu::current()
            .process
            .minor_faults
            .fetch_add(1, Ordering::Relaxed);
        match super::current_space().fault(cr2, access_of(error)) {
            Ok(()) => return,
            Err(denied) => return raise(vector, error, cr2, memory_signal(denied, cr2)),
        }
    }
    let visible = super::current_space().visible_pc(frame.rip);
    if vector == DEBUG && visible != frame.rip {
        // Of the jump of a patch and what lies behind it the program steps over all at once, as over the instruction that was there.
        return;
    }
    frame.rip = visible;
    raise(vector, error, cr2, signal_of(frame, vector, cr2));
}

fn access_of(error: u64) -> Access {
    match error {
        e if e & ERROR_FETCH != 0 => Access::Execute,
        e if e & ERROR_WRITE != 0 => Access::Write,
        _ => Access::Read,
    }
}

fn raise(vector: u64, error: u64, cr2: u64, info: Siginfo) {
    // The program knows itself as user mode, which bit 2 of a page fault's error says.
    let error = error | if vector == PAGE_FAULT { 4 } else { 0 };
    percpu::current().signals.lock().fault = Last { vector, error, cr2 };
    signal::force(info);
}

fn memory_signal(denied: Denied, address: u64) -> Siginfo {
    match denied {
        Denied::NoMapping => Siginfo::fault(Signal::SIGSEGV, SEGV_MAPERR, address),
        Denied::NoPermission => Siginfo::fault(Signal::SIGSEGV, SEGV_ACCERR, address),
        Denied::PastEnd => Siginfo::fault(Signal::SIGBUS, BUS_ADRERR, address),
        Denied::OutOfMemory => {
            crate::proc_source::report(&percpu::current().process);
            Siginfo::kernel(Signal::SIGKILL)
        }
    }
}

fn signal_of(frame: &Frame, vector: u64, cr2: u64) -> Siginfo {
    match vector {
        0 => Siginfo::fault(Signal::SIGFPE, FPE_INTDIV, frame.rip),
        DEBUG => Siginfo::fault(Signal::SIGTRAP, TRAP_TRACE, frame.rip),
        3 => Siginfo::kernel(Signal::SIGTRAP),
        4 => Siginfo::kernel(Signal::SIGSEGV),
        6 => Siginfo::fault(Signal::SIGILL, ILL_ILLOPN, frame.rip),
        PAGE_FAULT => Siginfo::fault(Signal::SIGSEGV, SEGV_MAPERR, cr2),
        16 | 19 => Siginfo::fault(Signal::SIGFPE, float_code(frame, vector), frame.rip),
        ALIGNMENT_CHECK => Siginfo::fault(Signal::SIGBUS, BUS_ADRALN, 0),
        // #GP, #SS, #NP, #TS and what should not come
        _ => Siginfo::kernel(Signal::SIGSEGV),
    }
}

/// Which unmasked floating-point exception it was.
fn float_code(_frame: &Frame, vector: u64) -> i32 {
    let flags = if vector == 19 {
        let mut mxcsr = 0u32;
        // SAFETY: stores four bytes.
        unsafe { core::arch::asm!("stmxcsr [{}]", in(reg) &mut mxcsr, options(nostack)) };
        mxcsr & !(mxcsr >> 7)
    } else {
        let (mut status, mut control) = (0u16, 0u16);
        // SAFETY: each stores two bytes; `fnclex` keeps the kernel's own code from faulting again.
        unsafe {
            core::arch::asm!("fnstsw [{}]", "fnstcw [{}]", "fnclex", in(reg) &mut status, in(reg) &mut control, options(nostack))
        };
        u32::from(status & !control)
    };
    match flags {
        f if f & 1 != 0 => FPE_FLTINV,
        f if f & 4 != 0 => FPE_FLTDIV,
        f if f & 8 != 0 => FPE_FLTOVF,
        f if f & 0x12 != 0 => FPE_FLTUND,
        f if f & 0x20 != 0 => FPE_FLTRES,
        _ => 0,
    }
}

/// The flag of the program's that lets such an exception happen: a system call is a jump, and leaves the flags as they are.
fn flag_behind(vector: u64) -> u64 {
    match vector {
        DEBUG => 1 << 8,
        ALIGNMENT_CHECK => 1 << 18,
        _ => 0,
    }
}

/// In kernel code: a copy to or from the program's memory may fault; nothing else may.
fn kernel_fault(frame: &mut Frame, vector: u64, error: u64, cr2: u64) {
    let flag = flag_behind(vector);
    if frame.rflags & flag != 0 {
        // The kernel goes on without it; what the call saved at its beginning gives AC back to the program.
        frame.rflags &= !flag;
        return;
    }
    if vector == PAGE_FAULT && is_user_range(cr2, 1) && percpu::has_current() {
        if super::current_space().fault(cr2, access_of(error)).is_ok() {
            return;
        }
        if let Some(resume) = user::fixup(frame.rip) {
            frame.rip = resume;
            return;
        }
    }
    if kernel_space::is_guard_page(cr2) && vector == PAGE_FAULT {
        say!("a kernel stack overflowed");
    }
    say!("exception {vector} in the kernel, error {error:#x}, address {cr2:#x}: {frame:x?}");
    crate::console::exit(boot_abi::EXIT_PANIC)
}

/// The program dies of `signal`.
pub fn die(signal: Signal, frame: &Frame, info: &Siginfo) -> ! {
    let is_crash = matches!(
        signal,
        Signal::SIGSEGV
            | Signal::SIGBUS
            | Signal::SIGILL
            | Signal::SIGFPE
            | Signal::SIGTRAP
            | Signal::SIGSYS
    );
    // Of a child its parent learns, as under Linux.
    if is_crash && percpu::current().process.pid == super::family::INIT {
        crate::drivers::settle_output();
        report(signal, frame, info);
    }
    crate::trace::process_killed(signal);
    super::wait::end_process(super::family::Exit::signal(signal))
}

fn report(signal: Signal, frame: &Frame, info: &Siginfo) {
    let space = super::current_space();
    let thread = percpu::current();
    say!(
        "thread {} ended by {} (code {}, address {:#x}) at {}",
        thread.tid,
        signal.name(),
        info.code,
        info.addr(),
        crate::symbols::describe(space, frame.rip)
    );
    say!(
        "  rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}",
        frame.rax,
        frame.rbx,
        frame.rcx,
        frame.rdx
    );
    say!(
        "  rsi {:016x} rdi {:016x} rbp {:016x} rsp {:016x}",
        frame.rsi,
        frame.rdi,
        frame.rbp,
        frame.rsp
    );
    say!(
        "  r8  {:016x} r9  {:016x} r10 {:016x} r11 {:016x}",
        frame.r8,
        frame.r9,
        frame.r10,
        frame.r11
    );
    say!(
        "  r12 {:016x} r13 {:016x} r14 {:016x} r15 {:016x}",
        frame.r12,
        frame.r13,
        frame.r14,
        frame.r15
    );
    say!("  rip {:016x} rflags {:08x}", frame.rip, frame.rflags);
    backtrace(frame);
}

/// The chain of frame pointers, where there is one.
fn backtrace(frame: &Frame) {
    let space = super::current_space();
    let mut at = frame.rbp;
    for _ in 0..32 {
        let mut pair = [0u8; 16];
        if at == 0 || !at.is_multiple_of(8) || user::read(at, &mut pair).is_err() {
            return;
        }
        let [next, back] = [0, 8].map(|i| {
            pair.get(i..i + 8)
                .and_then(|b| b.try_into().ok())
                .map_or(0, u64::from_le_bytes)
        });
        let place: String = crate::symbols::describe(space, back);
        if space.lock().areas.find(back).is_none() {
            return;
        }
        say!("    from {place}");
        if next <= at {
            return;
        }
        at = next;
    }
}
