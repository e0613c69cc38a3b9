//! The stack as the sockets' way out.
use super::connection::{Owner, Pair};
use super::ether::{Lease, Setup};
use super::link::{Link, Offload};
use super::output::Counters;
use super::state::State;
use super::stream::CardStream;
use super::tap::Tap;
use super::{INDEX, Shared};
use crate::Result;
use crate::network::{Interface, InterfaceFlags};
use crate::uplink::{
    Acceptor, ConnectRequest, DatagramKind, DatagramReceiver, Datagrams, Listening, Stream,
    SynCookies, Uplink,
};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;
use spin::Mutex;
use vfs::Host;

/// `ARPHRD_ETHER`
const ETHERNET: u16 = 1;
/// `ip_local_port_range`
const EPHEMERAL: core::ops::Range<u64> = 32768..61000;

/// A network card with TCP/IP.
pub struct Stack {
    shared: Arc<Shared>,
}

impl Stack {
    #[must_use]
    pub fn new(host: Arc<dyn Host>, link: Box<dyn Link>, setup: Setup) -> Arc<Self> {
        let mut seed = [0; 6];
        for word in &mut seed {
            let mut bytes = [0; 8];
            host.random(&mut bytes);
            *word = u64::from_ne_bytes(bytes);
        }
        let now = host.clock(super::CLOCK);
        let state = State::new(link, setup, seed, now);
        let shared = Arc::new_cyclic(|me| Shared {
            host,
            state: Mutex::new(state),
            me: me.clone(),
        });
        shared.turn(|_| ());
        Arc::new(Self { shared })
    }

    /// Takes what the card has received and sends what waited for room in it. To be called often: it is cheap if there is nothing.
    /// Answers whether there was something.
    pub fn poll(&self) -> bool {
        self.shared.poll()
    }

    /// What DHCP has given, as it is now.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        self.shared.state.lock().ether.lease().cloned()
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.state.lock().output.counters
    }

    /// Lets the card's driver do something with its device.
    pub fn with_link<R>(&self, act: impl FnOnce(&mut dyn Link) -> R) -> R {
        act(&mut *self.shared.state.lock().output.link)
    }

    #[cfg(any(test, feature = "fuzz"))]
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl State {
    /// The own end of a new connection.
    fn local_end(&mut self, local: SocketAddr, remote: (IpAddr, u16)) -> Result<(IpAddr, u16)> {
        let found = self.output.addresses.source_for(remote.0);
        let found = found.ok_or(Errno::ENETUNREACH)?;
        let own = if local.ip().is_unspecified() {
            found
        } else {
            local.ip()
        };
        if !self.output.addresses.is_own(own) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let pair = |port: u16| Pair {
            local: (own, port),
            remote,
        };
        if local.port() != 0 {
            let is_free = !self.by_pair.contains_key(&pair(local.port()));
            return is_free
                .then_some((own, local.port()))
                .ok_or(Errno::EADDRNOTAVAIL);
        }
        let count = EPHEMERAL.end - EPHEMERAL.start;
        let first = self.random() % count;
        (0..count)
            .map(|step| (EPHEMERAL.start + (first + step) % count) as u16)
            .find(|port| {
                let pair = pair(*port);
                !self.by_pair.contains_key(&pair)
                    && !self.time_waits.contains(&pair)
                    && !self.listeners.uses(*port)
            })
            .map(|port| (own, port))
            .ok_or(Errno::EADDRNOTAVAIL)
    }

    fn connect(&mut self, request: &ConnectRequest<'_>) -> Result<u64> {
        let remote = (request.remote.ip(), request.remote.port());
        if remote.0.is_multicast() || self.output.addresses.is_broadcast(remote.0) {
            return Err(Errno::ENETUNREACH);
        }
        if remote.1 == 0 || remote.0.is_unspecified() {
            return Err(Errno::ECONNREFUSED);
        }
        let local = self.local_end(request.local, remote)?;
        let id = self.add_connection(Pair { local, remote }, Owner::Stream);
        let context = self.ip.context();
        let connection = self.connections.get_mut(&id).ok_or(Errno::ENOBUFS)?;
        connection.events = request.events.clone();
        request
            .options
            .iter()
            .for_each(|option| connection.set_option(*option));
        let begun = connection.tcp().connect(context, remote, local);
        if begun.is_err() {
            self.remove_connection(id);
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.touch(id);
        Ok(id)
    }
}

/// Held by a socket that listens.
struct CardListening {
    shared: Arc<Shared>,
    id: u64,
}

impl Listening for CardListening {
    fn accepted(&self) {
        self.shared.turn(|state| state.accepted(self.id));
    }
}

impl Drop for CardListening {
    fn drop(&mut self) {
        self.shared.turn(|state| {
            for id in state.listeners.remove(self.id) {
                let is_held = state
                    .connections
                    .get(&id)
                    .is_none_or(|one| one.owner == Owner::Stream);
                if !is_held {
                    state.abandon(id);
                }
            }
        });
    }
}

impl Uplink for Stack {
    fn syn_cookies(&self) -> SynCookies {
        self.shared.state.lock().cookies.counters
    }

    fn interfaces(&self) -> Vec<Interface> {
        let state = self.shared.state.lock();
        let output = &state.output;
        let counters = &output.counters;
        alloc::vec![Interface {
            index: INDEX,
            name: "eth0".into(),
            flags: InterfaceFlags::UP
                | InterfaceFlags::BROADCAST
                | InterfaceFlags::RUNNING
                | InterfaceFlags::MULTICAST
                | InterfaceFlags::LOWER_UP,
            mtu: output.link.mtu() as u32,
            hardware_type: ETHERNET,
            hardware_address: output.hardware,
            addresses: output.addresses.own.clone(),
            gateways: output.addresses.gateways.clone(),
            received: [
                counters.received_packets,
                counters.received_bytes,
                counters.received_errors,
                counters.received_dropped,
            ],
            sent: [
                counters.sent_packets,
                counters.sent_bytes,
                counters.sent_errors,
                counters.sent_dropped,
            ],
        }]
    }

    fn watch(&self, tap: &Arc<dyn Tap>) -> bool {
        self.shared.state.lock().output.taps.add(tap);
        true
    }

    fn transmit(&self, frame: &[u8]) -> Result<()> {
        self.shared.turn(|state| {
            let output = &mut state.output;
            if !output.link.has_room() {
                return Err(Errno::ENOBUFS);
            }
            output.transmit(frame, Offload::default());
            Ok(())
        })
    }

    fn connect(&self, request: ConnectRequest<'_>) -> Result<Arc<dyn Stream>> {
        let id = self.shared.turn(|state| state.connect(&request))?;
        let stream = CardStream::adopt(&self.shared, id).ok_or(Errno::ECONNABORTED)?;
        Ok(stream)
    }

    fn listen(
        &self,
        local: SocketAddr,
        backlog: usize,
        acceptor: Weak<dyn Acceptor>,
    ) -> Result<Box<dyn Listening>> {
        let id = self.shared.turn(|state| {
            let own = local.ip();
            if !own.is_unspecified() && !state.output.addresses.is_own(own) {
                return Err(Errno::EADDRNOTAVAIL);
            }
            let id = state.next_id();
            state.listeners.add(id, local, backlog, acceptor);
            Ok(id)
        })?;
        let shared = self.shared.clone();
        Ok(Box::new(CardListening { shared, id }))
    }

    fn datagrams(
        &self,
        kind: DatagramKind,
        local: SocketAddr,
        receiver: Weak<dyn DatagramReceiver>,
    ) -> Result<Box<dyn Datagrams>> {
        self.shared.open_datagrams(kind, local, receiver)
    }
}
