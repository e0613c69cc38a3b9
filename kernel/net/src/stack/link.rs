//! What the stack needs of a network card.
use alloc::vec::Vec;

/// What the card can do for a sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// It completes the checksums of TCP and UDP.
    pub checksum: bool,
    /// It cuts large TCP segments into small ones, over IPv4 and over IPv6. Needs `checksum`.
    pub segment_v4: bool,
    pub segment_v6: bool,
}

/// How a large TCP segment is to be cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segmentation {
    /// Payload bytes of each segment.
    pub size: u16,
    /// All headers, Ethernet's to TCP's.
    pub header: u16,
    pub v6: bool,
}

/// What is left to the card for one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offload {
    /// Where the checksum starts and, from there, where it goes; the pseudo header's sum is there already.
    pub checksum: Option<(u16, u16)>,
    pub segmentation: Option<Segmentation>,
}

/// About a received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrival {
    /// Its TCP or UDP checksum is known to be right (or is not filled in, since the frame never left the host).
    pub checked: bool,
}

/// A network card. Called with the stack's lock held, so it must not call back.
pub trait Link: Send {
    fn hardware_address(&self) -> [u8; 6];

    /// The largest IP packet.
    fn mtu(&self) -> usize;

    fn features(&self) -> Features;

    /// Whether a frame can be sent now. If not, the card is to have the stack polled once it can.
    fn has_room(&mut self) -> bool;

    /// Sends one frame. False: it was dropped.
    fn send(&mut self, frame: &[u8], offload: Offload) -> bool;

    /// Whether `receive` would answer something. Cheap.
    fn has_news(&mut self) -> bool;

    /// Puts the next received frame into `frame`, which is empty.
    fn receive(&mut self, frame: &mut Vec<u8>) -> Option<Arrival>;

    /// Whether the card is to interrupt when something has come.
    fn interrupt(&mut self, on: bool);

    /// A batch is over: tells the device about what was sent and about buffers that it got back.
    fn kick(&mut self);
}
