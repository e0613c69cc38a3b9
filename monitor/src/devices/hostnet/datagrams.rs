//! A datagram socket of the guest (UDP, or ICMP echo) and the host's sockets behind it.

mod receiving;

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
use super::{options, sys};
use crate::devices::virtio::{DeviceError, Rings};
use crate::pcap::Side;
use crate::terminal;

/// One address, hop limit and padding, before the bytes of `REQ_SEND_TO`.
const SENT_FIELDS: usize = ADDRESS_SIZE + 8;
/// Errors kept for the driver; more are dropped, as are datagrams.
const MOST_ERRORS: usize = 16;
/// Groups that a socket may join (Linux's `igmp_max_memberships`).
const MOST_GROUPS: usize = 20;
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

    /// Gives up what waits.
    pub fn give_up(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
    ) -> Result<(), DeviceError> {
        context.finish_all(rings, &mut self.out)
    }

    /// Datagrams that wait.
    pub fn pending(&self) -> usize {
        self.out.len()
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
}

fn addresses_any(ipv6: bool) -> IpAddr {
    if ipv6 {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    }
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
