//! The network's device, if the image has the network: when to look at it.

use crate::parts::{self, Devices};

fn devices() -> Option<&'static Devices> {
    parts::network().map(|part| &part.devices)
}

/// Hands on what has come. A few memory reads, if nothing has. Answers whether something had.
pub fn poll() -> bool {
    devices().is_some_and(|devices| (devices.poll)())
}

/// The device's interrupt, if it is among `bits`.
pub fn handle_interrupts(bits: u32) {
    if let Some(devices) = devices() {
        (devices.handle_interrupts)(bits);
    }
}

/// Whether an idle CPU leaves itself to the monitor (`gate::rest`): where that is offered, and once the device is in use.
pub fn rests_at_the_monitor() -> bool {
    devices().is_some_and(|devices| (devices.rests_at_the_monitor)())
}

/// How long to look for work before halting, in ns.
pub fn spin_time() -> u64 {
    devices().map_or(0, |devices| (devices.spin_time)())
}

/// There was work before the CPU had to halt.
pub fn spun_with_success() {
    if let Some(devices) = devices() {
        (devices.spun_with_success)();
    }
}

/// The CPU is about to halt. True: not now, something has come.
pub fn before_halt() -> bool {
    devices().is_some_and(|devices| (devices.before_halt)())
}

/// The CPU has halted and goes on; it had been idle for `ns`.
pub fn after_halt(ns: u64) {
    if let Some(devices) = devices() {
        (devices.after_halt)(ns);
    }
}
