//! Who sees the frames of the interfaces.
use super::PacketCore;
use crate::stack::Tap;
use crate::stack::packet::{ETHERNET_HEADER, read_u16};
use crate::uplink::Uplink;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use linux_abi::raw::if_arp::{
    ARPHRD_ETHER, ARPHRD_LOOPBACK, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST,
    PACKET_OTHERHOST, PACKET_OUTGOING,
};
use spin::{Mutex, Once};

pub(super) const LOOPBACK: u32 = 1;
/// The card's.
const CARD: u32 = 2;

/// A frame on an interface.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub frame: &'a [u8],
    pub interface: u32,
    pub hardware_type: u16,
    /// `PACKET_*`
    pub packet_type: u8,
    pub protocol: u16,
    pub source: [u8; 6],
}

struct Card {
    hardware: Option<[u8; 6]>,
    has_frames: bool,
}

/// All packet sockets.
#[derive(Default)]
pub(crate) struct Observers {
    /// How many there are: traffic is not slowed down where nobody watches.
    count: AtomicUsize,
    sockets: Mutex<Vec<Weak<PacketCore>>>,
    /// The card, once it is watched.
    card: Once<Card>,
}

impl Observers {
    pub(super) fn add(&self, socket: &Arc<PacketCore>) {
        let mut sockets = self.sockets.lock();
        sockets.push(Arc::downgrade(socket));
        self.count.store(sockets.len(), Relaxed);
    }

    /// Sockets that are gone are forgotten.
    pub(super) fn clean(&self) {
        let mut sockets = self.sockets.lock();
        sockets.retain(|socket| socket.strong_count() > 0);
        self.count.store(sockets.len(), Relaxed);
    }

    /// From now on the card's frames are seen.
    pub(super) fn watch(self: &Arc<Self>, uplink: &dyn Uplink) {
        self.card.call_once(|| {
            let interfaces = uplink.interfaces();
            let tap: Arc<dyn Tap> = self.clone();
            Card {
                hardware: interfaces.first().map(|one| one.hardware_address),
                has_frames: uplink.watch(&tap),
            }
        });
    }

    /// Whether the way out of the guest has frames to see.
    pub(super) fn has_frames(&self) -> bool {
        self.card.get().is_some_and(|card| card.has_frames)
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.count.load(Relaxed) != 0
    }

    pub(super) fn sockets(&self) -> Vec<Arc<PacketCore>> {
        let sockets = self.sockets.lock();
        sockets.iter().filter_map(Weak::upgrade).collect()
    }

    fn hardware(&self) -> Option<[u8; 6]> {
        self.card.get()?.hardware
    }

    fn show(&self, seen: Seen<'_>) {
        for socket in self.sockets() {
            socket.see(seen);
        }
    }

    fn tell(&self) {
        for socket in self.sockets() {
            socket.tell();
        }
    }

    /// A frame that goes over `lo`: it leaves, and comes.
    pub(crate) fn loopback(&self, frame: &[u8]) {
        for packet_type in [PACKET_OUTGOING, PACKET_HOST] {
            self.show(Seen {
                frame,
                interface: LOOPBACK,
                hardware_type: ARPHRD_LOOPBACK as u16,
                packet_type: packet_type as u8,
                protocol: read_u16(frame, 12).unwrap_or(0),
                source: [0; 6],
            });
        }
        self.tell();
    }
}

impl Tap for Observers {
    fn frame(&self, frame: &[u8], outgoing: bool) {
        if !self.is_watched() {
            return;
        }
        let (Some(to), Some(source)) = (
            frame.first_chunk::<6>(),
            frame.get(6..).and_then(<[u8]>::first_chunk::<6>),
        ) else {
            return;
        };
        if frame.len() < ETHERNET_HEADER {
            return;
        }
        let packet_type = match *to {
            _ if outgoing => PACKET_OUTGOING,
            [255, 255, 255, 255, 255, 255] => PACKET_BROADCAST,
            [first, ..] if first & 1 != 0 => PACKET_MULTICAST,
            to if self.hardware() == Some(to) => PACKET_HOST,
            _ => PACKET_OTHERHOST,
        };
        self.show(Seen {
            frame,
            interface: CARD,
            hardware_type: ARPHRD_ETHER as u16,
            packet_type: packet_type as u8,
            protocol: read_u16(frame, 12).unwrap_or(0),
            source: *source,
        });
    }

    fn wake(&self) {
        if self.is_watched() {
            self.tell();
        }
    }
}
