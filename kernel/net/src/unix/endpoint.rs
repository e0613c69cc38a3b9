//! What a Unix socket is, apart from its descriptor.
use super::names::Names;
use super::packets::Packet;
use super::stream::Stream;
use crate::address::{Address, UnixName};
use crate::env::Ucred;
use crate::socket::SocketType;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use linux_abi::Errno;
use spin::{Mutex, Once};
use vfs::{InodeRef, WaitList, poll};

/// /proc/sys/net/core/wmem_default and rmem_default
const DEFAULT_BUFFER: usize = 212_992;
/// /proc/sys/net/unix/max_dgram_qlen
const MAX_DATAGRAMS: usize = 10;

pub(super) const READABLE: u32 = poll::IN | poll::RDNORM;
pub(super) const WRITABLE: u32 = poll::OUT | poll::WRNORM | poll::WRBAND;
const HUNG_UP: u32 = READABLE | WRITABLE | poll::RDHUP | poll::HUP | poll::ERR;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Closed,
    Listening,
    Connected,
}

pub(super) struct Endpoint {
    pub id: u64,
    pub names: Arc<Names>,
    pub kind: SocketType,
    /// Stands in where a write(2) does not say who writes.
    pub creator: Ucred,
    /// Where it is bound; for good.
    pub name: Once<Arc<UnixName>>,
    /// The file system's object, kept so that its number is not given to another.
    pub node: Once<InodeRef>,
    pub state: Mutex<State>,
    pub waiters: WaitList,
    /// What packets sent from here occupy in the queues of others.
    pub in_flight: AtomicUsize,
    /// `SO_SNDBUF`, `SO_RCVBUF`
    pub send_limit: AtomicUsize,
    pub receive_limit: AtomicUsize,
    /// `SO_PASSCRED`
    pub passes_credentials: AtomicBool,
    /// Options that are only remembered, a bit each.
    pub remembered: AtomicU64,
    /// The number that fstat(2) shows.
    pub inode: AtomicU64,
}

pub(super) struct State {
    pub phase: Phase,
    pub peer: Option<Arc<Endpoint>>,
    /// `SO_PEERCRED`
    pub peer_credentials: Option<Ucred>,
    pub shut_read: bool,
    pub shut_write: bool,
    pub error: Option<Errno>,
    /// Its descriptor is closed.
    pub is_dead: bool,
    /// How many more than one connection or packet may wait here.
    pub backlog: usize,
    pub stream: Stream,
    pub packets: VecDeque<Packet>,
    /// Connections that wait for accept(2).
    pub arrivals: VecDeque<Arc<Endpoint>>,
    /// Who found no room here, by address.
    blocked: BTreeMap<usize, Weak<Endpoint>>,
}

impl State {
    /// Whether who sends or connects has to wait.
    pub fn is_full(&self) -> bool {
        self.packets.len().max(self.arrivals.len()) > self.backlog
    }

    /// `sender` is to be told when there is room.
    pub fn block(&mut self, sender: &Arc<Endpoint>) {
        let key = Arc::as_ptr(sender).addr();
        self.blocked.insert(key, Arc::downgrade(sender));
    }

    /// Who is to be told that there is room now.
    pub fn unblock(&mut self) -> Blocked {
        Blocked(core::mem::take(&mut self.blocked))
    }

    pub fn is_peer(&self, whom: &Arc<Endpoint>) -> bool {
        self.peer
            .as_ref()
            .is_some_and(|peer| Arc::ptr_eq(peer, whom))
    }
}

/// Endpoints that waited for room.
#[must_use]
pub(super) struct Blocked(BTreeMap<usize, Weak<Endpoint>>);

impl Blocked {
    /// With no lock held.
    pub fn tell(self) {
        for endpoint in self.0.into_values().filter_map(|weak| weak.upgrade()) {
            endpoint.waiters.notify(WRITABLE);
        }
    }
}

impl Endpoint {
    pub fn new(names: &Arc<Names>, kind: SocketType, creator: Ucred) -> Arc<Self> {
        let state = State {
            phase: Phase::Closed,
            peer: None,
            peer_credentials: None,
            shut_read: false,
            shut_write: false,
            error: None,
            is_dead: false,
            backlog: MAX_DATAGRAMS,
            stream: Stream::new(),
            packets: VecDeque::new(),
            arrivals: VecDeque::new(),
            blocked: BTreeMap::new(),
        };
        let endpoint = Arc::new(Self {
            id: names.new_id(),
            names: names.clone(),
            kind,
            creator,
            name: Once::new(),
            node: Once::new(),
            state: Mutex::new(state),
            waiters: WaitList::new(),
            in_flight: AtomicUsize::new(0),
            send_limit: AtomicUsize::new(DEFAULT_BUFFER),
            receive_limit: AtomicUsize::new(DEFAULT_BUFFER),
            passes_credentials: AtomicBool::new(false),
            remembered: AtomicU64::new(0),
            inode: AtomicU64::new(0),
        });
        names.add(&endpoint);
        endpoint
    }

    /// Stream or seqpacket: has connections.
    pub fn is_connection(&self) -> bool {
        self.kind != SocketType::Datagram
    }

    pub fn address(&self) -> Address {
        let name = self.name.get();
        Address::Unix(name.map_or(UnixName::Unnamed, |name| (**name).clone()))
    }

    pub fn peer(&self) -> Option<Arc<Self>> {
        self.state.lock().peer.clone()
    }

    /// Becomes connected to `peer`.
    pub fn join(&self, peer: &Arc<Self>, credentials: Ucred) {
        let mut state = self.state.lock();
        state.phase = Phase::Connected;
        state.peer = Some(peer.clone());
        state.peer_credentials = Some(credentials);
    }

    /// Whether `used` bytes are few enough to be told that more may be sent.
    pub fn is_roomy(&self, used: usize) -> bool {
        used.saturating_mul(4) <= self.send_limit.load(Relaxed)
    }

    /// What was sent from here and has been received brought `used` down from `before`.
    pub fn acknowledge(&self, before: usize, used: usize) {
        if !self.is_roomy(before) && self.is_roomy(used) {
            self.waiters.notify(WRITABLE);
        }
    }

    pub fn poll(self: &Arc<Self>) -> u32 {
        let (mut events, peer) = {
            let state = self.state.lock();
            (self.own_events(&state), state.peer.clone())
        };
        if events & poll::OUT != 0 && !self.can_send(peer.as_ref()) {
            events &= !WRITABLE;
        }
        events
    }

    /// The events that this end alone decides; writable unless it listens.
    fn own_events(&self, state: &State) -> u32 {
        let waiting =
            !state.stream.is_empty() || !state.packets.is_empty() || !state.arrivals.is_empty();
        let hung_up = state.shut_read && state.shut_write
            || self.is_connection() && state.phase == Phase::Closed;
        let parts = [
            (state.error.is_some(), poll::ERR),
            (hung_up, poll::HUP),
            (state.shut_read, poll::RDHUP),
            (state.shut_read || waiting, READABLE),
            (state.phase != Phase::Listening, WRITABLE),
        ];
        parts
            .iter()
            .filter(|(holds, _)| *holds)
            .fold(0, |events, (_, event)| events | event)
    }

    fn can_send(self: &Arc<Self>, peer: Option<&Arc<Self>>) -> bool {
        if !self.is_roomy(self.in_flight.load(Relaxed)) {
            return false;
        }
        let Some(peer) = peer else { return true };
        let mut theirs = peer.state.lock();
        if self.kind == SocketType::Stream {
            return self.is_roomy(theirs.stream.len());
        }
        let full = !theirs.is_peer(self) && theirs.is_full();
        if full {
            theirs.block(self);
        }
        !full
    }

    pub fn shutdown(&self, read: bool, write: bool) {
        let peer = {
            let mut state = self.state.lock();
            state.shut_read |= read;
            state.shut_write |= write;
            state.peer.clone()
        };
        self.waiters.notify(HUNG_UP);
        if let Some(peer) = peer.filter(|_| self.is_connection()) {
            let mut theirs = peer.state.lock();
            theirs.shut_read |= write;
            theirs.shut_write |= read;
            drop(theirs);
            peer.waiters.notify(HUNG_UP);
        }
        let blocked = self.state.lock().unblock();
        blocked.tell();
    }

    /// The other end is gone; `lost`: with data of ours unread.
    fn hang_up(&self, lost: bool) {
        let mut state = self.state.lock();
        (state.shut_read, state.shut_write) = (true, true);
        if lost {
            state.error = Some(Errno::ECONNRESET);
        }
        drop(state);
        self.waiters.notify(HUNG_UP);
    }

    /// The descriptor is closed, or there will never be one (`unaccepted`).
    pub fn release(&self, unaccepted: bool) {
        let (peer, stream, packets, arrivals, blocked) = {
            let mut state = self.state.lock();
            state.is_dead = true;
            (state.shut_read, state.shut_write) = (true, true);
            let stream = core::mem::replace(&mut state.stream, Stream::new());
            let packets = core::mem::take(&mut state.packets);
            let arrivals = core::mem::take(&mut state.arrivals);
            (
                state.peer.take(),
                stream,
                packets,
                arrivals,
                state.unblock(),
            )
        };
        self.names.remove(self);
        if let Some(peer) = peer.filter(|_| self.is_connection()) {
            peer.hang_up(unaccepted || !stream.is_empty() || !packets.is_empty());
        }
        for packet in packets {
            packet.leave();
        }
        for arrival in arrivals {
            arrival.release(true);
        }
        blocked.tell();
    }
}
