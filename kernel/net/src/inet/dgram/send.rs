//! sendmsg(2) of datagram sockets.
use super::queue::Datagram;
use super::receivers::Key;
use super::{Dgram, Kind, State, icmp};
use crate::Result;
use crate::address::Address;
use crate::env::Env;
use crate::inet::ip::{Family, is_broadcast};
use crate::inet::options::{Options, Slot};
use crate::inet::own::LOOPBACK_INDEX;
use crate::message::{Control, Outgoing};
use crate::packet::made_up;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use linux_abi::Errno;
use linux_abi::raw::net::{MSG_MORE, MSG_OOB};
use vfs::{SliceSource, Source};

/// 65535 without the headers of IPv4 and UDP; IPv6 does not count its own.
const LONGEST_V4: usize = 65507;
const LONGEST_V6: usize = 65527;

/// Where a datagram goes and how.
pub(super) struct Route {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub hop_limit: u8,
    /// Whether the hop limit was asked for: else the way out knows better.
    pub asked: bool,
    pub traffic_class: u8,
    /// It leaves the guest, it reaches sockets inside; a multicast does both.
    pub outside: bool,
    pub inside: bool,
}

/// What control messages ask for.
#[derive(Default)]
struct Wishes {
    source: Option<IpAddr>,
    interface: u32,
    hop_limit: Option<i32>,
    traffic_class: Option<i32>,
}

impl Wishes {
    fn new(control: &[Control]) -> Self {
        let mut wishes = Self::default();
        for message in control {
            match message {
                Control::PacketInfo {
                    index,
                    address,
                    local,
                } => {
                    wishes.interface = *index;
                    // Of IPv4's two addresses `ipi_spec_dst` is the one to send from.
                    let source = match address {
                        IpAddr::V4(_) => IpAddr::V4(*local),
                        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(*address, IpAddr::V4),
                    };
                    wishes.source = Some(source).filter(|ip| !ip.is_unspecified());
                }
                Control::HopLimit { value, .. } => wishes.hop_limit = Some(*value),
                Control::TrafficClass { value, .. } => wishes.traffic_class = Some(*value),
                _ => {}
            }
        }
        wishes
    }
}

impl Dgram {
    pub(super) fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize> {
        let length = message.source.remaining();
        if length > 0xffff {
            return Err(Errno::EMSGSIZE);
        }
        if message.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if message.flags & MSG_MORE != 0 && self.kind == Kind::Udp {
            env.unsupported_part("MSG_MORE: datagrams in pieces");
            return Err(Errno::EOPNOTSUPP);
        }
        let options = self.options.lock().clone();
        let to = self.destination(message.to.as_ref(), &options)?;
        let longest = match (self.kind, to) {
            (Kind::Udp, SocketAddr::V4(_)) => LONGEST_V4,
            (Kind::Udp, SocketAddr::V6(_)) => LONGEST_V6,
            _ => LONGEST_V4 + 8,
        };
        if length > longest {
            return Err(Errno::EMSGSIZE);
        }
        let route = {
            let mut state = self.state.lock();
            let wishes = Wishes::new(&message.control);
            let mut route = self.route(&state, to, &wishes, &options)?;
            self.autobind(&mut state)?;
            let port = state.binding.as_ref().map_or(0, |b| b.claim().port);
            route.from.set_port(port);
            route
        };
        {
            let mut queue = self.queue.lock();
            if queue.shut_write {
                return Err(Errno::EPIPE);
            }
            if let Some(error) = queue.error.take() {
                return Err(error);
            }
        }
        match self.kind {
            Kind::Udp => self.send_udp(message.source, &route),
            _ => self.send_icmp(message.source, &route, env),
        }
    }

    fn destination(&self, to: Option<&Address>, options: &Options) -> Result<SocketAddr> {
        let address = match to {
            None | Some(Address::Unspecified) => {
                return self.state.lock().peer.ok_or(Errno::EDESTADDRREQ);
            }
            Some(Address::Inet(address)) => *address,
            Some(_) => return Err(Errno::EAFNOSUPPORT),
        };
        let to = self.remote(address, options)?;
        if self.kind == Kind::Udp && to.port() == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(to)
    }

    fn route(
        &self,
        state: &State,
        to: SocketAddr,
        wishes: &Wishes,
        options: &Options,
    ) -> Result<Route> {
        let ip = to.ip();
        let own_broadcast = self.network.is_own_broadcast(ip);
        let broadcast = is_broadcast(ip) || own_broadcast;
        if broadcast && !options.is_set(Slot::Broadcast) {
            return Err(Errno::EACCES);
        }
        let source = match wishes.source {
            Some(source) if !self.network.is_own(source) => return Err(Errno::EINVAL),
            Some(source) => source,
            None => self.source(state, ip, options)?,
        };
        let v6 = ip.is_ipv6();
        let multicast = ip.is_multicast();
        let device = match wishes.interface {
            0 => self.egress(v6, multicast, options),
            index => index,
        };
        let local_net = ip == IpAddr::V4(Ipv4Addr::new(127, 255, 255, 255));
        let stays = self.network.is_own(ip)
            || local_net
            || ((multicast || broadcast) && device == LOOPBACK_INDEX);
        let (hop_limit, asked) = hops(wishes, options, v6, multicast);
        let class = wishes
            .traffic_class
            .and_then(|class| u8::try_from(class).ok());
        let looped = options.is_set(if v6 {
            Slot::MulticastLoop6
        } else {
            Slot::MulticastLoop
        });
        Ok(Route {
            from: SocketAddr::new(source, 0),
            to,
            hop_limit,
            asked,
            traffic_class: class.unwrap_or(options.traffic_class(v6)),
            outside: !stays,
            // What goes over `lo` comes back whatever IP_MULTICAST_LOOP says.
            inside: stays || (multicast && looped) || broadcast,
        })
    }

    /// The interface that was chosen for what is not for one address; 0: none.
    fn egress(&self, v6: bool, multicast: bool, options: &Options) -> u32 {
        let device = options.get(Slot::Device).cast_unsigned();
        let chosen = match (device, multicast, v6) {
            (0, true, false) => options.get(Slot::MulticastInterface),
            (0, true, true) => options.get(Slot::MulticastInterface6),
            _ => device.cast_signed(),
        };
        chosen.cast_unsigned()
    }

    fn send_udp(&self, source: &mut dyn Source, route: &Route) -> Result<usize> {
        let length = source.remaining();
        if !route.inside || self.visitors.lock().contains(route.to) {
            return self.send_outside(source, route, None);
        }
        let bytes = gather(source)?;
        if route.outside {
            self.send_outside(&mut SliceSource::new(&bytes), route, None)?;
        }
        let counters = &self.network.inet().counters;
        if !route.outside {
            counters.udp_sent.add(1);
            counters.loopback(length);
        }
        let is_shown = !route.outside && self.network.observers.is_watched();
        let frame = is_shown.then(|| made_up::udp(route.from, route.to, route.hop_limit, &bytes));
        if let Some(frame) = &frame {
            self.network.observers.loopback(frame);
        }
        let datagram = route.datagram(bytes);
        let key = Key::Udp(route.to.port());
        let ip = route.to.ip();
        if ip.is_multicast() || is_broadcast(ip) || self.network.is_own_broadcast(ip) {
            self.deliver_to_all(key, datagram);
        } else if let Some(receiver) = self.network.receiver(key, route.from, ip) {
            receiver.enqueue(datagram);
        } else {
            counters.udp_no_ports.add(1);
            if let Some(frame) = &frame {
                let refusal = made_up::port_unreachable(ip, route.from.ip(), frame);
                self.network.observers.loopback(&refusal);
            }
            self.report(Errno::ECONNREFUSED, route.to, ip, datagram.bytes);
        }
        Ok(length)
    }

    fn deliver_to_all(&self, key: Key, datagram: Datagram) {
        let receivers = self.network.inet().receivers.lock().find_all(
            key,
            datagram.from,
            datagram.to,
            datagram.interface,
        );
        for receiver in receivers {
            if receiver.admits(datagram.to) {
                receiver.enqueue(datagram.clone());
            }
        }
    }

    /// Through the uplink. `EAGAIN`: it will tell when there is room.
    pub(super) fn send_outside(
        &self,
        source: &mut dyn Source,
        route: &Route,
        identifier: Option<u16>,
    ) -> Result<usize> {
        let family = Family::of(route.to.ip());
        let way = {
            let mut state = self.state.lock();
            self.open_way(&mut state, family, identifier)?
        };
        let hop_limit = if route.asked { route.hop_limit } else { 0 };
        // Before the question, lest the answer to it be overlooked.
        self.queue.lock().blocked = true;
        let sent = way.send(source, route.to, hop_limit);
        if sent != Err(Errno::EAGAIN) {
            self.queue.lock().blocked = false;
        }
        let counters = &self.network.inet().counters;
        if sent.is_ok() {
            match self.kind {
                Kind::Udp => counters.udp_sent.add(1),
                _ => counters.icmp_sent.add(1),
            }
        }
        sent
    }

    fn send_icmp(&self, source: &mut dyn Source, route: &Route, env: &dyn Env) -> Result<usize> {
        let length = source.remaining();
        let mut bytes = gather(source)?;
        let v6 = route.to.is_ipv6();
        if self.kind == Kind::Echo {
            icmp::check_request(&bytes, v6)?;
            icmp::set_identifier(&mut bytes, route.from.port());
        }
        if self.kind == Kind::Echo || v6 {
            icmp::set_checksum(&mut bytes, route.from.ip(), route.to.ip());
        }
        if route.outside {
            self.send_icmp_outside(&bytes, route, env)?;
            return Ok(length);
        }
        let counters = &self.network.inet().counters;
        counters.icmp_sent.add(1);
        counters.loopback(length);
        self.network.icmp_inside(route.datagram(bytes));
        Ok(length)
    }

    /// As it is if the uplink can, else as an echo request.
    fn send_icmp_outside(&self, bytes: &[u8], route: &Route, env: &dyn Env) -> Result<()> {
        let source = &mut SliceSource::new(bytes);
        if self.kind == Kind::Echo {
            return self.send_outside(source, route, None).map(drop);
        }
        match self.send_outside(source, route, None) {
            Err(Errno::EPROTONOSUPPORT) => {}
            sent => return sent.map(drop),
        }
        if icmp::check_request(bytes, route.to.is_ipv6()).is_err() {
            env.unsupported_part("ICMP other than echo requests to the outside");
            return Err(Errno::EOPNOTSUPP);
        }
        let identifier = icmp::identifier(bytes);
        self.send_outside(&mut SliceSource::new(bytes), route, Some(identifier))
            .map(drop)
    }
}

impl Route {
    pub(super) fn datagram(&self, bytes: Vec<u8>) -> Datagram {
        Datagram {
            bytes,
            from: self.from,
            to: self.to.ip(),
            hop_limit: self.hop_limit,
            traffic_class: self.traffic_class,
            interface: LOOPBACK_INDEX,
            at: 0,
        }
    }
}

/// The hop limit, and whether somebody asked for it.
fn hops(wishes: &Wishes, options: &Options, v6: bool, multicast: bool) -> (u8, bool) {
    let wish = wishes.hop_limit.and_then(|value| u8::try_from(value).ok());
    let multicast_value = match v6 {
        false => options.get(Slot::MulticastTtl),
        true => options.get(Slot::MulticastHops6),
    };
    let unicast = options.get(if v6 { Slot::UnicastHops } else { Slot::Ttl });
    match (wish, multicast) {
        (Some(wish), _) => (wish, true),
        (None, true) => (u8::try_from(multicast_value).unwrap_or(1), true),
        (None, false) => (options.hop_limit(v6), unicast >= 0),
    }
}

fn gather(source: &mut dyn Source) -> Result<Vec<u8>> {
    let length = source.remaining();
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| Errno::ENOBUFS)?;
    bytes.resize(length, 0);
    source.take(&mut bytes)?;
    Ok(bytes)
}
