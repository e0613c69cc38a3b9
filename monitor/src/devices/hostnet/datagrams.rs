//! A datagram socket of the guest (UDP, or ICMP echo) and the host's sockets behind it.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use boot_abi::hostnet::*;
use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use vmm_sys_util::epoll::EventSet;

use super::addresses::{self, Destination};
use super::context::{Context, Next};
use super::message::Request;
use super::ports::Ports;
use super::sys::Pieces;
use super::{options, sys};
use crate::devices::virtio::{DeviceError, Rings};
use crate::pcap::Side;
use crate::terminal;

/// Two addresses, hop limit and padding, before the bytes of `EV_DATAGRAM`.
const RECEIVED_FIELDS: usize = 2 * ADDRESS_SIZE + 8;
/// One address, hop limit and padding, before the bytes of `REQ_SEND_TO`.
const SENT_FIELDS: usize = ADDRESS_SIZE + 8;
/// No datagram is longer.
const LONGEST: usize = 65_535;
/// Datagrams received before others get their turn.
const PER_TURN: usize = 16;
/// Errors kept for the driver; more are dropped, as are datagrams.
const MOST_ERRORS: usize = 16;
/// Groups that a socket may join (Linux's `igmp_max_memberships`).
const MOST_GROUPS: usize = 20;
/// Peers that may be answered whatever the policy says; when there are more, the older ones are forgotten.
const MOST_PEERS: usize = 4096;
/// What waited while nobody had the port is no longer wanted.
const MOST_STALE: usize = 4096;

struct Host {
    socket: Arc<Socket>,
    ipv6: bool,
    /// It is that of a published port, bound to this address.
    published: Option<IpAddr>,
    /// It only receives what is sent to this multicast group.
    group: Option<IpAddr>,
    readable: bool,
    failed: bool,
}

pub struct Datagrams {
    name: u64,
    echo: bool,
    local: SocketAddr,
    hosts: SmallVec<[Host; 2]>,
    options: SmallVec<[(u16, u32); 4]>,
    /// As which address the guest knows the name server.
    dns: Option<IpAddr>,
    /// Those who sent something to a published port, of late and before.
    peers: [FxHashSet<SocketAddr>; 2],
    errors: VecDeque<(u32, SocketAddr)>,
    out: VecDeque<Request>,
    pub queued: bool,
}

enum Progress {
    Done,
    Blocked,
}

impl Datagrams {
    pub fn new(
        context: &mut Context,
        ports: &mut Ports,
        name: u64,
        echo: bool,
        local: SocketAddr,
    ) -> Self {
        let mut datagrams = Self {
            name,
            echo,
            local,
            hosts: SmallVec::new(),
            options: SmallVec::new(),
            dns: None,
            peers: Default::default(),
            errors: VecDeque::new(),
            out: VecDeque::new(),
            queued: false,
        };
        if !echo && local.port() != 0 {
            for (socket, address) in ports.adopt(name, local) {
                options::prepare_datagrams(&*socket, address.is_ipv6());
                discard(&socket);
                datagrams.hosts.push(Host {
                    socket,
                    ipv6: address.is_ipv6(),
                    published: Some(address.ip()),
                    group: None,
                    readable: true,
                    failed: false,
                });
            }
            if !datagrams.hosts.is_empty() {
                context.queue(name, &mut datagrams.queued);
            }
        }
        datagrams
    }

    pub fn port(&self) -> u16 {
        self.local.port()
    }

    /// Datagrams that wait.
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    pub fn drop_pending(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
    ) -> Result<(), DeviceError> {
        for request in self.out.drain(..) {
            context.finish(rings, request)?;
        }
        Ok(())
    }

    pub fn on_event(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        events: EventSet,
    ) -> Result<Next, DeviceError> {
        for host in &mut self.hosts {
            host.readable |= events.contains(EventSet::IN);
            host.failed |= events.contains(EventSet::ERROR);
        }
        if events.contains(EventSet::OUT) {
            self.flush(context, rings)?;
        }
        if events.intersects(EventSet::IN | EventSet::ERROR) {
            context.queue(self.name, &mut self.queued);
        }
        Ok(Next::Rest)
    }

    pub fn set_options(&mut self, list: impl Iterator<Item = (u16, u32)>) {
        for (number, value) in list.take(OPT_MULTICAST_TTL as usize) {
            self.options.retain(|option| option.0 != number);
            // Unknown numbers would let the list grow.
            if (OPT_NO_DELAY..=OPT_MULTICAST_TTL).contains(&number) {
                self.options.push((number, value));
            }
            for host in &self.hosts {
                options::set(&*host.socket, host.ipv6, number, value);
            }
        }
    }

    /// A datagram, after those before it.
    pub fn send(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        mut request: Request,
    ) -> Result<(), DeviceError> {
        if self.out.is_empty() {
            match self.try_send(context, rings, &request)? {
                Progress::Done => return context.finish(rings, request),
                Progress::Blocked => {}
            }
        }
        context.put_off(rings, &mut request, self.out.len())?;
        self.out.push_back(request);
        Ok(())
    }

    fn flush(&mut self, context: &mut Context, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        while let Some(request) = self.out.pop_front() {
            match self.try_send(context, rings, &request)? {
                Progress::Done => context.finish(rings, request)?,
                Progress::Blocked => {
                    self.out.push_front(request);
                    break;
                }
            }
        }
        Ok(())
    }

    fn try_send(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        request: &Request,
    ) -> Result<Progress, DeviceError> {
        let fields = request.prefix::<SENT_FIELDS>(rings.memory)?;
        let to = super::message::address(&fields)?;
        let hop_limit = fields.get(ADDRESS_SIZE).copied().unwrap_or(0);
        let (socket, target) = match self.prepare(context, to) {
            Ok(found) => found,
            Err(errno) => {
                self.fail(context, errno, to);
                return Ok(Progress::Done);
            }
        };
        let send = || -> Result<_, DeviceError> {
            let pieces = request.rest(rings.memory, SENT_FIELDS)?;
            Ok(sys::send_to(&*socket, pieces, target, hop_limit))
        };
        let mut sent = send()?;
        if let Err(e) = &sent
            && !sys::would_block(e)
        {
            // It may have been about an earlier datagram, which the error queue tells more of; that is asked next.
            self.hosts.iter_mut().for_each(|host| host.failed = true);
            context.queue(self.name, &mut self.queued);
            sent = send()?;
        }
        match sent {
            Ok(_) => {
                context.counters.datagrams_out.add(1);
                if context.capture.is_some() {
                    let len = (request.header.length as usize).saturating_sub(SENT_FIELDS);
                    let bytes = request.copy(rings.memory, SENT_FIELDS, len)?;
                    self.record(context, Side::Guest, self.own(to), to, &bytes);
                }
            }
            Err(e) if sys::would_block(&e) => return Ok(Progress::Blocked),
            Err(e) => self.fail(context, sys::errno(&e), to),
        }
        Ok(Progress::Done)
    }

    /// The host's socket and address for a datagram to `to`.
    fn prepare(
        &mut self,
        context: &mut Context,
        to: SocketAddr,
    ) -> Result<(Arc<Socket>, SocketAddr), u32> {
        let target = self.target(context, to)?;
        let is_answer = self.peers.iter().any(|peers| peers.contains(&target.host));
        if !is_answer && !context.policy.check(target, to) {
            context.counters.refused.add(1);
            return Err(libc::EACCES as u32);
        }
        if target.is_dns {
            self.dns = Some(to.ip());
        }
        let host = target.host;
        let known = self.sender(host.ip()).map(|own| Arc::clone(&own.socket));
        match known {
            Some(socket) => Ok((socket, host)),
            None => Ok((self.open(context, host.is_ipv6())?, host)),
        }
    }

    /// A server on a published port that is bound to loopback has its peers there.
    fn target(&self, context: &Context, to: SocketAddr) -> Result<Destination, u32> {
        let published = self.hosts.iter().any(|host| host.published.is_some());
        if published && self.local.ip().is_loopback() && to.ip().is_loopback() {
            return Ok(Destination {
                host: to,
                is_dns: false,
            });
        }
        let to = if self.echo {
            SocketAddr::new(to.ip(), 0)
        } else {
            to
        };
        context.addresses.destination(to)
    }

    /// The open socket from which something for `to` leaves: not one that is bound to an address that cannot reach it.
    fn sender(&self, to: IpAddr) -> Option<&Host> {
        let fits = |own: IpAddr| own.is_unspecified() || own.is_loopback() == to.is_loopback();
        self.hosts.iter().find(|host| {
            host.ipv6 == to.is_ipv6() && host.group.is_none() && host.published.is_none_or(fits)
        })
    }

    fn open(&mut self, context: &mut Context, ipv6: bool) -> Result<Arc<Socket>, u32> {
        let protocol = match (self.echo, ipv6) {
            (false, _) => Protocol::UDP,
            (true, false) => Protocol::ICMPV4,
            (true, true) => Protocol::ICMPV6,
        };
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let made = Socket::new(domain, Type::DGRAM.nonblocking(), Some(protocol));
        let socket = made.map_err(|e| {
            if self.echo && e.raw_os_error() == Some(libc::EACCES) {
                tell_ping_needs();
            }
            context.failure(&e)
        })?;
        if self.echo {
            // The same identifier outside, if it is free; what comes back is changed otherwise.
            let any = addresses_any(ipv6);
            let _ = socket.bind(&SockAddr::from(SocketAddr::new(any, self.local.port())));
        }
        self.add(context, socket, ipv6, None)
    }

    fn add(
        &mut self,
        context: &mut Context,
        socket: Socket,
        ipv6: bool,
        group: Option<IpAddr>,
    ) -> Result<Arc<Socket>, u32> {
        options::prepare_datagrams(&socket, ipv6);
        for (number, value) in &self.options {
            options::set(&socket, ipv6, *number, *value);
        }
        context
            .watch(&socket, self.name)
            .map_err(|e| context.failure(&e))?;
        let socket = Arc::new(socket);
        self.hosts.push(Host {
            socket: Arc::clone(&socket),
            ipv6,
            published: None,
            group,
            readable: false,
            failed: false,
        });
        Ok(socket)
    }

    /// Joins or leaves a multicast group. A socket of the host that is bound to the group itself receives what is sent to it and
    /// nothing else, so the port is not open to others.
    pub fn membership(&mut self, context: &mut Context, group: IpAddr, join: bool) {
        if !join {
            self.hosts.retain(|host| host.group != Some(group));
            return;
        }
        let joined = self.hosts.iter().filter(|host| host.group.is_some());
        let result = if self.hosts.iter().any(|host| host.group == Some(group)) {
            Ok(())
        } else if joined.count() >= MOST_GROUPS {
            Err(libc::ENOBUFS as u32)
        } else {
            self.join(context, group)
        };
        if let Err(errno) = result {
            self.fail(context, errno, SocketAddr::new(group, 0));
        }
    }

    fn join(&mut self, context: &mut Context, group: IpAddr) -> Result<(), u32> {
        if !group.is_multicast() {
            return Err(libc::EINVAL as u32);
        }
        let at = SocketAddr::new(group, self.local.port());
        let target = Destination {
            host: at,
            is_dns: false,
        };
        if !context.policy.check(target, at) {
            context.counters.refused.add(1);
            return Err(libc::EACCES as u32);
        }
        let make = || -> io::Result<Socket> {
            let kind = Type::DGRAM.nonblocking();
            let socket = Socket::new(Domain::for_address(at), kind, Some(Protocol::UDP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&SockAddr::from(at))?;
            match group {
                IpAddr::V4(group) => {
                    socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(0))?;
                }
                IpAddr::V6(group) => socket.join_multicast_v6(&group, 0)?,
            }
            Ok(socket)
        };
        let socket = make().map_err(|e| context.failure(&e))?;
        self.add(context, socket, group.is_ipv6(), Some(group))
            .map(drop)
    }

    fn fail(&mut self, context: &mut Context, errno: u32, to: SocketAddr) {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push_back((errno, to));
        }
        context.queue(self.name, &mut self.queued);
    }

    /// Tells the driver what there is to tell.
    pub fn take_turn(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
    ) -> Result<Next, DeviceError> {
        self.read_errors(context);
        while let Some((errno, to)) = self.errors.front() {
            let mut payload = [0; 8 + ADDRESS_SIZE];
            let fields = [&errno.to_le_bytes()[..], &[0; 4], &encode_address(*to)];
            for (to, from) in payload.iter_mut().zip(fields.into_iter().flatten()) {
                *to = *from;
            }
            if !context
                .events
                .tell(rings, EV_DATAGRAM_ERROR, self.name, &payload)?
            {
                return Ok(Next::Starved);
            }
            self.errors.pop_front();
        }
        for index in 0..self.hosts.len() {
            for turn in 0..=PER_TURN {
                if self.hosts.get(index).is_none_or(|host| !host.readable) {
                    break;
                }
                if turn == PER_TURN {
                    return Ok(Next::Again);
                }
                if self.receive(context, rings, index)? == Next::Starved {
                    return Ok(Next::Starved);
                }
            }
        }
        Ok(if self.hosts.iter().any(|host| host.failed) {
            Next::Again
        } else {
            Next::Rest
        })
    }

    /// One datagram of the host's socket `index`.
    fn receive(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        index: usize,
    ) -> Result<Next, DeviceError> {
        let Some(host) = self.hosts.get_mut(index) else {
            return Ok(Next::Rest);
        };
        let Some(mut room) = context.events.room(rings, RECEIVED_FIELDS)? else {
            return Ok(Next::Starved);
        };
        if room < RECEIVED_FIELDS + LONGEST {
            // Is the rest of this buffer enough?
            let wanted = match sys::receive_from(&*host.socket, Pieces::none(), libc::MSG_PEEK) {
                Ok(datagram) => datagram.len,
                Err(e) => return Ok(host.stop(&e)),
            };
            match context
                .events
                .room(rings, RECEIVED_FIELDS + wanted.min(LONGEST))?
            {
                Some(enough) => room = enough,
                None => return Ok(Next::Starved),
            }
        }
        let space = room - RECEIVED_FIELDS;
        let pieces = context.events.space(rings.memory, RECEIVED_FIELDS, space)?;
        let datagram = match sys::receive_from(&*host.socket, pieces, 0) {
            Ok(datagram) => datagram,
            Err(e) => return Ok(host.stop(&e)),
        };
        let Some(from) = datagram.from else {
            return Ok(Next::Again);
        };
        let published = host.published.is_some();
        if published && context.policy.is_restricted() {
            self.remember(from);
        }
        let (shown, to) = self.shown(context, from, datagram.to, published);
        let len = datagram.len.min(space);
        let mut fields = [0; RECEIVED_FIELDS];
        let parts = [
            &encode_address(shown)[..],
            &encode_address(to),
            &[datagram.hop_limit],
        ];
        for (to, from) in fields.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        context.events.write(rings.memory, 0, &fields)?;
        if self.echo {
            self.restore_identifier(context, rings, len)?;
        }
        if context.capture.is_some() {
            let bytes = context.events.copy(rings.memory, RECEIVED_FIELDS, len)?;
            self.record(context, Side::Peer, to, shown, &bytes);
        }
        let header = Header::new(EV_DATAGRAM, self.name, RECEIVED_FIELDS + len);
        context.events.commit(rings.memory, header)?;
        context.counters.datagrams_in.add(1);
        Ok(Next::Again)
    }

    fn remember(&mut self, peer: SocketAddr) {
        let [new, old] = &mut self.peers;
        if new.len() >= MOST_PEERS {
            *old = std::mem::take(new);
        }
        new.insert(peer);
    }

    /// As which address the guest talks to `peer`.
    fn own(&self, peer: SocketAddr) -> SocketAddr {
        let ip = if peer.ip().is_loopback() {
            addresses::loopback(peer.is_ipv6())
        } else {
            addresses::guest(peer.is_ipv6())
        };
        SocketAddr::new(ip, self.local.port())
    }

    fn record(
        &self,
        context: &Context,
        from: Side,
        guest: SocketAddr,
        peer: SocketAddr,
        bytes: &[u8],
    ) {
        let Some(capture) = &context.capture else {
            return;
        };
        if self.echo {
            capture.icmp(from, guest.ip(), peer.ip(), bytes);
        } else {
            capture.udp(from, guest, peer, bytes);
        }
    }

    /// Sender and destination as the guest sees them.
    fn shown(
        &self,
        context: &Context,
        from: SocketAddr,
        to: Option<IpAddr>,
        published: bool,
    ) -> (SocketAddr, SocketAddr) {
        let ip = from.ip().to_canonical();
        let port = self.local.port();
        if published && self.local.ip().is_loopback() && ip.is_loopback() {
            return (
                from,
                SocketAddr::new(addresses::loopback(ip.is_ipv6()), port),
            );
        }
        let shown = context.addresses.shown_peer(from, self.dns);
        let to = match to {
            Some(IpAddr::V4(to)) if to.is_multicast() || to.is_broadcast() => to.into(),
            Some(IpAddr::V6(to)) if to.is_multicast() => to.into(),
            _ => addresses::guest(shown.is_ipv6()),
        };
        (shown, SocketAddr::new(to, port))
    }

    /// The host's kernel puts its own identifier into echo requests; the answer gets the guest's again, and a checksum that fits.
    fn restore_identifier(
        &self,
        context: &Context,
        rings: &Rings<'_>,
        len: usize,
    ) -> Result<(), DeviceError> {
        let mut header = [0; 8];
        if len < header.len() {
            return Ok(());
        }
        context
            .events
            .read(rings.memory, RECEIVED_FIELDS, &mut header)?;
        let [kind, code, sum0, sum1, id0, id1, rest @ ..] = header;
        let [new0, new1] = self.local.port().to_be_bytes();
        let sum = adjusted(
            u16::from_be_bytes([sum0, sum1]),
            u16::from_be_bytes([id0, id1]),
            self.local.port(),
        );
        let [sum0, sum1] = sum.to_be_bytes();
        let [seq0, seq1] = rest;
        let header = [kind, code, sum0, sum1, new0, new1, seq0, seq1];
        context.events.write(rings.memory, RECEIVED_FIELDS, &header)
    }

    /// What the network said about datagrams that were sent.
    fn read_errors(&mut self, context: &Context) {
        for host in &mut self.hosts {
            let mut failed = std::mem::take(&mut host.failed);
            while failed && self.errors.len() < MOST_ERRORS {
                match sys::receive_from(&*host.socket, Pieces::none(), libc::MSG_ERRQUEUE) {
                    Ok(error) => {
                        if let Some(to) = error.from.filter(|_| error.errno != 0) {
                            let shown = context.addresses.shown_peer(to, self.dns);
                            self.errors.push_back((error.errno, shown));
                        }
                    }
                    Err(_) => failed = false,
                }
            }
            host.failed = failed;
        }
    }
}

impl Host {
    /// Reading failed: there is nothing more, or an error to be asked for.
    fn stop(&mut self, error: &io::Error) -> Next {
        if sys::would_block(error) {
            self.readable = false;
        }
        Next::Rest
    }
}

fn addresses_any(ipv6: bool) -> IpAddr {
    if ipv6 {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    }
}

/// A checksum after one of the words under it has changed (RFC 1624).
fn adjusted(sum: u16, old: u16, new: u16) -> u16 {
    let mut value = u32::from(!sum) + u32::from(!old) + u32::from(new);
    while value > 0xffff {
        value = (value & 0xffff) + (value >> 16);
    }
    !(value as u16)
}

fn discard(socket: &Socket) {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    for _ in 0..MOST_STALE {
        match socket.recv_with_flags(&mut byte, libc::MSG_DONTWAIT) {
            Err(e) if sys::would_block(&e) => break,
            _ => {}
        }
    }
}

fn tell_ping_needs() {
    static TOLD: std::sync::Once = std::sync::Once::new();
    TOLD.call_once(|| {
        terminal::message(
            b"compat-monitor: the host does not let this user send pings; `sysctl net.ipv4.ping_group_range='0 2147483647'` as root does\n",
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_word_changes_the_checksum() {
        let sum = |words: &[u16]| {
            let mut value: u32 = words.iter().map(|word| u32::from(*word)).sum();
            while value > 0xffff {
                value = (value & 0xffff) + (value >> 16);
            }
            !(value as u16)
        };
        for (old, new) in [(0, 1), (0xffff, 2), (0x1234, 0xfedc)] {
            assert_eq!(
                adjusted(sum(&[0x800, old, 77]), old, new),
                sum(&[0x800, new, 77])
            );
        }
    }
}
