//! The per-CPU block. GS base points at it in ring 3 and in ring 0; the assembly knows some of its offsets.
#![allow(unsafe_code)]

use crate::gate::USER_FLAGS;
use crate::task::Thread;
use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Pending bits 0..24 are the gate's interrupt numbers; this one asks for work on the way out to the program:
/// a signal, or another thread's turn.
pub const PENDING_WORK: u32 = 1 << 30;

/// As many CPUs as a `cpu_set_t` of one word has bits.
pub const MAX_CPUS: usize = 64;

const RING0_STACK: usize = 2048;

/// An `iretq` frame.
#[repr(C)]
#[derive(Clone, Copy)]
struct ReturnFrame {
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// One CPU's block. Only the fields up to `irq_frame` have offsets that the assembly and the trampolines rely on.
#[repr(C, align(64))]
pub struct PerCpu {
    this: u64,
    /// `%gs:8` and `%gs:16`: trampolines jump here.
    syscall_entry: u64,
    cpuid_entry: u64,
    kstack_top: UnsafeCell<u64>,
    user_rsp: u64,
    pending: AtomicU32,
    pub cpu: u32,
    trap_rip: u64,
    cr2: u64,
    exc_return: u64,
    irq_return: u64,
    irq_frame: [u64; 5],
    /// How often other CPUs have asked for the TLB to be flushed, and up to which of these that has been done.
    pub flush_wanted: AtomicU64,
    pub flush_done: AtomicU64,
    /// What CR3 holds, if it is a program's root.
    pub root: AtomicU64,
    /// The CPU has nothing to run.
    pub idle: AtomicBool,
    /// The CPU touches no memory of a program's, and looks at `flush_wanted` before it does.
    pub quiet: AtomicBool,
    /// An interrupt from another CPU is on its way, or has not been looked at.
    pub called: AtomicBool,
    /// Whom the local APIC's command register names, or none.
    pub destination: AtomicU32,
    current: AtomicPtr<Thread>,
    exc_frame: ReturnFrame,
    irq_entry_frame: ReturnFrame,
    exc_stack: [u128; RING0_STACK / 16],
    irq_stack: [u128; RING0_STACK / 16],
}

const ENTRIES: [usize; 2] = [
    offset_of!(PerCpu, syscall_entry),
    offset_of!(PerCpu, cpuid_entry),
];
pub const KSTACK_TOP: usize = offset_of!(PerCpu, kstack_top);
pub const USER_RSP: usize = offset_of!(PerCpu, user_rsp);
pub const PENDING: usize = offset_of!(PerCpu, pending);
pub const TRAP_RIP: usize = offset_of!(PerCpu, trap_rip);
pub const CR2: usize = offset_of!(PerCpu, cr2);
pub const EXC_RETURN: usize = offset_of!(PerCpu, exc_return);
pub const IRQ_RETURN: usize = offset_of!(PerCpu, irq_return);
pub const IRQ_FRAME: usize = offset_of!(PerCpu, irq_frame);
pub const FLUSH_WANTED: usize = offset_of!(PerCpu, flush_wanted);
pub const FLUSH_DONE: usize = offset_of!(PerCpu, flush_done);
pub const EXC_TOP: usize = offset_of!(PerCpu, exc_stack) + RING0_STACK;

const _: () = assert!(
    ENTRIES[0] == 8 && ENTRIES[1] == 16,
    "trampolines jump through %gs:8 and %gs:16"
);

impl PerCpu {
    pub const fn new() -> Self {
        const EMPTY: ReturnFrame = ReturnFrame {
            rip: 0,
            cs: 0x33,
            rflags: USER_FLAGS,
            rsp: 0,
            ss: 0x2b,
        };
        Self {
            this: 0,
            syscall_entry: 0,
            cpuid_entry: 0,
            kstack_top: UnsafeCell::new(0),
            user_rsp: 0,
            pending: AtomicU32::new(0),
            cpu: 0,
            trap_rip: 0,
            cr2: 0,
            exc_return: 0,
            irq_return: 0,
            irq_frame: [0; 5],
            flush_wanted: AtomicU64::new(0),
            flush_done: AtomicU64::new(0),
            root: AtomicU64::new(0),
            idle: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            called: AtomicBool::new(false),
            destination: AtomicU32::new(u32::MAX),
            current: AtomicPtr::new(core::ptr::null_mut()),
            exc_frame: EMPTY,
            irq_entry_frame: EMPTY,
            exc_stack: [0; RING0_STACK / 16],
            irq_stack: [0; RING0_STACK / 16],
        }
    }

    /// Fills the block. Returns (RSP0, IST1) for the TSS.
    ///
    /// # Safety
    /// `block` must stay where it is for ever, and the CPU with that number must not run yet.
    pub unsafe fn fill(
        block: *mut PerCpu,
        cpu: u32,
        entries: &Entries,
        kstack_top: u64,
    ) -> (u64, u64) {
        // SAFETY: the caller gives a valid block that nobody else uses yet.
        let this = unsafe { &mut *block };
        this.this = block as u64;
        this.cpu = cpu;
        this.syscall_entry = entries.syscall;
        this.cpuid_entry = entries.cpuid;
        *this.kstack_top.get_mut() = kstack_top;
        this.exc_frame.rip = entries.exception;
        this.irq_entry_frame.rip = entries.interrupt;
        this.exc_return = &raw const this.exc_frame as u64;
        this.irq_return = &raw const this.irq_entry_frame as u64;
        let tops = (
            block as u64 + EXC_TOP as u64,
            &raw const this.irq_stack as u64 + RING0_STACK as u64,
        );
        if let Some(slot) = BLOCKS.get(cpu as usize) {
            slot.store(block, Ordering::Release);
        }
        tops
    }
}

static BLOCKS: [AtomicPtr<PerCpu>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// A CPU's block, if it has one.
#[must_use]
pub fn of(cpu: u32) -> Option<&'static PerCpu> {
    let block = BLOCKS.get(cpu as usize)?.load(Ordering::Acquire);
    // SAFETY: null or a filled block, which is never freed; all shared fields are atomic.
    unsafe { block.as_ref() }
}

/// Makes GS point at the executing CPU's block.
///
/// # Safety
/// Once, on the CPU with that number, after `fill`.
pub unsafe fn load(cpu: u32) {
    let block = BLOCKS
        .get(cpu as usize)
        .map_or(0, |slot| slot.load(Ordering::Acquire) as u64);
    // SAFETY: CR4.FSGSBASE was set at boot; GS is the kernel's own.
    unsafe { asm!("wrgsbase {}", in(reg) block, options(nostack, preserves_flags)) };
    crate::rank::start();
}

/// Where the gate and the trampolines enter ring-3 kernel code.
pub struct Entries {
    pub syscall: u64,
    pub cpuid: u64,
    pub exception: u64,
    pub interrupt: u64,
}

/// The executing CPU's block. Kernel code is not preempted and does not migrate, so the reference stays right.
pub fn this() -> &'static PerCpu {
    let block: *const PerCpu;
    // SAFETY: GS base points at the CPU's block from `install` on; blocks are never freed; all shared fields are atomic.
    unsafe {
        asm!("mov {}, qword ptr gs:[0]", out(reg) block, options(nostack, preserves_flags, readonly));
        &*block
    }
}

/// Where the last unpatched `syscall` returns to, once.
pub fn take_trap_rip() -> u64 {
    let mut rip = 0;
    // SAFETY: only the gate of this CPU writes the word, and never while kernel code runs.
    unsafe {
        asm!("xchg {}, qword ptr gs:[{at}]", inout(reg) rip, at = const TRAP_RIP, options(nostack, preserves_flags));
    }
    rip
}

/// Takes the pending interrupt bits, leaving [`PENDING_WORK`] alone.
pub fn take_interrupts() -> u32 {
    this().pending.fetch_and(PENDING_WORK, Ordering::Relaxed) & !PENDING_WORK
}

pub fn interrupts_pending() -> bool {
    this().pending.load(Ordering::Relaxed) & !PENDING_WORK != 0
}

/// Asks for [`PENDING_WORK`] on this CPU's way out to the program.
pub fn request_work() {
    this().pending.fetch_or(PENDING_WORK, Ordering::Relaxed);
}

pub fn clear_work() {
    this().pending.fetch_and(!PENDING_WORK, Ordering::Relaxed);
}

/// The running thread.
pub fn current() -> &'static Thread {
    // SAFETY: set before the first use; the scheduler holds a reference to the running thread for as long as it runs, and
    // the result is only used by that thread itself.
    unsafe { &*this().current.load(Ordering::Relaxed) }
}

pub fn has_current() -> bool {
    !this().current.load(Ordering::Relaxed).is_null()
}

/// Whether `thread` is the running one.
pub fn is_current(thread: &Thread) -> bool {
    core::ptr::eq(thread, this().current.load(Ordering::Relaxed))
}

/// The scheduler: no thread runs on this CPU.
pub fn set_no_current() {
    this()
        .current
        .store(core::ptr::null_mut(), Ordering::Relaxed);
}

/// The scheduler: `thread` runs from now on, with its kernel stack.
pub fn set_current(thread: &Thread, kstack_top: u64) {
    let this = this();
    this.current
        .store(core::ptr::from_ref(thread).cast_mut(), Ordering::Relaxed);
    // SAFETY: only this CPU's kernel code and its entry assembly touch the field, never at the same time.
    unsafe { *this.kstack_top.get() = kstack_top };
}

// SAFETY: fields shared between CPUs are atomic; the rest is the owning CPU's.
unsafe impl Sync for PerCpu {}
