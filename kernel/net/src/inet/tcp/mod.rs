//! TCP sockets, see tcp(7).
mod connect;
mod deferred;
mod ending;
pub(crate) mod info;
mod link;
mod listener;
mod options;
mod passive;
#[cfg(test)]
mod tests;

pub(crate) use listener::{Listeners, spread};

use super::IPPROTO_TCP;
use super::binding::Binding;
use super::ip::Family;
use super::loopback::TcpState;
use super::options::{Options, Slot};
use super::registry::{InetProtocol, Listed, SocketEntry};
use crate::Result;
use crate::address::Address;
use crate::env::Env;
use crate::message::{Outgoing, Received};
use crate::network::Network;
use crate::socket::{self, Accepted, SocketOps, SocketType};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use link::Link;
use linux_abi::Errno;
use linux_abi::raw::ioctl::{FIONREAD, SIOCATMARK};
use linux_abi::raw::net::{MSG_ERRQUEUE, MSG_MORE, MSG_OOB, MSG_PEEK, MSG_TRUNC};
use listener::Listener;
use spin::Mutex;
use vfs::{Sink, UserMemory, WaitList, poll};

pub(crate) const SIOCOUTQ: u32 = 0x5411;
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// How far a socket has come.
enum Phase {
    Idle,
    Listening(Arc<Listener>),
    Active {
        link: Link,
        local: SocketAddr,
        remote: SocketAddr,
        /// Whether connect(2) has told how it went: until then it may be called again.
        told: bool,
    },
}

struct State {
    phase: Phase,
    /// Where bind(2) put it.
    bound: Option<IpAddr>,
    /// The local port, once there is one.
    binding: Option<Binding>,
    /// bind(2) or listen(2) took the port, so it stays when a connection ends.
    keeps_port: bool,
    /// What the next call answers, of a socket whose connection was dissolved.
    error: Option<Errno>,
}

/// What the socket and the list of all sockets share.
struct Tcp {
    network: Arc<Network>,
    family: Family,
    uid: u32,
    inode: AtomicU64,
    events: Arc<WaitList>,
    options: Mutex<Options>,
    state: Mutex<State>,
}

pub(crate) struct TcpSocket {
    tcp: Arc<Tcp>,
    /// Its place in the registry.
    place: usize,
}

impl TcpSocket {
    pub(crate) fn new(network: &Arc<Network>, family: Family, uid: u32) -> Self {
        let state = State {
            phase: Phase::Idle,
            bound: None,
            binding: None,
            keeps_port: false,
            error: None,
        };
        Self::register(Tcp {
            network: network.clone(),
            family,
            uid,
            inode: AtomicU64::new(0),
            events: Arc::new(WaitList::new()),
            options: Mutex::new(Options::new()),
            state: Mutex::new(state),
        })
    }

    fn register(tcp: Tcp) -> Self {
        let tcp = Arc::new(tcp);
        let listed: Weak<Tcp> = Arc::downgrade(&tcp);
        let place = tcp.network.inet().registry.lock().add(listed);
        Self { tcp, place }
    }
}

impl Tcp {
    /// The stream of a socket that has one.
    fn link(&self) -> Option<Link> {
        match &self.state.lock().phase {
            Phase::Active { link, .. } => Some(link.clone()),
            _ => None,
        }
    }

    /// The same, or the pending error, or this one.
    fn link_or(&self, error: Errno) -> Result<Link> {
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Active { link, .. } => Ok(link.clone()),
            _ => Err(state.error.take().unwrap_or(error)),
        }
    }

    fn take_error(&self) -> Option<Errno> {
        match self.link() {
            Some(link) => link.take_error(),
            None => self.state.lock().error.take(),
        }
    }

    fn option(&self, slot: Slot) -> i32 {
        self.options.lock().get(slot)
    }

    /// As programs of this family see it.
    fn show(&self, address: SocketAddr) -> Address {
        Address::Inet(self.family.show(address))
    }
}

impl State {
    /// The local address, as bind(2) or the connection made it.
    fn local(&self, family: Family) -> SocketAddr {
        match &self.phase {
            Phase::Active { local, .. } => *local,
            _ => {
                let ip = self.bound.unwrap_or(family.unspecified());
                let port = self.binding.as_ref().map_or(0, |b| b.claim().port);
                SocketAddr::new(ip, port)
            }
        }
    }

    /// The connection is over, or did not come about: what remains is what bind(2) did.
    fn disconnect(&mut self) -> Phase {
        if self.keeps_port {
            if let Some(binding) = &mut self.binding {
                binding.clear_pair();
            }
        } else {
            self.binding = None;
        }
        core::mem::replace(&mut self.phase, Phase::Idle)
    }
}

/// Takes bytes and keeps none: `MSG_TRUNC` on a stream.
struct Discard(usize);

impl Sink for Discard {
    fn remaining(&self) -> usize {
        self.0
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.0 = self.0.saturating_sub(bytes.len());
        Ok(())
    }
}

impl SocketOps for TcpSocket {
    fn family(&self) -> u32 {
        self.tcp.family.number()
    }

    fn kind(&self) -> SocketType {
        SocketType::Stream
    }

    fn protocol(&self) -> u32 {
        IPPROTO_TCP
    }

    fn bind(&self, address: &Address, env: &dyn Env) -> Result<()> {
        self.tcp.bind(address, env)
    }

    fn connect(&self, address: &Address, _env: &dyn Env) -> Result<()> {
        self.tcp.connect(address)
    }

    fn connected(&self) -> Result<()> {
        self.tcp.connected()
    }

    fn listen(&self, backlog: i32, _env: &dyn Env) -> Result<()> {
        self.tcp.listen(backlog)
    }

    fn accept(&self) -> Result<Accepted> {
        self.tcp.accept()
    }

    fn local_address(&self) -> Result<Address> {
        let local = self.tcp.state.lock().local(self.tcp.family);
        Ok(self.tcp.show(local))
    }

    fn peer_address(&self) -> Result<Address> {
        match &self.tcp.state.lock().phase {
            Phase::Active { link, remote, .. }
                if !matches!(link.state(), TcpState::Close | TcpState::SynSent) =>
            {
                Ok(self.tcp.show(*remote))
            }
            _ => Err(Errno::ENOTCONN),
        }
    }

    fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize> {
        if message.flags & MSG_OOB != 0 {
            env.unsupported_part("MSG_OOB: urgent data");
            return Err(Errno::EOPNOTSUPP);
        }
        if message.flags & MSG_FASTOPEN != 0 {
            // As with /proc/sys/net/ipv4/tcp_fastopen at 0.
            return Err(Errno::EOPNOTSUPP);
        }
        let link = self.tcp.link_or(Errno::EPIPE)?;
        link.send(message.source, message.flags & MSG_MORE != 0)
    }

    fn receive(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received> {
        if flags & MSG_ERRQUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        let link = self.tcp.link_or(Errno::ENOTCONN)?;
        if flags & MSG_OOB != 0 {
            return Err(Errno::EINVAL);
        }
        let peek = flags & MSG_PEEK != 0;
        let count = if flags & MSG_TRUNC != 0 {
            link.receive(&mut Discard(sink.remaining()), peek)?
        } else {
            link.receive(sink, peek)?
        };
        Ok(Received {
            count,
            full_length: count,
            ..Received::default()
        })
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        self.tcp.shutdown(read, write)
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8], env: &dyn Env) -> Result<()> {
        self.tcp.set_option(level, name, value, env)
    }

    fn option(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>> {
        self.tcp.get_option(level, name, argument)
    }

    fn poll(&self) -> u32 {
        self.tcp.poll()
    }

    fn wait_list(&self) -> &WaitList {
        &self.tcp.events
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        let link = match &self.tcp.state.lock().phase {
            Phase::Listening(_) if matches!(command, FIONREAD | SIOCOUTQ) => {
                return Err(Errno::EINVAL);
            }
            Phase::Active { link, .. } => Some(link.clone()),
            _ => None,
        };
        let value = match command {
            FIONREAD => link.map_or(0, |link| link.readable()),
            SIOCOUTQ => link.map_or(0, |link| link.unsent()),
            SIOCATMARK => 0,
            _ => return Err(Errno::ENOTTY),
        };
        socket::answer_count(memory, argument, value)
    }

    fn set_inode(&self, ino: u64) {
        self.tcp.inode.store(ino, Relaxed);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Tcp {
    fn poll(&self) -> u32 {
        let state = self.state.lock();
        let link = match &state.phase {
            Phase::Idle => {
                let error = state.error.map_or(0, |_| poll::ERR);
                return poll::OUT | poll::WRNORM | poll::HUP | error;
            }
            Phase::Listening(listener) => {
                return if listener.ready() > 0 {
                    poll::IN | poll::RDNORM
                } else {
                    0
                };
            }
            Phase::Active { link, .. } => link.clone(),
        };
        drop(state);
        let events = link.poll();
        let low_water = usize::try_from(self.option(Slot::ReceiveLowWater)).unwrap_or(1);
        // What is at its end is readable whatever is asked for.
        if low_water > 1 && events & poll::RDHUP == 0 && link.readable() < low_water {
            return events & !(poll::IN | poll::RDNORM);
        }
        events
    }
}

impl Listed for Tcp {
    fn entry(&self) -> SocketEntry {
        let state = self.state.lock();
        let nowhere = SocketAddr::new(self.family.unspecified(), 0);
        let (number, remote, queues) = match &state.phase {
            Phase::Idle => (TcpState::Close, nowhere, (0, 0)),
            Phase::Listening(listener) => (
                TcpState::Listen,
                nowhere,
                (listener.backlog(), listener.ready()),
            ),
            Phase::Active { link, remote, .. } => {
                (link.state(), *remote, (link.unsent(), link.readable()))
            }
        };
        SocketEntry {
            protocol: InetProtocol::Tcp,
            v6: self.family == Family::V6,
            local: self.family.show(state.local(self.family)),
            remote: self.family.show(remote),
            state: number as u8,
            send_queue: queues.0,
            receive_queue: queues.1,
            drops: 0,
            uid: self.uid,
            inode: self.inode.load(Relaxed),
        }
    }
}
