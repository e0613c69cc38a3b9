//! UDP, echo and raw sockets: who gets a datagram, and sending one.
use super::Shared;
use super::checksum;
use super::notice::Notice;
use super::packet::{
    self, HOP_LIMIT, Header, ICMP, ICMPV6, IPV4_HEADER, UDP, header_length, read_u16, write,
};
use super::state::State;
use crate::Result;
use crate::uplink::{DatagramKind, DatagramReceiver, Datagrams};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use hashbrown::HashMap;
use linux_abi::Errno;
use rustc_hash::FxBuildHasher;
use vfs::Source;

const UDP_HEADER: usize = 8;
/// An IPv4 packet's and an IPv6 payload's largest length.
const LARGEST: usize = 65535;

struct Entry {
    id: u64,
    local: SocketAddr,
    receiver: Weak<dyn DatagramReceiver>,
}

/// Where datagrams of a kind are looked for: the port, the identifier or the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Udp(u16),
    Echo(u16),
    Raw(u8),
}

fn place(kind: DatagramKind, local: SocketAddr) -> Place {
    match kind {
        DatagramKind::Udp => Place::Udp(local.port()),
        DatagramKind::Echo => Place::Echo(local.port()),
        DatagramKind::Raw { protocol } => Place::Raw(protocol),
    }
}

#[derive(Default)]
pub struct DatagramTable {
    places: HashMap<Place, Vec<Entry>, FxBuildHasher>,
    by_id: HashMap<u64, (DatagramKind, SocketAddr), FxBuildHasher>,
    /// How many sockets are in each group, and which.
    members: Vec<(IpAddr, u64)>,
    /// Who found the card full.
    blocked: Vec<u64>,
    scratch: Vec<u8>,
}

impl DatagramTable {
    pub fn is_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    fn at(&self, place: Place) -> &[Entry] {
        self.places.get(&place).map_or(&[], |all| all)
    }

    /// Who gets a datagram for `to`: everybody for a group or a broadcast, else the one that fits best.
    fn receivers(&self, place: Place, to: IpAddr, many: bool) -> Vec<Weak<dyn DatagramReceiver>> {
        let fits = |entry: &&Entry| {
            let own = entry.local.ip();
            match own {
                IpAddr::V6(own) if own.is_unspecified() => true,
                _ => own == to || own.is_unspecified() && own.is_ipv4() == to.is_ipv4(),
            }
        };
        let all = self.at(place).iter().filter(fits);
        if many || matches!(place, Place::Raw(_)) {
            return all.map(|entry| entry.receiver.clone()).collect();
        }
        all.max_by_key(|entry| {
            let own = entry.local.ip();
            (!own.is_unspecified(), own.is_ipv4() == to.is_ipv4())
        })
        .map(|entry| entry.receiver.clone())
        .into_iter()
        .collect()
    }
}

/// Held by a socket.
struct CardDatagrams {
    shared: Arc<Shared>,
    id: u64,
}

impl State {
    fn add_datagrams(
        &mut self,
        kind: DatagramKind,
        local: SocketAddr,
        receiver: Weak<dyn DatagramReceiver>,
    ) -> u64 {
        let id = self.next_id();
        self.datagrams.by_id.insert(id, (kind, local));
        let entry = Entry {
            id,
            local,
            receiver,
        };
        let place = place(kind, local);
        self.datagrams.places.entry(place).or_default().push(entry);
        id
    }

    fn remove_datagrams(&mut self, id: u64) {
        let Some((kind, local)) = self.datagrams.by_id.remove(&id) else {
            return;
        };
        let place = place(kind, local);
        if let Some(all) = self.datagrams.places.get_mut(&place) {
            all.retain(|entry| entry.id != id);
            if all.is_empty() {
                self.datagrams.places.remove(&place);
            }
        }
        let groups: Vec<IpAddr> = self
            .datagrams
            .members
            .iter()
            .filter(|(_, member)| *member == id)
            .map(|(group, _)| *group)
            .collect();
        for group in groups {
            // It is a member, so there is nothing to fail.
            let _ = self.set_membership(id, group, false);
        }
    }

    fn set_membership(&mut self, id: u64, group: IpAddr, join: bool) -> Result<()> {
        let members = &mut self.datagrams.members;
        let others = members.iter().filter(|(one, _)| *one == group).count();
        if join {
            if others == 0 && !self.ether.set_membership(group, true) {
                return Err(Errno::ENOBUFS);
            }
            members.push((group, id));
            return Ok(());
        }
        let at = members.iter().position(|one| *one == (group, id));
        members.swap_remove(at.ok_or(Errno::EADDRNOTAVAIL)?);
        if others == 1 {
            self.ether.set_membership(group, false);
        }
        Ok(())
    }

    fn deliver(&mut self, place: Place, header: &Header, from: SocketAddr, bytes: &[u8]) -> bool {
        let to = header.destination;
        let many = to.is_multicast() || self.output.addresses.is_broadcast(to);
        let receivers = self.datagrams.receivers(place, to, many);
        if receivers.is_empty() {
            return false;
        }
        let bytes = Arc::new(bytes.to_vec());
        for receiver in receivers {
            self.notices.push(Notice::Deliver {
                receiver,
                from,
                to,
                hop_limit: header.hop_limit,
                bytes: bytes.clone(),
            });
        }
        true
    }

    pub fn receive_udp(&mut self, ip: &[u8], header: &Header) {
        let Some(datagram) = ip.get(header.start..header.end) else {
            return;
        };
        let ports = (read_u16(datagram, 0), read_u16(datagram, 2));
        let length = read_u16(datagram, 4).map_or(0, usize::from);
        let payload = datagram.get(UDP_HEADER..length);
        let ((Some(source), Some(destination)), Some(payload)) = (ports, payload) else {
            self.output.counters.received_errors += 1;
            return;
        };
        let from = SocketAddr::new(header.source, source);
        if !self.deliver(Place::Udp(destination), header, from, payload) {
            self.output.counters.received_dropped += 1;
            self.port_unreachable(ip, header);
        }
    }

    /// Raw sockets get a copy of everything. Answers whether there was one.
    pub fn deliver_raw(&mut self, ip: &[u8], header: &Header) -> bool {
        let place = Place::Raw(header.protocol);
        if self.datagrams.at(place).is_empty() {
            return false;
        }
        let bytes = ip.get(header.start..header.end).unwrap_or(&[]);
        self.deliver(place, header, SocketAddr::new(header.source, 0), bytes)
    }

    pub fn receive_echo_reply(&mut self, ip: &[u8], header: &Header) {
        let message = ip.get(header.start..header.end).unwrap_or(&[]);
        if let Some(identifier) = read_u16(message, 4) {
            let from = SocketAddr::new(header.source, 0);
            self.deliver(Place::Echo(identifier), header, from, message);
        }
    }

    /// An error came back for a datagram.
    pub fn datagram_error(
        &mut self,
        protocol: u8,
        local: (IpAddr, u16),
        remote: SocketAddr,
        errno: Errno,
    ) {
        for receiver in self.senders(protocol, local) {
            self.notices.push(Notice::Error {
                receiver,
                errno,
                remote,
            });
        }
    }

    /// The sockets that may have sent a datagram from there.
    fn senders(&self, protocol: u8, local: (IpAddr, u16)) -> Vec<Weak<dyn DatagramReceiver>> {
        let place = match protocol {
            UDP => Place::Udp(local.1),
            ICMP | ICMPV6 => Place::Echo(local.1),
            other => Place::Raw(other),
        };
        self.datagrams.receivers(place, local.0, false)
    }

    pub fn has_senders(&self, protocol: u8, local: (IpAddr, u16)) -> bool {
        !self.senders(protocol, local).is_empty()
    }

    /// Tells those who found the card full that it is not any more.
    pub fn wake_writers(&mut self) {
        if self.datagrams.blocked.is_empty() || !self.output.link.has_room() {
            return;
        }
        for id in core::mem::take(&mut self.datagrams.blocked) {
            let Some((kind, local)) = self.datagrams.by_id.get(&id) else {
                continue;
            };
            let entries = self.datagrams.at(place(*kind, *local));
            if let Some(entry) = entries.iter().find(|entry| entry.id == id) {
                self.notices.push(Notice::Writable(entry.receiver.clone()));
            }
        }
    }

    fn send_datagram(
        &mut self,
        id: u64,
        source: &mut dyn Source,
        to: SocketAddr,
        hop_limit: u8,
    ) -> Result<usize> {
        let (kind, local) = *self.datagrams.by_id.get(&id).ok_or(Errno::ENOTCONN)?;
        let own = if local.ip().is_unspecified() || local.is_ipv4() != to.is_ipv4() {
            let found = self.output.addresses.source_for(to.ip());
            found.ok_or(Errno::ENETUNREACH)?
        } else {
            self.output
                .addresses
                .next_hop(to.ip())
                .ok_or(Errno::ENETUNREACH)?;
            local.ip()
        };
        let count = source.remaining();
        let header = match kind {
            DatagramKind::Udp => UDP_HEADER,
            _ => 0,
        };
        let beyond = if to.is_ipv4() { IPV4_HEADER } else { 0 };
        if count + header + beyond > LARGEST {
            return Err(Errno::EMSGSIZE);
        }
        if !self.output.link.has_room() {
            self.datagrams.blocked.push(id);
            return Err(Errno::EAGAIN);
        }
        let mut bytes = core::mem::take(&mut self.datagrams.scratch);
        bytes.clear();
        bytes.resize(header + count, 0);
        let taken = source.take(bytes.get_mut(header..).unwrap_or_default());
        let result = taken.and_then(|()| complete(&mut bytes, kind, local.port(), to));
        if let Ok(protocol) = result {
            let hop_limit = match hop_limit {
                0 if to.ip().is_multicast() => 1,
                0 => HOP_LIMIT,
                other => other,
            };
            self.send_packet(own, to.ip(), protocol, hop_limit, &bytes);
        }
        self.datagrams.scratch = bytes;
        result.map(|_| count)
    }

    /// Sends a transport's packet, in fragments if it must be.
    pub fn send_packet(
        &mut self,
        own: IpAddr,
        to: IpAddr,
        protocol: u8,
        hop_limit: u8,
        bytes: &[u8],
    ) {
        let start = header_length(own);
        if start + bytes.len() > self.output.mtu_to(to) {
            return self.send_fragments(own, to, protocol, hop_limit, bytes);
        }
        // On the way it may be cut.
        let id = self.random() as u16;
        self.output.build(start + bytes.len(), None, None, |ip| {
            packet::write_header(ip, own, to, protocol, bytes.len(), hop_limit);
            if own.is_ipv4() {
                write(ip, 4, &id.to_be_bytes());
                checksum::fill_ipv4(ip);
            }
            write(ip, start, bytes);
        });
    }

    fn send_fragments(
        &mut self,
        own: IpAddr,
        to: IpAddr,
        protocol: u8,
        hop_limit: u8,
        bytes: &[u8],
    ) {
        const FRAGMENT: u8 = 44;
        let start = header_length(own);
        let mut whole = alloc::vec![0; start + bytes.len()];
        packet::write_header(&mut whole, own, to, protocol, bytes.len(), hop_limit);
        write(&mut whole, start, bytes);
        if let Some(header) = Header::parse(&whole) {
            checksum::fill(&mut whole, &header);
        }
        let extra = if own.is_ipv4() { 0 } else { 8 };
        let room = (self.output.mtu_to(to) - start - extra) & !7;
        let id = self.random() as u32;
        let all = whole.get(start..).unwrap_or(&[]);
        let mut offset = 0;
        for part in all.chunks(room) {
            let more = offset + part.len() < all.len();
            let length = start + extra + part.len();
            self.output.build(length, None, None, |ip| {
                let next = if extra == 0 { protocol } else { FRAGMENT };
                packet::write_header(ip, own, to, next, extra + part.len(), hop_limit);
                if extra == 0 {
                    let flags = (offset / 8) as u16 | u16::from(more) << 13;
                    write(ip, 4, &(id as u16).to_be_bytes());
                    write(ip, 6, &flags.to_be_bytes());
                    checksum::fill_ipv4(ip);
                } else {
                    write(ip, start, &[protocol, 0]);
                    write(
                        ip,
                        start + 2,
                        &(offset as u16 | u16::from(more)).to_be_bytes(),
                    );
                    write(ip, start + 4, &id.to_be_bytes());
                }
                write(ip, start + extra, part);
            });
            offset += part.len();
        }
    }
}

/// Writes the transport header. Answers the protocol.
fn complete(bytes: &mut [u8], kind: DatagramKind, port: u16, to: SocketAddr) -> Result<u8> {
    match kind {
        DatagramKind::Udp => {
            let length = bytes.len() as u16;
            write(bytes, 0, &port.to_be_bytes());
            write(bytes, 2, &to.port().to_be_bytes());
            write(bytes, 4, &length.to_be_bytes());
            Ok(UDP)
        }
        DatagramKind::Echo => {
            if bytes.len() < 8 {
                return Err(Errno::EINVAL);
            }
            write(bytes, 4, &port.to_be_bytes());
            if to.is_ipv6() {
                return Ok(ICMPV6);
            }
            write(bytes, 2, &[0; 2]);
            let value = !checksum::sum(bytes);
            write(bytes, 2, &value.to_be_bytes());
            Ok(ICMP)
        }
        DatagramKind::Raw { protocol } => Ok(protocol),
    }
}

impl Shared {
    pub fn open_datagrams(
        self: &Arc<Self>,
        kind: DatagramKind,
        local: SocketAddr,
        receiver: Weak<dyn DatagramReceiver>,
    ) -> Result<alloc::boxed::Box<dyn Datagrams>> {
        let id = self.turn(|state| {
            let own = local.ip();
            let is_usable = own.is_unspecified()
                || own.is_multicast()
                || state.output.addresses.is_own(own)
                || state.output.addresses.is_broadcast(own);
            is_usable
                .then(|| state.add_datagrams(kind, local, receiver))
                .ok_or(Errno::EADDRNOTAVAIL)
        })?;
        let shared = self.clone();
        Ok(alloc::boxed::Box::new(CardDatagrams { shared, id }))
    }
}

impl Datagrams for CardDatagrams {
    fn send(&self, source: &mut dyn Source, to: SocketAddr, hop_limit: u8) -> Result<usize> {
        self.shared
            .turn(|state| state.send_datagram(self.id, source, to, hop_limit))
    }

    fn source_for(&self, remote: IpAddr) -> Result<IpAddr> {
        let state = self.shared.state.lock();
        let found = state.output.addresses.source_for(remote);
        found.ok_or(Errno::ENETUNREACH)
    }

    fn membership(&self, group: IpAddr, interface: u32, join: bool) -> Result<()> {
        if !group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        if interface != 0 && interface != super::INDEX {
            return Err(Errno::ENODEV);
        }
        self.shared
            .turn(|state| state.set_membership(self.id, group, join))
    }
}

impl Drop for CardDatagrams {
    fn drop(&mut self) {
        self.shared.turn(|state| state.remove_datagrams(self.id));
    }
}
