//! The stack behind its lock.
use super::connection::{Connection, Owner, Pair};
use super::cookies::Cookies;
use super::datagrams::DatagramTable;
use super::ether::{Ether, Setup, instant};
use super::link::Link;
use super::listeners::Listeners;
use super::notice::Notice;
use super::output::Output;
use super::reassembly::Reassembly;
use super::time_wait::TimeWaits;
use super::wire::Wire;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashMap;
use rustc_hash::{FxBuildHasher, FxSeededState};
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketSet};
use smoltcp::wire::{HardwareAddress, IpCidr};
use vfs::WaitList;

pub struct State {
    pub output: Output,
    pub ether: Box<Ether>,
    /// smoltcp's IP side: TCP, resets, protocols that nobody has.
    pub ip: Box<Interface>,
    nobody: SocketSet<'static>,
    pub connections: HashMap<u64, Box<Connection>, FxBuildHasher>,
    pub by_pair: HashMap<Pair, u64, FxSeededState>,
    pub listeners: Listeners,
    pub time_waits: TimeWaits,
    pub datagrams: DatagramTable,
    pub reassembly: Reassembly,
    pub notices: Vec<Notice>,
    dirty: Vec<u64>,
    pub timers: BTreeSet<(u64, u64)>,
    /// Connections that found no room in the card.
    pub blocked: Vec<u64>,
    armed: Option<u64>,
    /// Received frames, one after the other.
    pub frame: Vec<u8>,
    last_id: u64,
    random: u64,
    /// The second, and how many ICMP errors have been sent in it.
    pub complaints: (u64, u32),
    pub cookies: Cookies,
    pub grower: super::grow::Grower,
}

impl State {
    pub fn new(link: Box<dyn Link>, setup: Setup, seed: [u64; 6], now: u64) -> Self {
        let mut output = Output::new(link);
        output.now = now;
        let ether = Box::new(Ether::new(setup, seed[0], &mut output));
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed[1];
        let mut wire = Wire {
            packet: None,
            output: &mut output,
            path: None,
        };
        let ip = Box::new(Interface::new(config, &mut wire, instant(now)));
        let mut state = Self {
            output,
            ether,
            ip,
            nobody: SocketSet::new(Vec::new()),
            connections: HashMap::with_hasher(FxBuildHasher),
            by_pair: HashMap::with_hasher(FxSeededState::with_seed(seed[2] as usize)),
            listeners: Listeners::default(),
            time_waits: TimeWaits::new(seed[2] as usize),
            datagrams: DatagramTable::default(),
            reassembly: Reassembly::default(),
            notices: Vec::new(),
            dirty: Vec::new(),
            timers: BTreeSet::new(),
            blocked: Vec::new(),
            armed: None,
            frame: Vec::new(),
            last_id: 0,
            random: seed[3] | 1,
            complaints: (0, 0),
            cookies: Cookies::new([seed[4], seed[5]]),
            grower: super::grow::Grower::new(seed[0] ^ seed[1], now),
        };
        state.readdress();
        state
    }

    /// Somebody waits for room in the card.
    pub fn is_blocked(&self) -> bool {
        !self.blocked.is_empty() || self.datagrams.is_blocked()
    }

    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Good enough for port numbers (xorshift64*).
    pub fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The addresses have changed.
    fn readdress(&mut self) {
        let own = &self.output.addresses.own;
        self.ip.update_ip_addrs(|all| {
            all.clear();
            for (address, prefix) in own {
                // As many as the other interface of smoltcp has room for.
                let _ = all.push(IpCidr::new((*address).into(), *prefix));
            }
        });
        // smoltcp ends the sockets of addresses that are gone when it looks at them.
        let gone: Vec<u64> = self
            .by_pair
            .iter()
            .filter(|(pair, _)| !self.output.addresses.is_own(pair.local.0))
            .map(|(_, id)| *id)
            .collect();
        gone.into_iter().for_each(|id| self.touch(id));
    }

    pub fn add_connection(&mut self, pair: Pair, owner: Owner) -> u64 {
        let id = self.next_id();
        let events = Arc::new(WaitList::new());
        let connection = Connection::new(pair, owner, events, self.output.now);
        self.connections.insert(id, Box::new(connection));
        self.by_pair.insert(pair, id);
        if let Owner::HalfOpen(listener) = owner
            && let Some(listener) = self.listeners.get_mut(listener)
        {
            listener.began(id);
        }
        id
    }

    /// Forgets a connection without a word to the peer.
    pub fn remove_connection(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            // It may have given way to another.
            if self.by_pair.get(&connection.pair) == Some(&id) {
                self.by_pair.remove(&connection.pair);
            }
            self.grower.forget(&connection);
            self.handshake_ended(connection.owner, id);
            if let Some(at) = connection.timer {
                self.timers.remove(&(at, id));
            }
        }
    }

    /// A connection of this owner is not half-open any more.
    pub fn handshake_ended(&mut self, owner: Owner, id: u64) {
        if let Owner::HalfOpen(listener) = owner
            && let Some(listener) = self.listeners.get_mut(listener)
        {
            listener.ended(id);
        }
    }

    /// Has a connection looked after at the end of this turn.
    pub fn touch(&mut self, id: u64) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.is_dirty
        {
            connection.is_dirty = true;
            self.dirty.push(id);
        }
    }

    /// Gives an IP packet to the socket of a connection.
    pub fn feed(&mut self, id: u64, packet: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let mut wire = Wire {
            packet: Some(packet),
            output: &mut self.output,
            path: Some(&mut connection.path),
        };
        let now = instant(wire.output.now);
        self.ip
            .poll_ingress_single(now, &mut wire, &mut connection.set);
        self.touch(id);
    }

    /// Gives an IP packet to smoltcp that no socket waits for: it answers as RFC 1122 wants.
    pub fn feed_nobody(&mut self, packet: &[u8]) -> PollIngressSingleResult {
        let mut wire = Wire {
            packet: Some(packet),
            output: &mut self.output,
            path: None,
        };
        let now = instant(wire.output.now);
        self.ip
            .poll_ingress_single(now, &mut wire, &mut self.nobody)
    }

    /// The end of every turn: looks after everything that is due or was touched.
    pub fn settle(&mut self) {
        let now = self.output.now;
        while let Some((at, id)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.remove(&(at, id));
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.timer = None;
            }
            self.touch(id);
        }
        if self.output.neighbours.next().is_some_and(|at| at <= now) {
            self.output.ask_again();
        }
        if self.ether.next(now).is_some_and(|at| at <= now) && self.ether.poll(&mut self.output) {
            self.readdress();
        }
        self.reassembly.expire(now);
        self.time_waits.expire(now);
        if !self.blocked.is_empty() && self.output.link.has_room() {
            for id in core::mem::take(&mut self.blocked) {
                self.touch(id);
            }
        }
        self.reclaim();
        self.settle_dirty();
        self.report_undeliverable();
        self.wake_writers();
        for tap in self.output.taps.news() {
            self.notices.push(Notice::Tap(tap));
        }
        self.output.link.kick();
    }

    pub fn settle_dirty(&mut self) {
        while let Some(id) = self.dirty.pop() {
            self.look_after(id);
        }
    }

    /// Takes buffers back from idle connections, a few at a time, if all together have grown too large.
    fn reclaim(&mut self) {
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            if !self.grower.is_over_budget() {
                return;
            }
            let Some(id) = self.grower.oldest() else {
                return;
            };
            if let Some(connection) = self.connections.get_mut(&id) {
                self.grower.shrink(id, connection, &mut self.output);
                self.touch(id);
            }
        }
    }

    /// When the kernel is to call again, if that is not arranged yet.
    pub fn alarm(&mut self) -> Option<u64> {
        let now = self.output.now;
        let next = [
            self.timers.first().map(|(at, _)| *at),
            self.output.neighbours.next(),
            self.ether.next(now),
            self.reassembly.next(),
            self.time_waits.next(),
        ]
        .into_iter()
        .flatten()
        .min()?;
        if self.armed.is_some_and(|armed| armed > now && armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }
}
