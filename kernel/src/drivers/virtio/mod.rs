//! virtio devices: found on the command line, driven by the `virtio-drivers` crate's queues over a transport of our own.

pub mod console;
mod control_queue;
mod hal;
mod mmio;
mod port;
pub mod rng;
mod rx;
mod tx;

use alloc::vec::Vec;
use mmio::{Location, Mmio};
use spin::Once;
use virtio_drivers::transport::DeviceType;

pub use port::Port;

static LOCATIONS: Once<Vec<Location>> = Once::new();

/// Reads where the devices are off the command line; touches none.
pub fn init(cmdline: &str) {
    LOCATIONS.call_once(|| {
        cmdline
            .split_ascii_whitespace()
            .filter_map(location)
            .collect()
    });
}

/// The first device of a kind.
fn find(kind: DeviceType) -> Option<Mmio> {
    find_with_gsi(kind).map(|(mmio, _)| mmio)
}

fn find_with_gsi(kind: DeviceType) -> Option<(Mmio, u8)> {
    for location in LOCATIONS.get()? {
        match Mmio::open(location) {
            Ok(Some(mmio)) if mmio.kind() == kind => return Some((mmio, location.gsi)),
            Ok(_) => {}
            Err(why) => say!("virtio device at {:#x}: {why}", location.address),
        }
    }
    None
}

/// `virtio_mmio.device=SIZE@ADDRESS:IRQ[:ID]`, as Linux has it. Other words are none, malformed ones are named.
fn location(word: &str) -> Option<Location> {
    let text = word
        .strip_prefix(boot_abi::KEY_VIRTIO_MMIO)?
        .strip_prefix('=')?;
    let parsed = parse_location(text);
    if parsed.is_none() {
        say!("the command line names a virtio device that cannot be understood: {word}");
    }
    parsed
}

fn parse_location(text: &str) -> Option<Location> {
    let (size, rest) = text.split_once('@')?;
    let mut fields = rest.split(':');
    let address = number(fields.next()?)?;
    let gsi = number(fields.next()?)?.try_into().ok()?;
    Some(Location {
        address,
        size: size_of_window(size)?,
        gsi,
    })
}

/// A number with an optional unit, as memparse() of Linux takes it.
fn size_of_window(text: &str) -> Option<u64> {
    match text.strip_suffix(['K', 'k']) {
        Some(kib) => number(kib)?.checked_mul(1024),
        None => number(text),
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
