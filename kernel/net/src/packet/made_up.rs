//! What the traffic inside the guest would look like on a wire. It moves without packets; these are made for those who watch,
//! as for a loopback interface: an Ethernet header of zeros, then IP.
use crate::stack::checksum;
use crate::stack::packet::{
    self, ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Header, ICMP, ICMPV6, TCP, UDP, write,
};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

const UDP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;
/// What an IPv4 packet holds besides its own header and TCP's.
pub(crate) const SEGMENT_MAX: usize = 65535 - 40;
const WINDOW: u16 = u16::MAX;
/// How much of a packet an error message quotes.
const QUOTED: usize = 548;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// A frame with a packet of `protocol` whose payload is `length` bytes that `fill` writes, all but the checksum.
fn frame(
    (from, to): (IpAddr, IpAddr),
    (protocol, hop_limit): (u8, u8),
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let start = ETHERNET_HEADER + packet::header_length(from);
    let mut frame = vec![0; start + length];
    let ethertype = match from {
        IpAddr::V4(_) => ETHERTYPE_IPV4,
        IpAddr::V6(_) => ETHERTYPE_IPV6,
    };
    write(&mut frame, 12, &ethertype.to_be_bytes());
    fill(frame.get_mut(start..).unwrap_or_default());
    let ip = frame.get_mut(ETHERNET_HEADER..).unwrap_or_default();
    packet::write_header(ip, from, to, protocol, length, hop_limit);
    if let Some(header) = Header::parse(ip) {
        checksum::fill(ip, &header);
    }
    frame
}

pub(crate) fn udp(from: SocketAddr, to: SocketAddr, hop_limit: u8, bytes: &[u8]) -> Vec<u8> {
    let length = UDP_HEADER + bytes.len();
    frame((from.ip(), to.ip()), (UDP, hop_limit), length, |udp| {
        write(udp, 0, &from.port().to_be_bytes());
        write(udp, 2, &to.port().to_be_bytes());
        write(udp, 4, &(length as u16).to_be_bytes());
        write(udp, UDP_HEADER, bytes);
    })
}

/// Where a segment is in its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
}

pub(crate) fn tcp(from: SocketAddr, to: SocketAddr, segment: Segment, bytes: &[u8]) -> Vec<u8> {
    let length = TCP_HEADER + bytes.len();
    let hop_limit = packet::HOP_LIMIT;
    frame((from.ip(), to.ip()), (TCP, hop_limit), length, |tcp| {
        write(tcp, 0, &from.port().to_be_bytes());
        write(tcp, 2, &to.port().to_be_bytes());
        write(tcp, 4, &segment.sequence.to_be_bytes());
        write(tcp, 8, &segment.acknowledged.to_be_bytes());
        write(tcp, 12, &[(TCP_HEADER as u8 / 4) << 4, segment.flags]);
        write(tcp, 14, &WINDOW.to_be_bytes());
        write(tcp, TCP_HEADER, bytes);
    })
}

/// `bytes` start with the ICMP header, whose checksum is right.
pub(crate) fn icmp(from: IpAddr, to: IpAddr, hop_limit: u8, bytes: &[u8]) -> Vec<u8> {
    let protocol = if from.is_ipv4() { ICMP } else { ICMPV6 };
    frame((from, to), (protocol, hop_limit), bytes.len(), |icmp| {
        write(icmp, 0, bytes);
    })
}

/// The answer to `refused`, a frame of ours: its port is unreachable.
pub(crate) fn port_unreachable(from: IpAddr, to: IpAddr, refused: &[u8]) -> Vec<u8> {
    let quoted = refused.get(ETHERNET_HEADER..).unwrap_or(&[]);
    let quoted = quoted.get(..QUOTED).unwrap_or(quoted);
    let mut bytes = vec![0; ICMP_HEADER + quoted.len()];
    let (kind, code) = if from.is_ipv4() { (3, 3) } else { (1, 4) };
    write(&mut bytes, 0, &[kind, code]);
    write(&mut bytes, ICMP_HEADER, quoted);
    if from.is_ipv4() {
        let sum = !checksum::sum(&bytes);
        write(&mut bytes, 2, &sum.to_be_bytes());
    }
    icmp(from, to, packet::HOP_LIMIT, &bytes)
}
