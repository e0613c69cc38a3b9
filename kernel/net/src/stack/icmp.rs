//! ICMP of both versions: echo, errors that come back, errors for others.
use super::checksum;
use super::connection::Pair;
use super::packet::{
    self, HOP_LIMIT, Header, ICMP, ICMPV6, IPV4_HEADER, IPV6_HEADER, TCP, header_length, read_u16,
    write,
};
use super::state::State;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use linux_abi::Errno;

const HEADER: usize = 8;
const REPLY: u8 = 0;
const REQUEST: u8 = 8;
const REQUEST_V6: u8 = 128;
const REPLY_V6: u8 = 129;
/// `icmp_msgs_per_sec`
const PER_SECOND: u32 = 1000;

/// What an error message quotes of the packet that caused it.
pub struct Quoted {
    pub protocol: u8,
    pub local: (IpAddr, u16),
    pub remote: (IpAddr, u16),
}

/// Which errno a message stands for, as Linux has it; but for two that RFC 1812 forbids (host unknown to be down, isolated), which
/// are host unreachable here. None: it is no error.
fn errno(is_v6: bool, kind: u8, code: u8) -> Option<Errno> {
    Some(match (is_v6, kind, code) {
        (false, 3, 0 | 6 | 9 | 11) | (true, 1, 0) => Errno::ENETUNREACH,
        (false, 3, 2) => Errno::ENOPROTOOPT,
        (false, 3, 3) | (true, 1, 4) => Errno::ECONNREFUSED,
        (false, 3, 4) | (true, 2, _) => Errno::EMSGSIZE,
        (false, 3, 5) => Errno::EOPNOTSUPP,
        (true, 1, 1 | 5 | 6) => Errno::EACCES,
        (false, 3 | 11, _) | (true, 1 | 3, _) => Errno::EHOSTUNREACH,
        (false, 12, _) | (true, 4, _) => Errno::EPROTO,
        _ => return None,
    })
}

impl Quoted {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let address = |at: usize| -> Option<IpAddr> {
            Some(Ipv4Addr::from(packet::read_u32(bytes, at)?).into())
        };
        let address_v6 = |at: usize| -> Option<IpAddr> {
            let raw: [u8; 16] = *bytes.get(at..)?.first_chunk()?;
            Some(Ipv6Addr::from(raw).into())
        };
        let (protocol, start, local, remote) = match bytes.first()? >> 4 {
            4 => (
                *bytes.get(9)?,
                usize::from(bytes.first()? & 15) * 4,
                address(12)?,
                address(16)?,
            ),
            6 => (*bytes.get(6)?, IPV6_HEADER, address_v6(8)?, address_v6(24)?),
            _ => return None,
        };
        let ports = match protocol {
            // Type, code, checksum; then the identifier.
            ICMP | ICMPV6 => (read_u16(bytes, start + 4)?, 0),
            _ => (read_u16(bytes, start)?, read_u16(bytes, start + 2)?),
        };
        Some(Self {
            protocol,
            local: (local, ports.0),
            remote: (remote, ports.1),
        })
    }
}

impl State {
    pub fn receive_icmp(&mut self, ip: &[u8], header: &Header) {
        let message = ip.get(header.start..header.end).unwrap_or(&[]);
        let [kind, code, ..] = message else {
            self.output.counters.received_errors += 1;
            return;
        };
        let is_v6 = header.protocol == ICMPV6;
        if is_v6 != header.is_v6() || !is_v6 && checksum::sum(message) != 0xffff {
            self.output.counters.received_errors += 1;
            return;
        }
        match (is_v6, *kind) {
            (false, REPLY) | (true, REPLY_V6) => return self.receive_echo_reply(ip, header),
            (false, REQUEST) | (true, REQUEST_V6) => return self.answer_echo(message, header),
            _ => {}
        }
        let quoted = message.get(HEADER..).unwrap_or(&[]);
        let too_big = match (is_v6, *kind, *code) {
            (false, 3, 4) => read_u16(message, 6).map(usize::from),
            (true, 2, _) => packet::read_u32(message, 4).map(|mtu| mtu as usize),
            _ => None,
        };
        if let Some(mtu) = too_big {
            self.packet_too_big(quoted, mtu);
        }
        match errno(is_v6, *kind, *code) {
            None => self.output.counters.received_dropped += 1,
            Some(errno) => self.report(quoted, errno),
        }
    }

    /// As Linux, not for an IPv4 request to everybody. The answer may be as long as the request, and need fragments.
    fn answer_echo(&mut self, request: &[u8], header: &Header) {
        let addresses = &self.output.addresses;
        let to = header.source;
        let own = match header.destination {
            own if addresses.is_own(own) => Some(own),
            _ if header.is_v6() => addresses.source_for(to),
            _ => None,
        };
        let Some(own) = own.filter(|_| !to.is_unspecified()) else {
            return;
        };
        let mut reply = request.to_vec();
        write(
            &mut reply,
            0,
            &[if header.is_v6() { REPLY_V6 } else { REPLY }],
        );
        if !header.is_v6() {
            write(&mut reply, 2, &[0; 2]);
            let value = !checksum::sum(&reply);
            write(&mut reply, 2, &value.to_be_bytes());
        }
        self.send_packet(own, to, header.protocol, HOP_LIMIT, &reply);
    }

    /// Tells whoever sent the packet that `quoted` begins with.
    fn report(&mut self, quoted: &[u8], errno: Errno) {
        let Some(quoted) = Quoted::parse(quoted) else {
            return;
        };
        if !self.output.addresses.is_own(quoted.local.0) {
            return;
        }
        let (local, remote) = (quoted.local, quoted.remote);
        if quoted.protocol == TCP {
            self.segment_error(&Pair { local, remote }, errno);
        } else {
            self.datagram_error(quoted.protocol, local, SocketAddr::from(remote), errno);
        }
    }

    /// Packets whose neighbour has not answered.
    pub fn report_undeliverable(&mut self) {
        while let Some(packet) = self.output.undeliverable.pop() {
            self.output.counters.sent_errors += 1;
            self.report(&packet, Errno::EHOSTUNREACH);
        }
        // What that has ended is looked after.
        self.settle_dirty();
    }

    /// Nobody listens at the port that a datagram is for.
    pub fn port_unreachable(&mut self, ip: &[u8], header: &Header) {
        let own = header.destination;
        if !self.output.addresses.is_own(own) || header.source.is_unspecified() {
            return;
        }
        if !self.may_complain() {
            return;
        }
        // As much as fits in the least MTU of the version.
        let (protocol, kind, code, most) = if header.is_v6() {
            (ICMPV6, 1, 4, 1280 - IPV6_HEADER - HEADER)
        } else {
            (ICMP, 3, 3, 576 - IPV4_HEADER - HEADER)
        };
        let quoted = ip.get(..header.end.min(most)).unwrap_or(&[]);
        let start = header_length(own);
        let length = HEADER + quoted.len();
        self.output.build(start + length, None, None, |answer| {
            packet::write_header(answer, own, header.source, protocol, length, HOP_LIMIT);
            write(answer, start, &[kind, code]);
            write(answer, start + HEADER, quoted);
            if protocol == ICMP {
                let value = !checksum::sum(answer.get(start..).unwrap_or(&[]));
                write(answer, start + 2, &value.to_be_bytes());
            }
        });
    }

    fn may_complain(&mut self) -> bool {
        let second = self.output.now / 1_000_000_000;
        if self.complaints.0 != second {
            self.complaints = (second, 0);
        }
        self.complaints.1 += 1;
        self.complaints.1 <= PER_SECOND
    }
}
