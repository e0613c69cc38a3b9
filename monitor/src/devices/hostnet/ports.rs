//! Published ports: the host's bound sockets, and the listeners of the guest behind them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use boot_abi::hostnet::{EV_INCOMING, NAMED_BY_DEVICE, encode_address};
use rustc_hash::FxHashMap;
use socket2::Socket;

use super::addresses::shown_connection;
use super::context::{Context, Next};
use super::publish::{Bound, Kind, start_listening, stop_listening};
use super::stream::Stream;
use super::sys;
use crate::devices::virtio::{DeviceError, Rings};

/// Connections accepted before others get their turn.
const ACCEPTED_PER_TURN: usize = 16;
/// A port is full for the host only when the guest's backlog is, so its own may be short.
const LEAST_BACKLOG: u32 = 1;
const MOST_BACKLOG: u32 = 4096;
/// Payload of `EV_INCOMING`: a name and two addresses.
const INCOMING: usize = 56;

/// A socket of the guest that listens on a published port.
struct Listener {
    name: u64,
    address: SocketAddr,
    backlog: u32,
    /// Connections told and not yet accepted by the program.
    waiting: u32,
}

/// A bound socket of the host.
struct Port {
    socket: Arc<Socket>,
    kind: Kind,
    guest: u16,
    listening: bool,
    /// There may be connections to accept.
    pending: bool,
    queued: bool,
    /// The guest's datagram socket behind it.
    owner: Option<u64>,
}

/// Where a port of the guest is found on the host, in the words of `--publish`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    host: SocketAddr,
    guest: u16,
    kind: Kind,
}

impl std::fmt::Display for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.guest, self.kind.name())
    }
}

pub struct Ports {
    ports: Vec<Port>,
    /// Indices into `ports` by the guest's port.
    tcp: FxHashMap<u16, Vec<usize>>,
    udp: FxHashMap<u16, Vec<usize>>,
    listeners: FxHashMap<u16, Vec<Listener>>,
    /// The guest's port of each listener.
    names: FxHashMap<u64, u16>,
    next_name: u64,
}

/// Names below this are those of ports: the device gives them to nobody.
const FIRST_NAME: u64 = NAMED_BY_DEVICE | 1 << 32;

pub fn port_index(name: u64) -> Option<usize> {
    let is_port = (NAMED_BY_DEVICE..FIRST_NAME).contains(&name);
    is_port.then_some((name ^ NAMED_BY_DEVICE) as usize)
}

fn token(index: usize) -> u64 {
    NAMED_BY_DEVICE | index as u64
}

impl Ports {
    pub fn new(bound: Vec<Bound>, context: &Context) -> std::io::Result<Self> {
        let mut ports = Self {
            ports: Vec::new(),
            tcp: FxHashMap::default(),
            udp: FxHashMap::default(),
            listeners: FxHashMap::default(),
            names: FxHashMap::default(),
            next_name: FIRST_NAME,
        };
        for bound in bound {
            let index = ports.ports.len();
            context.watch(&bound.socket, token(index))?;
            let by_guest = match bound.kind {
                Kind::Tcp => &mut ports.tcp,
                Kind::Udp => &mut ports.udp,
            };
            by_guest.entry(bound.guest).or_default().push(index);
            ports.ports.push(Port {
                socket: Arc::new(bound.socket),
                kind: bound.kind,
                guest: bound.guest,
                listening: false,
                pending: false,
                queued: false,
                owner: None,
            });
        }
        Ok(ports)
    }

    pub fn published(&self) -> Vec<Published> {
        let published = |port: &Port| {
            Some(Published {
                host: port.socket.local_addr().ok()?.as_socket()?,
                guest: port.guest,
                kind: port.kind,
            })
        };
        self.ports.iter().filter_map(published).collect()
    }

    pub fn is_listener(&self, name: u64) -> bool {
        self.names.contains_key(&name)
    }

    pub fn listener_count(&self) -> usize {
        self.names.len()
    }

    /// The guest listens at `address`, or changes its backlog.
    pub fn listen(&mut self, context: &mut Context, name: u64, address: SocketAddr, backlog: u32) {
        let list = self.listeners.entry(address.port()).or_default();
        match list.iter_mut().find(|listener| listener.name == name) {
            Some(listener) => listener.backlog = backlog,
            None => {
                list.push(Listener {
                    name,
                    address,
                    backlog,
                    waiting: 0,
                });
                self.names.insert(name, address.port());
            }
        }
        self.open(context, address.port(), backlog);
    }

    /// Lets the host listen on all sockets that lead to the guest's `port`.
    fn open(&mut self, context: &mut Context, port: u16, backlog: u32) {
        for index in self.tcp.get(&port).into_iter().flatten() {
            let Some(port) = self.ports.get_mut(*index) else {
                continue;
            };
            let backlog = backlog.clamp(LEAST_BACKLOG, MOST_BACKLOG) as i32;
            match start_listening(&port.socket, backlog) {
                Ok(()) => {
                    port.listening = true;
                    port.pending = true;
                    context.queue(token(*index), &mut port.queued);
                }
                Err(e) => crate::terminal::message(
                    format!("compat-monitor: cannot listen on a published port: {e}\n").as_bytes(),
                ),
            }
        }
    }

    /// The program has accepted connections.
    pub fn accepted(&mut self, context: &mut Context, name: u64, count: u32) {
        let Some(port) = self.names.get(&name) else {
            return;
        };
        for listener in self.listeners.get_mut(port).into_iter().flatten() {
            if listener.name == name {
                listener.waiting = listener.waiting.saturating_sub(count);
            }
        }
        self.resume(context, *port);
    }

    /// Accepts what waits for the guest's `port`.
    fn resume(&mut self, context: &mut Context, port: u16) {
        for index in self.tcp.get(&port).into_iter().flatten() {
            if let Some(port) = self.ports.get_mut(*index).filter(|port| port.pending) {
                context.queue(token(*index), &mut port.queued);
            }
        }
    }

    /// There are descriptors again.
    pub fn resume_all(&mut self, context: &mut Context) {
        for (index, port) in self.ports.iter_mut().enumerate() {
            if port.pending {
                context.queue(token(index), &mut port.queued);
            }
        }
    }

    /// The guest listens no more.
    pub fn close(&mut self, name: u64) {
        let Some(port) = self.names.remove(&name) else {
            return;
        };
        if let Some(list) = self.listeners.get_mut(&port) {
            list.retain(|listener| listener.name != name);
            if !list.is_empty() {
                return;
            }
            self.listeners.remove(&port);
        }
        for index in self.tcp.get(&port).into_iter().flatten() {
            if let Some(port) = self.ports.get_mut(*index) {
                port.stop();
            }
        }
    }

    /// Forgets the guest; the ports stay bound.
    pub fn reset(&mut self) {
        self.listeners.clear();
        self.names.clear();
        for port in &mut self.ports {
            port.stop();
            (port.queued, port.owner) = (false, None);
        }
    }

    /// Connections have come to a port; or its datagram socket has something, whose owner is answered.
    pub fn on_event(&mut self, context: &mut Context, index: usize) -> Option<u64> {
        let port = self.ports.get_mut(index)?;
        if port.kind == Kind::Udp {
            return port.owner;
        }
        if port.listening {
            port.pending = true;
            context.queue(token(index), &mut port.queued);
        }
        None
    }

    /// Accepts connections of one port, while a listener has room.
    pub fn take_turn(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        index: usize,
        streams: &mut impl FnMut(u64, Stream),
    ) -> Result<Next, DeviceError> {
        let Some(port) = self.ports.get_mut(index) else {
            return Ok(Next::Rest);
        };
        for _ in 0..ACCEPTED_PER_TURN {
            let list = self.listeners.get_mut(&port.guest);
            let list = list.map(Vec::as_mut_slice).unwrap_or_default();
            let has_room = list.iter().any(Listener::has_room);
            if !port.pending || !has_room || context.full {
                return Ok(Next::Rest);
            }
            if context.events.room(rings, INCOMING)?.is_none() {
                return Ok(Next::Starved);
            }
            let (socket, peer) = match port.socket.accept() {
                Ok((socket, peer)) => (socket, peer.as_socket()),
                Err(e) if sys::would_block(&e) => {
                    port.pending = false;
                    return Ok(Next::Rest);
                }
                Err(e) if sys::is_shortage(&e) => {
                    context.shortage();
                    return Ok(Next::Rest);
                }
                Err(e) if is_about_one(&e) => continue,
                Err(_) => {
                    port.pending = false;
                    return Ok(Next::Rest);
                }
            };
            let Some((listener, peer)) = peer.and_then(|peer| choose(list, peer).zip(Some(peer)))
            else {
                continue;
            };
            let name = self.next_name;
            if context.watch(&socket, name).is_err() {
                context.shortage();
                return Ok(Next::Rest);
            }
            self.next_name += 1;
            listener.waiting += 1;
            let (shown, local) = shown_connection(peer, listener.address.ip(), port.guest);
            let mut payload = [0; INCOMING];
            let fields = [
                &name.to_le_bytes()[..],
                &encode_address(shown),
                &encode_address(local),
            ];
            for (to, from) in payload.iter_mut().zip(fields.into_iter().flatten()) {
                *to = *from;
            }
            context
                .events
                .tell(rings, EV_INCOMING, listener.name, &payload)?;
            context.counters.connections_in.add(1);
            let ipv6 = peer.is_ipv6();
            let trace = context.trace(local, shown);
            streams(name, Stream::accepted(name, socket, ipv6, trace));
        }
        Ok(Next::Again)
    }

    pub fn rested(&mut self, index: usize) {
        if let Some(port) = self.ports.get_mut(index) {
            port.queued = false;
        }
    }

    /// The sockets for datagrams to the guest's `local`, which are now those of `name`, with their addresses.
    pub fn adopt(&mut self, name: u64, local: SocketAddr) -> Vec<(Arc<Socket>, SocketAddr)> {
        let mut adopted = Vec::new();
        for index in self.udp.get(&local.port()).into_iter().flatten() {
            let Some(port) = self.ports.get_mut(*index) else {
                continue;
            };
            let address = port.socket.local_addr().ok().and_then(|a| a.as_socket());
            let Some(address) = address.filter(|own| reaches(own.ip(), local.ip())) else {
                continue;
            };
            if port.owner.is_none() {
                port.owner = Some(name);
                adopted.push((Arc::clone(&port.socket), address));
            }
        }
        adopted
    }

    pub fn disown(&mut self, name: u64, port: u16) {
        for index in self.udp.get(&port).into_iter().flatten() {
            if let Some(port) = self.ports.get_mut(*index)
                && port.owner == Some(name)
            {
                port.owner = None;
            }
        }
    }
}

impl Port {
    fn stop(&mut self) {
        if self.listening {
            let _ = stop_listening(&self.socket);
            self.listening = false;
            self.pending = false;
        }
    }
}

impl Listener {
    fn has_room(&self) -> bool {
        self.waiting < self.backlog
    }

    /// How well it suits a peer: one bound to the peer's family and kind of address comes first.
    fn fitness(&self, peer: IpAddr) -> u32 {
        let own = self.address.ip();
        let same_family = own.is_ipv4() == peer.is_ipv4();
        let same_kind = own.is_unspecified() || own.is_loopback() == peer.is_loopback();
        2 * u32::from(same_family) + u32::from(same_kind)
    }
}

/// The connection that would have been accepted broke before, see accept(2).
fn is_about_one(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EINTR
                | libc::ECONNABORTED
                | libc::EPROTO
                | libc::EPERM
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ETIMEDOUT
        )
    )
}

fn choose(list: &mut [Listener], peer: SocketAddr) -> Option<&mut Listener> {
    let ip = peer.ip().to_canonical();
    // The first of the best ones.
    list.iter_mut()
        .rev()
        .filter(|listener| listener.has_room())
        .max_by_key(|listener| listener.fitness(ip))
}

/// Datagrams of a host's socket at `own` can be shown to a socket of the guest at `guest`: in the same family, or in any
/// if it takes both.
fn reaches(own: IpAddr, guest: IpAddr) -> bool {
    match guest {
        IpAddr::V4(_) => own.is_ipv4(),
        IpAddr::V6(ip) => own.is_ipv6() || ip.is_unspecified(),
    }
}
