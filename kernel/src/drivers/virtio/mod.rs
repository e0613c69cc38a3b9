//! virtio devices: found on the command line, driven by the `virtio-drivers` crate's queues over a transport of our own.

pub mod console;
mod control_queue;
mod hal;
pub mod hostnet;
mod mmio;
pub mod netcard;
mod port;
pub mod rng;
mod rx;
mod tx;

use alloc::vec::Vec;
use mmio::{Location, Mmio};
use spin::Once;
use virtio_drivers::transport::DeviceType;

pub use port::Port;

/// A device of the command line, and its type once it has been looked at.
struct Slot {
    location: Location,
    id: Once<u32>,
}

static SLOTS: Once<Vec<Slot>> = Once::new();

/// Reads where the devices are off the command line; touches none.
pub fn init(cmdline: &str) {
    mmio::init(cmdline);
    SLOTS.call_once(|| {
        cmdline
            .split_ascii_whitespace()
            .filter_map(location)
            .map(|location| Slot {
                location,
                id: Once::new(),
            })
            .collect()
    });
}

/// The first device of a kind.
fn find(kind: DeviceType) -> Option<Mmio> {
    find_with_gsi(kind).map(|(mmio, _)| mmio)
}

fn find_with_gsi(kind: DeviceType) -> Option<(Mmio, u8)> {
    find_by_id(kind as u32)
}

/// By the number of the type, for devices that the specification does not know.
fn find_by_id(id: u32) -> Option<(Mmio, u8)> {
    for Slot {
        location,
        id: known,
    } in SLOTS.get()?
    {
        // Looking is an exit or two.
        if known.get().is_some_and(|known| *known != id) {
            continue;
        }
        match Mmio::open(location) {
            Ok(mmio) => {
                known.call_once(|| mmio.id());
                if mmio.id() == id {
                    return Some((mmio, location.gsi));
                }
            }
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
