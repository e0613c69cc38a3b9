//! ICMP and ICMPv6 messages, as far as echo needs them, see icmp(7).
use super::queue::Datagram;
use super::receivers::Key;
use super::{Dgram, Kind};
use crate::Result;
use crate::inet::ip::Family;
use crate::inet::own::LOOPBACK_INDEX;
use crate::inet::{IPPROTO_ICMP, IPPROTO_ICMPV6};
use crate::network::Network;
use crate::packet::made_up;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;

const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;
const IP_HEADER: usize = 20;

/// `ICMP_FILTER`, `ICMPV6_FILTER`: a bit for each type that is not wanted.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Filter(pub [u32; 8]);

impl Filter {
    fn blocks(&self, kind: u8) -> bool {
        let word = self.0.get(usize::from(kind / 32)).copied().unwrap_or(0);
        word >> (kind % 32) & 1 != 0
    }
}

const fn request(v6: bool) -> u8 {
    if v6 { ECHO_REQUEST_V6 } else { ECHO_REQUEST_V4 }
}

const fn reply(v6: bool) -> u8 {
    if v6 { ECHO_REPLY_V6 } else { ECHO_REPLY_V4 }
}

/// `EINVAL`: not an echo request.
pub(super) fn check_request(bytes: &[u8], v6: bool) -> Result<()> {
    match bytes {
        [kind, 0, ..] if *kind == request(v6) && bytes.len() >= HEADER => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn identifier(bytes: &[u8]) -> u16 {
    let field = bytes.get(4..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

pub(super) fn set_identifier(bytes: &mut [u8], identifier: u16) {
    if let Some(field) = bytes.get_mut(4..6) {
        field.copy_from_slice(&identifier.to_be_bytes());
    }
}

fn sum(bytes: &[u8]) -> u32 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let pairs: u32 = pairs
        .iter()
        .map(|pair| u32::from(u16::from_be_bytes(*pair)))
        .sum();
    pairs + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

const fn folded(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// RFC 1071; for IPv6 with the pseudo-header of RFC 8200.
pub(super) fn set_checksum(bytes: &mut [u8], from: IpAddr, to: IpAddr) {
    if let Some(field) = bytes.get_mut(2..4) {
        field.fill(0);
    }
    let mut total = sum(bytes);
    if let (IpAddr::V6(from), IpAddr::V6(to)) = (from, to) {
        total += sum(&from.octets()) + sum(&to.octets());
        total += bytes.len() as u32 + IPPROTO_ICMPV6;
    }
    let checksum = folded(total);
    if let Some(field) = bytes.get_mut(2..4) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The header that a raw IPv4 socket sees in front of a message.
fn ip_header(datagram: &Datagram) -> [u8; IP_HEADER] {
    let mut header = [0; IP_HEADER];
    let (IpAddr::V4(from), IpAddr::V4(to)) = (datagram.from.ip(), datagram.to) else {
        return header;
    };
    let length = u16::try_from(datagram.bytes.len() + IP_HEADER).unwrap_or(u16::MAX);
    header[0] = 0x45;
    header[1] = datagram.traffic_class;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    // Don't fragment.
    header[6] = 0x40;
    header[8] = datagram.hop_limit;
    header[9] = IPPROTO_ICMP as u8;
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let checksum = folded(sum(&header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

impl Dgram {
    /// Whether a raw socket takes the message; it becomes what such a socket reads.
    pub(super) fn wants_raw(&self, datagram: &mut Datagram) -> bool {
        let kind = datagram.bytes.first().copied().unwrap_or(0);
        // ICMP's filter has a word only.
        let filtered = self.family == Family::V6 || kind < 32;
        if filtered && self.filter.lock().blocks(kind) {
            return false;
        }
        if datagram.to.is_ipv4() {
            let mut whole = Vec::with_capacity(IP_HEADER + datagram.bytes.len());
            whole.extend_from_slice(&ip_header(datagram));
            whole.extend_from_slice(&datagram.bytes);
            datagram.bytes = whole;
        }
        true
    }
}

impl Network {
    /// The one socket inside for a datagram that stays inside.
    pub(super) fn receiver(&self, key: Key, from: SocketAddr, to: IpAddr) -> Option<Arc<Dgram>> {
        let receivers = self.inet().receivers.lock();
        receivers.find(key, from, to, LOOPBACK_INDEX)
    }

    /// A message from a socket inside to an address inside: raw sockets see it, and an echo request is answered.
    pub(super) fn icmp_inside(&self, message: Datagram) {
        let v6 = message.to.is_ipv6();
        let kind = message.bytes.first().copied().unwrap_or(0);
        let is_request = check_request(&message.bytes, v6).is_ok();
        let answer = is_request.then(|| answer_to(&message));
        if !is_request && kind == reply(v6) {
            self.to_echo_socket(&message);
        }
        self.show_icmp(&message);
        self.to_raw_sockets(message);
        if let Some(answer) = answer {
            self.show_icmp(&answer);
            self.to_echo_socket(&answer);
            self.to_raw_sockets(answer);
        }
    }

    /// Those who watch `lo` see it.
    fn show_icmp(&self, message: &Datagram) {
        if self.observers.is_watched() {
            let (from, to) = (message.from.ip(), message.to);
            let frame = made_up::icmp(from, to, message.hop_limit, &message.bytes);
            self.observers.loopback(&frame);
        }
    }

    fn to_echo_socket(&self, message: &Datagram) {
        let key = Key::Echo(identifier(&message.bytes));
        if let Some(socket) = self.receiver(key, message.from, message.to) {
            socket.enqueue(message.clone());
        }
    }

    fn to_raw_sockets(&self, message: Datagram) {
        let protocol = match message.to {
            IpAddr::V4(_) => IPPROTO_ICMP,
            IpAddr::V6(_) => IPPROTO_ICMPV6,
        };
        let sockets = self.inet().receivers.lock().find_all(
            Key::Raw(protocol as u8),
            message.from,
            message.to,
            LOOPBACK_INDEX,
        );
        for socket in sockets {
            if socket.kind == Kind::Raw {
                socket.enqueue(message.clone());
            }
        }
    }
}

fn answer_to(message: &Datagram) -> Datagram {
    let v6 = message.to.is_ipv6();
    let mut bytes = message.bytes.clone();
    if let Some(kind) = bytes.first_mut() {
        *kind = reply(v6);
    }
    set_checksum(&mut bytes, message.to, message.from.ip());
    Datagram {
        bytes,
        from: SocketAddr::new(message.to, 0),
        to: message.from.ip(),
        hop_limit: 64,
        ..*message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_rfc() {
        // RFC 1071's example: the sum is ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(folded(sum(&bytes)), !0xddf2);
        let mut message = [8, 0, 0, 0, 0x12, 0x34, 0, 1, b'x'];
        let v4 = "127.0.0.1".parse().unwrap();
        set_checksum(&mut message, v4, v4);
        assert_eq!(folded(sum(&message)), 0);
    }
}
