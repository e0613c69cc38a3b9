//! Packets that never were: what the bytes of forwarded sockets would have looked like on a wire.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep, TcpHeader};

use super::Capture;

const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x15];
const WORLD_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const HOP_LIMIT: u8 = 64;
const TCP_WINDOW: u16 = u16::MAX;
/// What an IPv4 packet holds besides its own header and TCP's.
const LONGEST_SEGMENT: usize = 65535 - 40;

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Guest,
    Peer,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Guest => Self::Peer,
            Self::Peer => Self::Guest,
        }
    }
}

/// The start of a packet. None: the addresses are of different families.
fn start(from: Side, guest: IpAddr, peer: IpAddr) -> Option<PacketBuilderStep<IpHeaders>> {
    let (source, target, macs) = match from {
        Side::Guest => (guest, peer, (GUEST_MAC, WORLD_MAC)),
        Side::Peer => (peer, guest, (WORLD_MAC, GUEST_MAC)),
    };
    let ethernet = PacketBuilder::ethernet2(macs.0, macs.1);
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            Some(ethernet.ipv4(source.octets(), target.octets(), HOP_LIMIT))
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            Some(ethernet.ipv6(source.octets(), target.octets(), HOP_LIMIT))
        }
        _ => None,
    }
}

fn ports(from: Side, guest: SocketAddr, peer: SocketAddr) -> (u16, u16) {
    match from {
        Side::Guest => (guest.port(), peer.port()),
        Side::Peer => (peer.port(), guest.port()),
    }
}

impl Capture {
    pub fn udp(&self, from: Side, guest: SocketAddr, peer: SocketAddr, bytes: &[u8]) {
        let (source, target) = ports(from, guest, peer);
        let mut frame = Vec::new();
        if let Some(ip) = start(from, guest.ip(), peer.ip())
            && ip
                .udp(source, target)
                .write_to_vec(&mut frame, bytes)
                .is_ok()
        {
            self.bytes(&frame);
        }
    }

    /// `bytes` start with the ICMP header, whose checksum need not be right.
    pub fn icmp(&self, from: Side, guest: IpAddr, peer: IpAddr, bytes: &[u8]) {
        let Some(([kind, code, _, _, rest @ ..], data)) = bytes.split_first_chunk::<8>() else {
            return;
        };
        let mut frame = Vec::new();
        let written = match start(from, guest, peer) {
            Some(ip) if guest.is_ipv4() => ip
                .icmpv4_raw(*kind, *code, *rest)
                .write_to_vec(&mut frame, data)
                .is_ok(),
            Some(ip) => ip
                .icmpv6_raw(*kind, *code, *rest)
                .write_to_vec(&mut frame, data)
                .is_ok(),
            None => false,
        };
        if written {
            self.bytes(&frame);
        }
    }
}

/// A connection. What it is told becomes packets with the right sequence numbers.
pub struct TcpTrace {
    capture: Arc<Capture>,
    guest: SocketAddr,
    peer: SocketAddr,
    /// The next sequence number of each.
    guest_next: u32,
    peer_next: u32,
    /// The guest's socket is connected.
    connected: bool,
    /// Who has sent all.
    guest_ended: bool,
    peer_ended: bool,
}

impl TcpTrace {
    pub fn new(capture: Arc<Capture>, guest: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            capture,
            guest,
            peer,
            guest_next: 0,
            peer_next: 0,
            connected: false,
            guest_ended: false,
            peer_ended: false,
        }
    }

    fn next(&mut self, side: Side) -> &mut u32 {
        match side {
            Side::Guest => &mut self.guest_next,
            Side::Peer => &mut self.peer_next,
        }
    }

    /// One segment; its flags and bytes take their sequence numbers.
    fn segment(&mut self, from: Side, flags: impl FnOnce(&mut TcpHeader), bytes: &[u8]) {
        let (source, target) = ports(from, self.guest, self.peer);
        let mut header = TcpHeader::new(source, target, *self.next(from), TCP_WINDOW);
        header.ack = true;
        header.acknowledgment_number = *self.next(from.other());
        flags(&mut header);
        if !header.ack {
            header.acknowledgment_number = 0;
        }
        let taken = bytes.len() as u32 + u32::from(header.syn) + u32::from(header.fin);
        let next = self.next(from);
        *next = next.wrapping_add(taken);
        let mut frame = Vec::new();
        if let Some(ip) = start(from, self.guest.ip(), self.peer.ip())
            && ip
                .tcp_header(header)
                .write_to_vec(&mut frame, bytes)
                .is_ok()
        {
            self.capture.bytes(&frame);
        }
    }

    /// `from` connected to the other.
    pub fn connected(&mut self, from: Side) {
        self.attempt(from);
        self.segment(from.other(), |tcp| tcp.syn = true, b"");
        self.segment(from, |_| {}, b"");
        self.connected = true;
    }

    /// `from` tried, and was refused.
    pub fn refused(&mut self, from: Side) {
        self.attempt(from);
        self.segment(from.other(), |tcp| tcp.rst = true, b"");
    }

    pub fn data(&mut self, from: Side, bytes: &[u8]) {
        for part in bytes.chunks(LONGEST_SEGMENT) {
            self.segment(from, |tcp| tcp.psh = true, part);
        }
    }

    /// `from` sends no more. Told twice, it counts once.
    pub fn end(&mut self, from: Side) {
        let ended = match from {
            Side::Guest => &mut self.guest_ended,
            Side::Peer => &mut self.peer_ended,
        };
        if !self.connected || std::mem::replace(ended, true) {
            return;
        }
        self.segment(from, |tcp| tcp.fin = true, b"");
        self.segment(from.other(), |_| {}, b"");
    }

    pub fn reset(&mut self, from: Side) {
        if self.connected {
            self.segment(from, |tcp| tcp.rst = true, b"");
        }
    }

    /// The connection has come to nothing, or has broken.
    pub fn failed(&mut self, errno: u32) {
        match (self.connected, errno as i32) {
            (true, libc::ECONNRESET | libc::EPIPE) => self.reset(Side::Peer),
            (false, libc::ECONNREFUSED) => self.refused(Side::Guest),
            (false, _) => self.attempt(Side::Guest),
            // A timeout, or a router's word: nothing came from the peer.
            (true, _) => {}
        }
    }

    fn attempt(&mut self, from: Side) {
        self.segment(from, |tcp| (tcp.syn, tcp.ack) = (true, false), b"");
    }
}
