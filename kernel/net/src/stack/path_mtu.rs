//! How large packets to somebody may be, as routers on the way say (RFC 8201, RFC 1191): over IPv6 they drop what is larger than
//! their link takes. Over IPv4 they may cut it, as nothing that leaves here forbids that.
use super::output::Output;
use super::packet::{
    self, ETHERNET_HEADER, Header, IPV6_HEADER, TCP, header_length, read_u32, write,
};
use super::path::{FIN, PSH, is_before};
use super::state::State;
use core::net::IpAddr;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// `net.ipv6.route.mtu_expires`
const GOOD_FOR: u64 = 600_000_000_000;
/// Who sends such messages by the thousand gets no more memory for it.
const MOST: usize = 256;
/// No link has less: `net.ipv4.route.min_pmtu`, and RFC 8200.
const LEAST_V4: usize = 552;
const LEAST_V6: usize = 1280;

#[derive(Default)]
pub struct PathMtus(HashMap<IpAddr, (usize, u64), FxBuildHasher>);

impl PathMtus {
    fn find(&self, to: IpAddr, now: u64) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let (mtu, until) = self.0.get(&to)?;
        (now < *until).then_some(*mtu)
    }

    fn note(&mut self, to: IpAddr, mtu: usize, now: u64) {
        if self.0.len() >= MOST {
            self.0.retain(|_, (_, until)| now < *until);
        }
        if self.0.len() < MOST || self.0.contains_key(&to) {
            self.0.insert(to, (mtu, now + GOOD_FOR));
        }
    }
}

impl Output {
    /// The largest IP packet for `to`.
    pub fn mtu_to(&self, to: IpAddr) -> usize {
        let mtu = self.link.mtu();
        self.path_mtus
            .find(to, self.now)
            .map_or(mtu, |path| path.min(mtu))
    }

    /// The payload of each segment, if this one is too large for the way.
    pub fn segment_limit(&self, ip: &[u8], header: &Header) -> Option<u16> {
        if header.protocol != TCP || header.fragment.is_some() {
            return None;
        }
        let mtu = self.path_mtus.find(header.destination, self.now)?;
        let headers = header.start + tcp_header(ip, header);
        (header.end > mtu).then(|| mtu.saturating_sub(headers).max(1) as u16)
    }

    /// Sends a frame with a TCP segment as several of `size` bytes.
    pub fn send_cut(&mut self, frame: &[u8], header: &Header, size: u16) {
        let ip = frame.get(ETHERNET_HEADER..).unwrap_or(&[]);
        let start = header.start + tcp_header(ip, header);
        let (Some(headers), Some(payload)) = (ip.get(..start), ip.get(start..header.end)) else {
            self.counters.sent_errors += 1;
            return;
        };
        let sequence = read_u32(ip, header.start + 4).unwrap_or(0);
        let count = payload.len().div_ceil(size.into());
        let mut piece = alloc::vec::Vec::new();
        for (index, part) in payload.chunks(size.into()).enumerate() {
            piece.clear();
            piece.resize(ETHERNET_HEADER, 0);
            piece.extend_from_slice(headers);
            piece.extend_from_slice(part);
            let ip = piece.get_mut(ETHERNET_HEADER..).unwrap_or_default();
            let first = sequence.wrapping_add(index as u32 * u32::from(size));
            write(ip, header.start + 4, &first.to_be_bytes());
            if index + 1 < count
                && let Some(flags) = ip.get_mut(header.start + 13)
            {
                *flags &= !(FIN | PSH);
            }
            packet::set_length(ip);
            if let Some(header) = Header::parse(ip) {
                let offload = self.finish(ip, &header, None);
                self.route(&mut piece, &header, offload);
            }
        }
    }
}

fn tcp_header(ip: &[u8], header: &Header) -> usize {
    ip.get(header.start + 12)
        .map_or(0, |byte| usize::from(byte >> 4) * 4)
}

impl State {
    /// A router has dropped a packet of ours of which `quoted` is the beginning: its link takes `mtu` bytes. Believed only if it
    /// was ours: a segment that is under way, or a datagram of a socket.
    pub fn packet_too_big(&mut self, quoted: &[u8], mtu: usize) {
        let Some(about) = super::icmp::Quoted::parse(quoted) else {
            return;
        };
        let (to, now) = (about.remote.0, self.output.now);
        let least = if to.is_ipv6() { LEAST_V6 } else { LEAST_V4 };
        let mtu = mtu.max(least);
        if !self.output.addresses.is_own(about.local.0) || mtu >= self.output.mtu_to(to) {
            return;
        }
        if about.protocol != TCP {
            if self.has_senders(about.protocol, about.local) {
                self.output.path_mtus.note(to, mtu, now);
            }
            return;
        }
        let pair = super::connection::Pair {
            local: about.local,
            remote: about.remote,
        };
        let start = if to.is_ipv6() {
            IPV6_HEADER
        } else {
            usize::from(quoted.first().map_or(0, |byte| byte & 15)) * 4
        };
        let (Some(id), Some(sequence)) = (
            self.by_pair.get(&pair).copied(),
            read_u32(quoted, start + 4),
        ) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let path = &mut connection.path;
        if is_before(sequence, path.unacknowledged) || !is_before(sequence, path.next) {
            return;
        }
        let headers = header_length(to) + 20;
        path.flight.shrink((mtu - headers) as u32);
        self.output.path_mtus.note(to, mtu, now);
        self.touch(id);
    }
}
