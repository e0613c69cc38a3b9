//! The socket device: connections and datagrams of the guest, forwarded to sockets of the host.
//!
//! A virtio device of our own (virtio-mmio, no configuration space) with two queues. All numbers are little-endian.
//!
//! **Queue 0, requests.** A chain is one message: [`Header`], then its payload; all of it readable by the device. Messages for
//! one socket are carried out in order. The used length of a chain says what has become of it. [`USED_DONE`]: it was
//! carried out, or will be without its memory. [`USED_KEPT`], for [`REQ_DATA`] and [`REQ_SEND_TO`] only: the host does not take
//! the bytes now. The device goes on reading them where they lie until it says [`EV_TAKEN`], also when the driver has
//! closed the socket meanwhile. So a peer that does not read takes up memory, but no place in the queue.
//!
//! The device keeps at most [`KEPT_PER_SOCKET`] messages of a socket and [`KEPT_MOST`] of all; others stay in the queue, as do
//! those behind them. For each that it kept it says `EV_TAKEN`, whether it was sent or dropped; only a reset ends all at once.
//!
//! **Queue 1, events.** A chain is one buffer of at least [`EVENT_BUFFER_MIN`] bytes, writable by the device, which puts one or
//! more messages into it, each starting at a multiple of 8; the used length ends after the last one (padded).
//!
//! Sockets have 64-bit names that are never used twice: the driver chooses those without [`NAMED_BY_DEVICE`], the device
//! those with it (for accepted connections). What comes for a name that its receiver does not know (any more) is ignored.
//!
//! **Flow.** The device sends at most [`FIRST_WINDOW`] bytes of [`EV_DATA`] for a socket beyond what [`REQ_CREDIT`] has given, which
//! is never more than [`WINDOW`] at a time. The driver has at most `WINDOW` bytes of `REQ_DATA` in the queue or kept for a socket.
//! A listener gets at most its backlog of [`EV_INCOMING`] beyond what [`REQ_ACCEPTED`] has returned.
//!
//! **Addresses.** The guest's own are in its configuration. The device maps the gateway to the host's loopback address and the
//! name server's to the host's name server. A connection from the host's loopback address to a published port is shown as
//! coming from the guest's loopback address, which is what a program would see on the host.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Device type: outside of what the specification has assigned.
pub const DEVICE_ID: u32 = 0x8000_0001;
pub const QUEUE_REQUESTS: u16 = 0;
pub const QUEUE_EVENTS: u16 = 1;
/// Largest size of both queues.
pub const QUEUE_SIZE: u16 = 256;

/// A header and the longest message that is not data: a datagram of 65507 bytes with its addresses.
pub const EVENT_BUFFER_MIN: usize = 66 * 1024;
/// Longest payload of a request.
pub const REQUEST_MAX: usize = 72 * 1024;
/// Bytes in flight for a stream, each way.
pub const WINDOW: u32 = 1024 * 1024;
/// What a new stream may receive: little, since its program may never read it.
pub const FIRST_WINDOW: u32 = 32 * 1024;

/// Used lengths of requests.
pub const USED_DONE: u32 = 0;
pub const USED_KEPT: u32 = 1;
pub const KEPT_PER_SOCKET: usize = 256;
pub const KEPT_MOST: usize = 64 * 1024;

pub const NAMED_BY_DEVICE: u64 = 1 << 63;

/// Connect the new stream `socket`: address, options. Answer: [`EV_CONNECTED`] or [`EV_FAILED`].
pub const REQ_CONNECT: u16 = 1;
/// `socket` is a listener: address (the IP may be unspecified), u32 backlog.
pub const REQ_LISTEN: u16 = 2;
/// The program has accepted u32 connections of the listener.
pub const REQ_ACCEPTED: u16 = 3;
/// Bytes for a stream. [`FLAG_MORE`]: more will follow.
pub const REQ_DATA: u16 = 4;
/// [`FLAG_READ`], [`FLAG_WRITE`]: shutdown(2), after the data before it.
pub const REQ_SHUTDOWN: u16 = 5;
/// The driver has forgotten `socket`. What was sent is still delivered, unless [`FLAG_ABORT`]: then a reset.
pub const REQ_CLOSE: u16 = 6;
/// u32 more bytes may come for a stream.
pub const REQ_CREDIT: u16 = 7;
/// Options for a stream or a datagram socket.
pub const REQ_OPTIONS: u16 = 8;
/// What does `TCP_INFO` say? Answer: [`EV_INFO`].
pub const REQ_INFO: u16 = 9;
/// `socket` is a new datagram socket: address (the IP may be unspecified); the flags say [`FLAG_UDP`] or [`FLAG_ECHO`]. For echo the
/// port is the identifier.
pub const REQ_DATAGRAMS: u16 = 10;
/// A datagram: address, u8 hop limit (0: the default), 7 zero bytes, the bytes.
pub const REQ_SEND_TO: u16 = 11;
/// Address (port 0) of a multicast group; [`FLAG_JOIN`] or not.
pub const REQ_MEMBERSHIP: u16 = 12;

/// The stream is connected: the host's local address.
pub const EV_CONNECTED: u16 = 1;
/// The connection failed or broke: u32 errno. Nothing more will come.
pub const EV_FAILED: u16 = 2;
/// A connection for the listener `socket`: u64 name, peer's address, local address as the guest sees them.
pub const EV_INCOMING: u16 = 3;
/// Bytes of a stream.
pub const EV_DATA: u16 = 4;
/// The peer sends no more.
pub const EV_END: u16 = 5;
/// A datagram: sender's address, destination's address, u8 hop limit, 7 zero bytes, the bytes.
pub const EV_DATAGRAM: u16 = 6;
/// Something sent by a datagram socket came to nothing: u32 errno, u32 zero, address of the destination.
pub const EV_DATAGRAM_ERROR: u16 = 7;
/// `struct tcp_info`.
pub const EV_INFO: u16 = 8;
/// The device no longer needs the oldest u32 messages that it kept for the socket. What comes for none that is kept is ignored.
pub const EV_TAKEN: u16 = 9;

pub const FLAG_MORE: u16 = 1;
pub const FLAG_READ: u16 = 1;
pub const FLAG_WRITE: u16 = 2;
pub const FLAG_ABORT: u16 = 1;
pub const FLAG_JOIN: u16 = 1;
pub const FLAG_UDP: u16 = 1;
pub const FLAG_ECHO: u16 = 2;

/// An option: u16 number, u16 zero, u32 value. Unknown ones are ignored.
pub const OPTION_SIZE: usize = 8;
pub const OPT_NO_DELAY: u16 = 1;
pub const OPT_CORK: u16 = 2;
pub const OPT_QUICK_ACK: u16 = 3;
pub const OPT_KEEP_ALIVE: u16 = 4;
/// Seconds.
pub const OPT_KEEP_IDLE: u16 = 5;
/// Seconds.
pub const OPT_KEEP_INTERVAL: u16 = 6;
pub const OPT_KEEP_COUNT: u16 = 7;
/// Milliseconds.
pub const OPT_USER_TIMEOUT: u16 = 8;
pub const OPT_HOP_LIMIT: u16 = 9;
pub const OPT_TRAFFIC_CLASS: u16 = 10;
pub const OPT_MAX_SEGMENT: u16 = 11;
pub const OPT_BROADCAST: u16 = 12;
pub const OPT_MULTICAST_LOOP: u16 = 13;
pub const OPT_MULTICAST_TTL: u16 = 14;

/// What every message starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u16,
    pub flags: u16,
    /// Bytes of payload, without the padding.
    pub length: u32,
    pub socket: u64,
}

impl Header {
    pub const SIZE: usize = 16;

    #[must_use]
    pub const fn new(kind: u16, socket: u64, length: usize) -> Self {
        Self {
            kind,
            flags: 0,
            length: length as u32,
            socket,
        }
    }

    #[must_use]
    pub const fn with_flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let low = u64::from(self.kind) | u64::from(self.flags) << 16 | u64::from(self.length) << 32;
        (u128::from(low) | u128::from(self.socket) << 64).to_le_bytes()
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let all = u128::from_le_bytes(bytes);
        Self {
            kind: all as u16,
            flags: (all >> 16) as u16,
            length: (all >> 32) as u32,
            socket: (all >> 64) as u64,
        }
    }
}

/// Bytes of an address: u16 family (4 or 6), u16 port, u32 zero, 16 bytes of IP (IPv4 in the first four).
pub const ADDRESS_SIZE: usize = 24;

#[must_use]
pub fn encode_address(address: SocketAddr) -> [u8; ADDRESS_SIZE] {
    let mut bytes = [0; ADDRESS_SIZE];
    let (family, ip) = bytes.split_at_mut(8);
    let version: u8 = match address.ip() {
        IpAddr::V4(v4) => {
            ip[..4].copy_from_slice(&v4.octets());
            4
        }
        IpAddr::V6(v6) => {
            ip.copy_from_slice(&v6.octets());
            6
        }
    };
    family[0] = version;
    family[2..4].copy_from_slice(&address.port().to_le_bytes());
    bytes
}

/// None: no such family.
#[must_use]
pub fn decode_address(bytes: &[u8; ADDRESS_SIZE]) -> Option<SocketAddr> {
    let (head, ip) = bytes.split_at(8);
    let ip: [u8; 16] = ip.try_into().ok()?;
    let ip = match u16::from_le_bytes([head[0], head[1]]) {
        4 => IpAddr::V4(Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3])),
        6 => IpAddr::V6(Ipv6Addr::from(ip)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_le_bytes([head[2], head[3]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_addresses_come_back() {
        let header = Header::new(REQ_DATA, 0x1122_3344_5566_7788, 70_000).with_flags(FLAG_MORE);
        assert_eq!(Header::from_bytes(header.to_bytes()), header);
        for text in ["1.2.3.4:80", "[fd00:c0::15]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(decode_address(&encode_address(address)), Some(address));
        }
        assert_eq!(decode_address(&[0; ADDRESS_SIZE]), None);
    }
}
