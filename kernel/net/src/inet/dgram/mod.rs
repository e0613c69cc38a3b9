//! Datagram sockets: UDP, and ICMP in its two forms (`SOCK_DGRAM` for echo requests, `SOCK_RAW`). See udp(7), icmp(7), raw(7).
mod bind;
mod deliver;
mod icmp;
mod multicast;
mod options;
mod queue;
mod receive;
mod receivers;
mod send;
#[cfg(test)]
mod tests;
mod visitors;

pub(crate) use multicast::Groups;
pub(crate) use receivers::Receivers;

use super::binding::{Binding, Protocol};
use super::ip::{Cover, Family};
use super::loopback::TcpState;
use super::options::{Options, Slot};
use super::registry::{InetProtocol, Listed, SocketEntry};
use super::tcp::SIOCOUTQ;
use super::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_UDP};
use crate::Result;
use crate::address::Address;
use crate::env::Env;
use crate::message::{Outgoing, Received};
use crate::network::Network;
use crate::socket::{self, SocketOps, SocketType};
use crate::uplink::Datagrams;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use linux_abi::Errno;
use linux_abi::raw::ioctl::FIONREAD;
use queue::Queue;
use receivers::{Interest, Key};
use spin::Mutex;
use vfs::{Sink, UserMemory, WaitList, poll};
use visitors::Visitors;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Udp,
    /// `SOCK_DGRAM` of ICMP: echo requests and the replies to them.
    Echo,
    /// `SOCK_RAW` of ICMP.
    Raw,
}

struct State {
    /// Where bind(2) put it.
    bound: Option<IpAddr>,
    /// Where connect(2) lets it send from.
    source: Option<IpAddr>,
    peer: Option<SocketAddr>,
    /// The local port, or for echo the identifier; once there is one.
    binding: Option<Binding>,
    /// bind(2) took it.
    keeps_port: bool,
    /// The ways out, of IPv4 and of IPv6.
    ways: [Option<Arc<dyn Datagrams>>; 2],
    /// The identifier that the way out of a raw socket has, when it stands for echo requests only.
    way_identifier: Option<u16>,
    groups: Vec<multicast::Membership>,
}

/// What the socket, the tables and the uplink share.
pub(crate) struct Dgram {
    this: Weak<Self>,
    network: Arc<Network>,
    family: Family,
    kind: Kind,
    uid: u32,
    inode: AtomicU64,
    events: WaitList,
    options: Mutex<Options>,
    state: Mutex<State>,
    /// Locked while a receiver is looked for, so nothing else is locked meanwhile.
    interest: Mutex<Interest>,
    queue: Mutex<Queue>,
    visitors: Mutex<Visitors>,
    filter: Mutex<icmp::Filter>,
}

pub(crate) struct DgramSocket {
    dgram: Arc<Dgram>,
    place: usize,
}

impl DgramSocket {
    pub(crate) fn new(network: &Arc<Network>, family: Family, kind: Kind, uid: u32) -> Self {
        let mut options = Options::new();
        // ICMP of one IP version knows nothing of the other's.
        let v6_only = family == Family::V6 && kind != Kind::Udp;
        options.set(Slot::V6Only, i32::from(v6_only));
        let dgram = Arc::new_cyclic(|this| Dgram {
            this: this.clone(),
            network: network.clone(),
            family,
            kind,
            uid,
            inode: AtomicU64::new(0),
            events: WaitList::new(),
            options: Mutex::new(options),
            state: Mutex::new(State {
                bound: None,
                source: None,
                peer: None,
                binding: None,
                keeps_port: false,
                ways: [None, None],
                way_identifier: None,
                groups: Vec::new(),
            }),
            interest: Mutex::new(Interest {
                cover: Cover::new(family, family.unspecified(), v6_only),
                device: 0,
                peer: None,
                reuse_port: false,
            }),
            queue: Mutex::default(),
            visitors: Mutex::default(),
            filter: Mutex::default(),
        });
        let listed: Weak<Dgram> = Arc::downgrade(&dgram);
        let place = network.inet().registry.lock().add(listed);
        if let Some(key) = dgram.raw_key() {
            network.inet().receivers.lock().add(key, dgram.clone());
        }
        Self { dgram, place }
    }
}

impl Dgram {
    const fn protocol(&self) -> u32 {
        match (self.kind, self.family) {
            (Kind::Udp, _) => IPPROTO_UDP,
            (_, Family::V4) => IPPROTO_ICMP,
            (_, Family::V6) => IPPROTO_ICMPV6,
        }
    }

    /// Raw sockets hear of everything of their protocol from the start.
    const fn raw_key(&self) -> Option<Key> {
        match self.kind {
            Kind::Raw => Some(Key::Raw(self.protocol() as u8)),
            _ => None,
        }
    }

    const fn key(&self, port: u16) -> Key {
        match self.kind {
            Kind::Udp => Key::Udp(port),
            Kind::Echo => Key::Echo(port),
            Kind::Raw => Key::Raw(self.protocol() as u8),
        }
    }

    const fn port_space(&self) -> Protocol {
        match self.kind {
            Kind::Udp => Protocol::Udp,
            _ => Protocol::Echo,
        }
    }

    fn option(&self, slot: Slot) -> i32 {
        self.options.lock().get(slot)
    }

    fn show(&self, address: SocketAddr) -> Address {
        Address::Inet(self.family.show(address))
    }
}

impl State {
    fn local(&self, family: Family) -> SocketAddr {
        let ip = self.source.or(self.bound).unwrap_or(family.unspecified());
        let port = self.binding.as_ref().map_or(0, |b| b.claim().port);
        SocketAddr::new(ip, port)
    }
}

impl SocketOps for DgramSocket {
    fn family(&self) -> u32 {
        self.dgram.family.number()
    }

    fn kind(&self) -> SocketType {
        match self.dgram.kind {
            Kind::Raw => SocketType::Raw,
            _ => SocketType::Datagram,
        }
    }

    fn awaits_room(&self) -> bool {
        self.dgram.kind == Kind::Raw || self.dgram.state.lock().binding.is_some()
    }

    fn protocol(&self) -> u32 {
        self.dgram.protocol()
    }

    fn bind(&self, address: &Address, env: &dyn Env) -> Result<()> {
        self.dgram.bind(address, env)
    }

    fn connect(&self, address: &Address, _env: &dyn Env) -> Result<()> {
        self.dgram.connect(address)
    }

    fn local_address(&self) -> Result<Address> {
        let local = self.dgram.state.lock().local(self.dgram.family);
        Ok(self.dgram.show(local))
    }

    fn peer_address(&self) -> Result<Address> {
        let peer = self.dgram.state.lock().peer;
        peer.map(|peer| self.dgram.show(peer))
            .ok_or(Errno::ENOTCONN)
    }

    fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize> {
        self.dgram.send(message, env)
    }

    fn receive(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received> {
        self.dgram.receive(sink, flags)
    }

    /// shutdown(2) has its effect even where it fails.
    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        {
            let mut queue = self.dgram.queue.lock();
            queue.shut_read |= read;
            queue.shut_write |= write;
        }
        self.dgram
            .events
            .notify(poll::ALWAYS | poll::RDHUP | poll::HUP);
        match self.dgram.state.lock().peer {
            Some(_) => Ok(()),
            None => Err(Errno::ENOTCONN),
        }
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8], env: &dyn Env) -> Result<()> {
        self.dgram.set_option(level, name, value, env)
    }

    fn option(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>> {
        self.dgram.get_option(level, name, argument)
    }

    fn poll(&self) -> u32 {
        self.dgram.poll()
    }

    fn wait_list(&self) -> &WaitList {
        &self.dgram.events
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        let value = match command {
            // The next datagram's.
            FIONREAD => {
                let queue = self.dgram.queue.lock();
                queue.datagrams.front().map_or(0, |next| next.bytes.len())
            }
            // What is sent is gone.
            SIOCOUTQ => 0,
            _ => return Err(Errno::ENOTTY),
        };
        socket::answer_count(memory, argument, value)
    }

    fn set_inode(&self, ino: u64) {
        self.dgram.inode.store(ino, Relaxed);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Dgram {
    fn poll(&self) -> u32 {
        let queue = self.queue.lock();
        let mut events = 0;
        if queue.error.is_some() || !queue.errors.is_empty() {
            events |= poll::ERR;
        }
        if queue.shut_read {
            events |= poll::RDHUP | poll::IN | poll::RDNORM;
            if queue.shut_write {
                events |= poll::HUP;
            }
        }
        if !queue.datagrams.is_empty() {
            events |= poll::IN | poll::RDNORM;
        }
        if !queue.blocked {
            events |= poll::OUT | poll::WRNORM | poll::WRBAND;
        }
        events
    }
}

impl Drop for DgramSocket {
    fn drop(&mut self) {
        let dgram = &self.dgram;
        let inet = dgram.network.inet();
        inet.registry.lock().remove(self.place);
        if let Some(key) = dgram.raw_key() {
            inet.receivers.lock().remove(key, dgram);
        }
        dgram.leave_all();
        dgram.release_port();
    }
}

impl Listed for Dgram {
    fn entry(&self) -> SocketEntry {
        let state = self.state.lock();
        let queue = self.queue.lock();
        let nowhere = SocketAddr::new(self.family.unspecified(), 0);
        let number = match state.peer {
            Some(_) => TcpState::Established,
            None => TcpState::Close,
        };
        let mut local = self.family.show(state.local(self.family));
        if self.kind == Kind::Raw {
            // Where others have the port, /proc/net/raw has the protocol.
            local.set_port(self.protocol() as u16);
        }
        SocketEntry {
            protocol: match self.kind {
                Kind::Udp => InetProtocol::Udp,
                Kind::Echo => InetProtocol::Icmp,
                Kind::Raw => InetProtocol::Raw,
            },
            v6: self.family == Family::V6,
            local,
            remote: self.family.show(state.peer.unwrap_or(nowhere)),
            state: number as u8,
            send_queue: 0,
            receive_queue: queue.used(),
            drops: u64::from(queue.dropped),
            uid: self.uid,
            inode: self.inode.load(Relaxed),
        }
    }
}
