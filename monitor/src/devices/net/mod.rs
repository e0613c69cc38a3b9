//! virtio network card: frames go between guest memory and a tap interface in one system call each, without a copy.

mod device;
mod header;
mod patience;
mod receive;
mod thread;
mod transmit;

#[cfg(test)]
mod tests;

pub use device::Net;
pub use thread::spawn;

/// `struct virtio_net_hdr_v1`, which also comes before each frame on the tap's descriptor.
const HEADER: usize = 12;
/// The longest frame: an IP packet of 65535 bytes that the receiver cuts into segments, behind Ethernet and VLAN headers.
const LONGEST_FRAME: usize = 65535 + 18;
const SHORTEST_FRAME: usize = 14;
const QUEUE_SIZE: u16 = 256;
/// Frames in one direction before the other direction gets its turn.
const BATCH: usize = 64;
