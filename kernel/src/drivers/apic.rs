//! The local APIC, by its memory-mapped registers. Every access may be an exit to the hypervisor, so there are few.
#![allow(unsafe_code)]

use crate::gate::{IRQ_BASE, IRQ_TIMER, SPURIOUS_VECTOR};
use crate::mm::layout::phys_to_virt;
use crate::percpu;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Physical address of the registers, the same on every CPU.
pub const LOCAL_APIC: u64 = 0xfee0_0000;

const SPURIOUS_INTERRUPT_VECTOR: u64 = 0xf0;
/// The interrupt command register; the upper half is the destination. Writing the lower half sends.
const COMMAND: u64 = 0x300;
const COMMAND_DESTINATION: u64 = 0x310;
const LVT_TIMER: u64 = 0x320;
const LVT_LINT0: u64 = 0x350;
const INITIAL_COUNT: u64 = 0x380;
const CURRENT_COUNT: u64 = 0x390;
const DIVIDE_CONFIGURATION: u64 = 0x3e0;

const ASSERT: u32 = 1 << 14;
const INIT: u32 = 5 << 8;
const START_UP: u32 = 6 << 8;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
/// What the register holds from reset; yet QEMU divides by 1 until it is written.
const DIVIDE_BY_2: u32 = 0b0000;
/// KVM and QEMU count at 1 GHz, divided by 2.
const NS_PER_COUNT: u64 = 2;

/// The CPUs (a bit each) whose timers are set up.
static TIMERS: AtomicU64 = AtomicU64::new(0);

fn write(register: u64, value: u32) {
    // SAFETY: the page is the CPU's own APIC, mapped uncached at boot; the registers written here start or stop interrupts,
    // whose handlers are in place, and touch no memory.
    unsafe { ((phys_to_virt(LOCAL_APIC) + register) as *mut u32).write_volatile(value) };
}

/// Enables the executing CPU's APIC. The task priority is 0 from reset.
pub fn init() {
    // From reset LINT0 passes on what the legacy interrupt controller raises, with vectors that nobody programmed.
    write(LVT_LINT0, MASKED);
    write(
        SPURIOUS_INTERRUPT_VECTOR,
        SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR),
    );
}

/// Interrupts another CPU, whose APIC id is its number.
pub fn send(cpu: u32, vector: u8) {
    command(cpu, u32::from(vector));
}

/// Puts another CPU into the state in which it waits for `send_start_up`.
pub fn send_init(cpu: u32) {
    command(cpu, INIT);
}

/// Has another CPU run from the page at `address` (below 1 MiB) on, in real mode.
pub fn send_start_up(cpu: u32, address: u32) {
    command(cpu, START_UP | address >> 12);
}

fn command(cpu: u32, what: u32) {
    // It is mostly the same CPU that is called, and each access may be an exit.
    if percpu::this().destination.swap(cpu, Relaxed) != cpu {
        write(COMMAND_DESTINATION, cpu << 24);
    }
    write(COMMAND, ASSERT | what);
}

/// One timer interrupt after `ns` nanoseconds, or after 8.5 seconds if that is sooner. Replaces an earlier one.
pub fn arm_timer(ns: u64) {
    // A short program may never need the timer.
    let this_cpu = 1u64 << percpu::this().cpu;
    if TIMERS.fetch_or(this_cpu, Relaxed) & this_cpu == 0 {
        write(DIVIDE_CONFIGURATION, DIVIDE_BY_2);
        write(LVT_TIMER, u32::from(IRQ_BASE + IRQ_TIMER));
    }
    // A count of 0 would stop the timer instead.
    write(
        INITIAL_COUNT,
        u32::try_from(ns / NS_PER_COUNT).unwrap_or(u32::MAX).max(1),
    );
}

/// Stops the timer. An interrupt that is on its way still arrives.
pub fn disarm() {
    write(INITIAL_COUNT, 0);
}

/// Nanoseconds until the timer fires; the armed time was at most `u32::MAX`.
#[must_use]
pub fn current_count() -> u32 {
    // SAFETY: reading the counter has no effect.
    let count =
        unsafe { ((phys_to_virt(LOCAL_APIC) + CURRENT_COUNT) as *const u32).read_volatile() };
    count.saturating_mul(NS_PER_COUNT as u32)
}
