//! Listening sockets: who gets a connection that somebody outside begins.
use super::connection::Pair;
use crate::uplink::Acceptor;
use alloc::collections::VecDeque;
use alloc::sync::Weak;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};
use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;

/// The most handshakes that one listener has open; beyond, further ones are answered by cookies (see `cookies`). So a flood of SYNs
/// that nobody follows up takes little memory, and harms nobody who does.
const HALF_OPEN: usize = 256;

pub struct Listener {
    pub id: u64,
    pub local: SocketAddr,
    pub acceptor: Weak<dyn Acceptor>,
    backlog: usize,
    /// Handed over and not accepted yet.
    queued: usize,
    /// Connections whose handshakes are open.
    half_open: HashSet<u64, FxBuildHasher>,
    /// Established, but without room in the backlog when they were.
    pub waiting: VecDeque<u64>,
}

impl Listener {
    /// Whether a new handshake may begin: as Linux, not while the backlog is overfull.
    pub fn has_room(&self) -> bool {
        self.queued + self.waiting.len() <= self.backlog
    }

    /// A handshake has begun.
    pub fn began(&mut self, connection: u64) {
        self.half_open.insert(connection);
    }

    /// A handshake is over: established, or forgotten.
    pub fn ended(&mut self, connection: u64) {
        self.half_open.remove(&connection);
    }

    /// Whether too many handshakes are open.
    pub fn is_crowded(&self) -> bool {
        self.half_open.len() >= HALF_OPEN
    }

    pub fn offered(&mut self) {
        self.queued += 1;
    }

    /// The offer was refused, or the connection accepted.
    pub fn taken(&mut self) {
        self.queued = self.queued.saturating_sub(1);
    }

    fn accepts(&self, local: IpAddr) -> bool {
        match self.local.ip() {
            IpAddr::V6(own) if own.is_unspecified() => true,
            own => own == local || own.is_unspecified() && own.is_ipv4() == local.is_ipv4(),
        }
    }

    /// The more it says about the address, the better it fits.
    fn rank(&self, local: IpAddr) -> u8 {
        let own = self.local.ip();
        u8::from(!own.is_unspecified()) * 2 + u8::from(own.is_ipv4() == local.is_ipv4())
    }
}

#[derive(Default)]
pub struct Listeners {
    by_port: HashMap<u16, Vec<Listener>, FxBuildHasher>,
    ports: HashMap<u64, u16, FxBuildHasher>,
}

impl Listeners {
    pub fn add(
        &mut self,
        id: u64,
        local: SocketAddr,
        backlog: usize,
        acceptor: Weak<dyn Acceptor>,
    ) {
        self.ports.insert(id, local.port());
        self.by_port
            .entry(local.port())
            .or_default()
            .push(Listener {
                id,
                local,
                acceptor,
                backlog,
                queued: 0,
                half_open: HashSet::default(),
                waiting: VecDeque::new(),
            });
    }

    /// Answers the connections that nobody will accept now.
    pub fn remove(&mut self, id: u64) -> Vec<u64> {
        let Some(port) = self.ports.remove(&id) else {
            return Vec::new();
        };
        let Some(all) = self.by_port.get_mut(&port) else {
            return Vec::new();
        };
        let at = all.iter().position(|listener| listener.id == id);
        let gone = at.map(|at| all.swap_remove(at));
        if all.is_empty() {
            self.by_port.remove(&port);
        }
        gone.map_or(Vec::new(), |gone| {
            gone.half_open.into_iter().chain(gone.waiting).collect()
        })
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut Listener> {
        let port = self.ports.get(&id)?;
        let all = self.by_port.get_mut(port)?;
        all.iter_mut().find(|listener| listener.id == id)
    }

    pub fn uses(&self, port: u16) -> bool {
        self.by_port.contains_key(&port)
    }

    /// Who gets the connection `pair`. Of several that fit alike (`SO_REUSEPORT`), always the same one.
    pub fn find(&mut self, pair: &Pair) -> Option<&mut Listener> {
        let all = self.by_port.get_mut(&pair.local.1)?;
        let local = pair.local.0;
        let fitting = |listener: &&mut Listener| listener.accepts(local);
        let best = all
            .iter()
            .filter(|listener| listener.accepts(local))
            .map(|listener| listener.rank(local))
            .max()?;
        let mut equals: Vec<_> = all
            .iter_mut()
            .filter(fitting)
            .filter(|listener| listener.rank(local) == best)
            .collect();
        let at = FxBuildHasher.hash_one(pair.remote) as usize % equals.len().max(1);
        (at < equals.len()).then(|| equals.swap_remove(at))
    }
}
