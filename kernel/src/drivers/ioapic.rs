//! The I/O APIC: which device interrupt line becomes which vector.
#![allow(unsafe_code)]

use crate::gate::{IRQ_BASE, IRQ_CALL};
use crate::mm::layout::phys_to_virt;
use spin::Mutex;

const IO_APIC: u64 = 0xfec0_0000;
const REGISTER_SELECT: u64 = 0;
const WINDOW: u64 = 0x10;
/// Two registers an entry.
const REDIRECTION_TABLE: u32 = 0x10;

/// Selecting a register and writing it are two accesses.
static SELECTED: Mutex<()> = Mutex::new(());

fn write(offset: u64, value: u32) {
    // SAFETY: the I/O APIC's registers, mapped uncached at boot; writing them touches no memory.
    unsafe { ((phys_to_virt(IO_APIC) + offset) as *mut u32).write_volatile(value) };
}

/// Passes the interrupt line on to the boot CPU: edge-triggered, active high. Answers false if the gate has no vector for it.
pub fn enable(gsi: u8) -> bool {
    if gsi >= IRQ_CALL {
        return false;
    }
    let _guard = SELECTED.lock();
    // The upper half of the entry, the destination, is APIC 0 from reset.
    write(REGISTER_SELECT, REDIRECTION_TABLE + 2 * u32::from(gsi));
    write(WINDOW, u32::from(IRQ_BASE + gsi));
    true
}
