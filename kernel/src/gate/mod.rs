//! Ring 0, and ring 3's way to it. The assembly is in `boot.s` (once), `gate.s` (ring 0) and `entry.s` (ring 3).
#![allow(unsafe_code)]

use crate::mm::layout::virt_to_phys;
use crate::percpu::{self, Entries, MAX_CPUS, PerCpu};
use alloc::boxed::Box;
use core::arch::global_asm;
use core::ptr::{addr_of, addr_of_mut};

/// RFLAGS of ring 3: IF and the bit that is always set. IOPL is 0, so the program cannot change IF; every frame that the
/// kernel returns through has it forced. The kernel's three ports are open by the TSS's I/O map (KVM on PVM loses an IOPL).
pub const USER_FLAGS: u64 = 0x202;

/// First IDT vector of the interrupts that the gate knows; their pending bits are 0..24.
pub const IRQ_BASE: u8 = 0x20;
pub const IRQ_COUNT: u8 = 24;
pub const FLUSH_VECTOR: u8 = 0x3e;
pub const SPURIOUS_VECTOR: u8 = 0x3f;
/// Pending bit of the local APIC timer.
pub const IRQ_TIMER: u8 = 23;
/// Pending bit of a call from another CPU; device interrupts use their GSI's number, which is below it.
pub const IRQ_CALL: u8 = 22;

const IDT_ENTRIES: usize = 64;

global_asm!(include_str!("boot.s"), ABI_VERSION = const boot_abi::ABI_VERSION, options(att_syntax));
global_asm!(
    include_str!("gate.s"),
    CR2 = const percpu::CR2,
    EXC_RETURN = const percpu::EXC_RETURN,
    IRQ_RETURN = const percpu::IRQ_RETURN,
    IRQ_FRAME = const percpu::IRQ_FRAME,
    PENDING = const percpu::PENDING,
    TRAP_RIP = const percpu::TRAP_RIP,
    FLUSH_WANTED = const percpu::FLUSH_WANTED,
    FLUSH_DONE = const percpu::FLUSH_DONE,
    EOI = const crate::mm::layout::phys_to_virt(crate::drivers::apic::LOCAL_APIC + 0xb0),
    options(att_syntax)
);
global_asm!(
    include_str!("entry.s"),
    TRAP_RIP = const percpu::TRAP_RIP,
    USER_RSP = const percpu::USER_RSP,
    KSTACK_TOP = const percpu::KSTACK_TOP,
    PENDING = const percpu::PENDING,
    IRQ_FRAME = const percpu::IRQ_FRAME,
    EXC_TOP = const percpu::EXC_TOP,
    CR2 = const percpu::CR2,
    options(att_syntax)
);

unsafe extern "C" {
    static gate_vectors: u8;
    static gate_irqs: u8;
    static gate_page_fault: u8;
    static gate_invalid_opcode: u8;
    static gate_spurious: u8;
    static gate_flush: u8;
    static syscall_entry: u8;
    static cpuid_entry: u8;
    static exc_entry: u8;
    static irq_entry: u8;
    static boot_stack_top: u8;
    static mut boot_idt: [IdtEntry; IDT_ENTRIES];
    static mut boot_tss: Tss;
    static mut boot_gdt_tss: [[u64; 2]; MAX_CPUS];
    static mut ap_root: u64;
    static mut ap_stacks: [u64; MAX_CPUS];
    static ap_start: u8;
    static sipi_start: u8;
    static sipi_end: u8;
    fn gate_call(arg0: u64, arg1: u64, service: u32);
}

#[repr(C)]
#[derive(Clone, Copy)]
struct IdtEntry {
    low: u64,
    high: u64,
}

impl IdtEntry {
    /// An interrupt gate (IF off) to ring 0.
    fn new(handler: u64, ist: u64) -> Self {
        let low = (handler & 0xffff)
            | 0x10 << 16
            | ist << 32
            | 0x8e << 40
            | ((handler >> 16) & 0xffff) << 48;
        Self {
            low,
            high: handler >> 32,
        }
    }
}

/// The 64-bit TSS with an I/O map for the ports 0..=0xff, which ends with the byte of ones that the CPU wants.
#[repr(C, packed(4))]
struct Tss {
    reserved0: u32,
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map_base: u16,
    io_map: [u8; 33],
}

impl Tss {
    fn new(rsp0: u64, ist1: u64) -> Self {
        let mut tss = Self {
            reserved0: 0,
            rsp: [rsp0; 3],
            reserved1: 0,
            ist: [ist1; 7],
            reserved2: 0,
            reserved3: 0,
            io_map_base: core::mem::offset_of!(Tss, io_map) as u16,
            io_map: [0xff; 33],
        };
        let wide = [
            boot_abi::EXIT_PORT,
            boot_abi::IDLE_PORT,
            boot_abi::CPU_PORT,
            boot_abi::trace::PORT,
            boot_abi::input::PORT,
        ];
        for port in wide
            .into_iter()
            .flat_map(|port| port..port + 4)
            .chain([boot_abi::DEBUG_PORT])
        {
            tss.io_map[usize::from(port / 8)] &= !(1 << (port % 8));
        }
        tss
    }
}

fn entries() -> Entries {
    Entries {
        syscall: addr_of!(syscall_entry) as u64,
        cpuid: addr_of!(cpuid_entry) as u64,
        exception: addr_of!(exc_entry) as u64,
        interrupt: addr_of!(irq_entry) as u64,
    }
}

static mut BOOT_CPU: PerCpu = PerCpu::new();

/// Sets up the boot CPU's block, IDT and TSS.
///
/// # Safety
/// Once, first thing at boot.
pub unsafe fn install() {
    // SAFETY: nothing else runs yet; the statics are this function's alone from here.
    unsafe {
        let (rsp0, ist1) = PerCpu::fill(
            addr_of_mut!(BOOT_CPU),
            0,
            &entries(),
            addr_of!(boot_stack_top) as u64,
        );
        percpu::load(0);
        let idt = &mut *addr_of_mut!(boot_idt);
        for (vector, entry) in idt.iter_mut().enumerate().take(22) {
            *entry = IdtEntry::new(addr_of!(gate_vectors) as u64 + 16 * vector as u64, 0);
        }
        idt[6] = IdtEntry::new(addr_of!(gate_invalid_opcode) as u64, 0);
        idt[14] = IdtEntry::new(addr_of!(gate_page_fault) as u64, 0);
        for irq in 0..IRQ_COUNT {
            idt[usize::from(IRQ_BASE + irq)] =
                IdtEntry::new(addr_of!(gate_irqs) as u64 + 32 * u64::from(irq), 1);
        }
        idt[usize::from(FLUSH_VECTOR)] = IdtEntry::new(addr_of!(gate_flush) as u64, 1);
        idt[usize::from(SPURIOUS_VECTOR)] = IdtEntry::new(addr_of!(gate_spurious) as u64, 1);
        *addr_of_mut!(boot_tss) = Tss::new(rsp0, ist1);
    }
}

/// Makes what another CPU needs before it can be started: its block, its TSS, and where it begins.
///
/// # Safety
/// `cpu` has never run; `stack_top` is that of an unused stack, mapped by the page tables at `root`, which map the kernel.
pub unsafe fn prepare_cpu(cpu: u32, stack_top: u64, root: u64) {
    let block = Box::leak(Box::new(PerCpu::new()));
    // SAFETY: the block is never freed, and the caller says that the CPU does not run.
    let (rsp0, ist1) = unsafe { PerCpu::fill(block, cpu, &entries(), stack_top) };
    let tss: *mut Tss = Box::leak(Box::new(Tss::new(rsp0, ist1)));
    let base = tss as u64;
    let limit = size_of::<Tss>() as u64 - 1;
    let low = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
    // SAFETY: only the boot CPU gets here, and a CPU reads its own entries only, once it is started.
    unsafe {
        let tables = &mut *addr_of_mut!(boot_gdt_tss);
        if let Some(entry) = tables.get_mut(cpu as usize) {
            *entry = [low, base >> 32];
        }
        let stacks = &mut *addr_of_mut!(ap_stacks);
        if let Some(entry) = stacks.get_mut(cpu as usize) {
            *entry = stack_top;
        }
        addr_of_mut!(ap_root).write(root);
    }
}

/// Has the monitor start a CPU that is prepared; see `boot_abi::CPU_PORT`.
pub fn start_by_monitor(cpu: u32) {
    let value = virt_to_phys(addr_of!(ap_start) as u64) as u32 | cpu;
    // SAFETY: the port has no effect on this CPU; the other one runs the kernel's own start-up code.
    unsafe {
        core::arch::asm!("out dx, eax", in("dx") boot_abi::CPU_PORT, in("eax") value, options(nostack, preserves_flags));
    }
}

/// Real-mode code that brings a CPU to `ap_start`; it works at any page below 1 MiB.
pub fn real_mode_start() -> &'static [u8] {
    let (start, end) = (addr_of!(sipi_start), addr_of!(sipi_end));
    // SAFETY: both are labels of boot.s, in this order, in the kernel's text.
    unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) }
}

/// Leaves the CPU to the monitor for `us` microseconds, or until something comes.
pub fn rest(us: u32) {
    idle_port(boot_abi::IDLE_TAG | us);
}

/// Has another CPU that rests go on.
pub fn end_rest(cpu: u32) {
    idle_port(boot_abi::IDLE_RING | cpu);
}

/// See `boot_abi::IDLE_PORT`.
fn idle_port(value: u32) {
    // SAFETY: the port has no effect on memory, but for what devices do to theirs.
    unsafe {
        core::arch::asm!("out dx, eax", in("dx") boot_abi::IDLE_PORT, in("eax") value, options(nostack, preserves_flags));
    }
}

/// Sleeps until an interrupt, unless one is pending.
pub fn halt() {
    // SAFETY: service 0 has no effect on memory.
    unsafe { gate_call(0, 0, 0) };
}

/// Loads CR3, which also flushes the TLB.
///
/// # Safety
/// `root` must be a page-table root that maps the whole kernel as it is mapped now.
pub unsafe fn load_cr3(root: u64) {
    // SAFETY: passed on to the caller.
    unsafe { gate_call(root, 0, 1) };
}

/// Forgets the translation of one page.
pub fn invalidate_page(address: u64) {
    // SAFETY: dropping a cached translation never changes what memory means.
    unsafe { gate_call(address, 0, 3) };
}

/// Sets XCR0.
///
/// # Safety
/// `mask` must be a combination that CPUID leaf 0xD allows.
pub unsafe fn set_xcr0(mask: u32) {
    // SAFETY: passed on to the caller.
    unsafe { gate_call(u64::from(mask), 0, 4) };
}
