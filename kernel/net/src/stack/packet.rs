//! IP packets as bytes: reading and writing headers without ever indexing past an end.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const ETHERNET_HEADER: usize = 14;
pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
pub const IPV4_HEADER: usize = 20;
pub const IPV6_HEADER: usize = 40;
/// The hop limit of what is sent, unless somebody wants another.
pub const HOP_LIMIT: u8 = 64;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;
pub const IGMP: u8 = 2;

pub fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|raw| u16::from_be_bytes(*raw))
}

pub fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|raw| u32::from_be_bytes(*raw))
}

/// Writes `value` at `at`, if there is room for it.
pub fn write(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// What an IP header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// The protocol behind all extension headers.
    pub protocol: u8,
    pub hop_limit: u8,
    pub traffic_class: u8,
    /// Where the transport header starts, and where the packet ends.
    pub start: usize,
    pub end: usize,
    pub fragment: Option<Fragment>,
}

/// Which part of a datagram a fragment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    pub id: u32,
    pub offset: usize,
    pub more: bool,
}

impl Header {
    /// None: it is no packet, or a damaged one.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Self::parse_v4(packet),
            6 => Self::parse_v6(packet),
            _ => None,
        }
    }

    fn parse_v4(packet: &[u8]) -> Option<Self> {
        let start = usize::from(packet.first()? & 15) * 4;
        let end = usize::from(read_u16(packet, 2)?);
        if start < IPV4_HEADER || end < start || packet.len() < end {
            return None;
        }
        if super::checksum::sum(packet.get(..start)?) != 0xffff {
            return None;
        }
        let flags = read_u16(packet, 6)?;
        let (offset, more) = (usize::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
        Some(Self {
            source: Ipv4Addr::from(read_u32(packet, 12)?).into(),
            destination: Ipv4Addr::from(read_u32(packet, 16)?).into(),
            protocol: *packet.get(9)?,
            hop_limit: *packet.get(8)?,
            traffic_class: *packet.get(1)?,
            start,
            end,
            fragment: (more || offset != 0).then_some(Fragment {
                id: read_u16(packet, 4)?.into(),
                offset,
                more,
            }),
        })
    }

    fn parse_v6(packet: &[u8]) -> Option<Self> {
        let end = IPV6_HEADER + usize::from(read_u16(packet, 4)?);
        let address = |at: usize| -> Option<Ipv6Addr> {
            packet
                .get(at..)?
                .first_chunk::<16>()
                .map(|raw| Ipv6Addr::from(*raw))
        };
        if packet.len() < end {
            return None;
        }
        let mut header = Self {
            source: address(8)?.into(),
            destination: address(24)?.into(),
            protocol: *packet.get(6)?,
            hop_limit: *packet.get(7)?,
            traffic_class: (read_u16(packet, 0)? >> 4) as u8,
            start: IPV6_HEADER,
            end,
            fragment: None,
        };
        header.skip_extensions(packet)?;
        Some(header)
    }

    /// Passes over extension headers; stops behind a fragment header, since what follows may not be here.
    fn skip_extensions(&mut self, packet: &[u8]) -> Option<()> {
        const HOP_BY_HOP: u8 = 0;
        const ROUTING: u8 = 43;
        const FRAGMENT: u8 = 44;
        const DESTINATION: u8 = 60;
        loop {
            let length = match self.protocol {
                HOP_BY_HOP | ROUTING | DESTINATION => {
                    8 + 8 * usize::from(*packet.get(self.start + 1)?)
                }
                FRAGMENT => {
                    let flags = read_u16(packet, self.start + 2)?;
                    let (offset, more) = (usize::from(flags & !7), flags & 1 != 0);
                    // An atomic fragment is a whole datagram.
                    self.fragment = (more || offset != 0).then_some(Fragment {
                        id: read_u32(packet, self.start + 4)?,
                        offset,
                        more,
                    });
                    8
                }
                _ => return Some(()),
            };
            self.protocol = *packet.get(self.start)?;
            self.start += length;
            if self.start > self.end {
                return None;
            }
            if self.fragment.is_some() {
                return Some(());
            }
        }
    }

    pub fn is_v6(&self) -> bool {
        self.source.is_ipv6()
    }
}

/// Writes an IP header for `payload` bytes of `protocol` in front of them. The addresses are of one family.
pub fn write_header(
    packet: &mut [u8],
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload: usize,
    hop_limit: u8,
) {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = (IPV4_HEADER + payload) as u16;
            write(packet, 0, &[0x45, 0]);
            write(packet, 2, &total.to_be_bytes());
            write(packet, 4, &[0; 4]);
            write(packet, 8, &[hop_limit, protocol, 0, 0]);
            write(packet, 12, &source.octets());
            write(packet, 16, &destination.octets());
            super::checksum::fill_ipv4(packet);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            write(packet, 0, &[0x60, 0, 0, 0]);
            write(packet, 4, &(payload as u16).to_be_bytes());
            write(packet, 6, &[protocol, hop_limit]);
            write(packet, 8, &source.octets());
            write(packet, 24, &destination.octets());
        }
        _ => {}
    }
}

/// Sets the length of a packet that is cut, as its header has it.
pub fn set_length(packet: &mut [u8]) {
    let length = packet.len();
    if packet.first().is_some_and(|byte| byte >> 4 == 6) {
        let payload = length.saturating_sub(IPV6_HEADER) as u16;
        write(packet, 4, &payload.to_be_bytes());
    } else {
        write(packet, 2, &(length as u16).to_be_bytes());
        super::checksum::fill_ipv4(packet);
    }
}

pub fn header_length(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => IPV4_HEADER,
        IpAddr::V6(_) => IPV6_HEADER,
    }
}
