//! Devices: interrupt controllers, virtio, random numbers. ARCHITECTURE.md says where they are.

pub mod apic;
mod ioapic;
pub mod network;
pub mod random;
pub mod virtio;

use alloc::format;
use virtio::console::{self, Role};

/// Finds the devices on the command line and sets up what every image needs. `seed` is the configuration's.
pub fn init(cmdline: &str, seed: &[u8]) {
    apic::init();
    virtio::init(cmdline);
    random::init(seed);
    console::init();
}

/// Serves the devices whose interrupts are pending; bit numbers are GSIs.
pub fn handle_interrupts(bits: u32) {
    console::handle_interrupts(bits);
    network::handle_interrupts(bits);
}

/// Looks whether devices have something to say that no interrupt has told yet. Memory reads only, if they have not.
pub fn poll() {
    console::look();
    network::poll();
}

/// So that what the program wrote comes before what the kernel says of it: they take different ways.
pub fn settle_output() {
    console::settle();
}

/// Ends the machine with the program's exit status, once all output has reached the monitor.
pub fn shutdown(status: u8) -> ! {
    let line = format!("exit {status}\n");
    if let Some(control) = console::port(Role::Control) {
        // There is room: other answers leave some.
        control.send(line.as_bytes());
    }
    console::flush();
    crate::console::exit(status.into())
}
