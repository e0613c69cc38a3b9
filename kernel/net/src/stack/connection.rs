//! One TCP connection: a socket of smoltcp in a set of its own, and what Linux has beyond it.
use super::path::{Path, Segment};
use crate::uplink::Connection as Progress;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::Duration;
use vfs::{WaitList, poll};

/// Both ends, without what IPv6 adds to a socket address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pair {
    pub local: (IpAddr, u16),
    pub remote: (IpAddr, u16),
}

impl Pair {
    pub fn local_address(&self) -> SocketAddr {
        self.local.into()
    }

    pub fn remote_address(&self) -> SocketAddr {
        self.remote.into()
    }
}

/// Who holds a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A stream.
    Stream,
    /// A listener, by its number: the handshake goes on.
    HalfOpen(u64),
    /// A listener: established, and to be taken by its acceptor.
    Ready(u64),
    /// Nobody any more: it ends by itself.
    Nobody,
}

pub const SECOND: u64 = 1_000_000_000;
/// How long a peer may be silent while something waits for it: what `tcp_syn_retries`, `tcp_synack_retries` and `tcp_retries2` amount
/// to, and the same for a connection without an owner.
const PATIENCE_CONNECT: u64 = 127 * SECOND;
const PATIENCE_ACCEPT: u64 = 63 * SECOND;
const PATIENCE_DATA: u64 = 924 * SECOND;
const PATIENCE_NOBODY: u64 = 120 * SECOND;
/// `tcp_fin_timeout`
const LINGER: u64 = 60 * SECOND;
/// How long a corked part of a segment is held back.
const HOLD: u64 = 200_000_000;
pub const ACK_DELAY: Duration = Duration::from_millis(10);

/// `SO_KEEPALIVE` and its times in nanoseconds.
#[derive(Clone, Copy)]
pub struct KeepAlive {
    pub idle: u64,
    pub interval: u64,
    pub count: u32,
}

pub struct Connection {
    pub pair: Pair,
    pub set: SocketSet<'static>,
    handle: SocketHandle,
    pub path: Path,
    pub events: Arc<WaitList>,
    pub owner: Owner,
    pub error: Option<Errno>,
    /// The peer has sent everything.
    pub has_ended: bool,
    pub is_established: bool,
    pub read_shut: bool,
    pub write_shut: bool,
    /// It is on the list of those to be looked after.
    pub is_dirty: bool,
    pub timer: Option<u64>,
    /// Since when something waits for the peer, or the end.
    pub waits_since: Option<u64>,
    /// A send found no room, and `events` is to tell when there is some.
    pub starved: bool,
    /// Bytes that were announced.
    pub announced: usize,
    /// Bytes that the program has read.
    pub delivered: u64,
    /// A part of a segment that is held back, and until when.
    held: Vec<u8>,
    hold_until: Option<u64>,
    pub cork: bool,
    pub keep_alive: Option<KeepAlive>,
    pub user_timeout: u64,
    /// What the program wants its buffers to hold at most, or 0.
    pub receive_limit: usize,
    pub send_limit: usize,
    /// How many full segments have come one after the other, and when the last did.
    full: (u8, u64),
    /// A larger receive buffer, or send buffer, would have been of use.
    pub wants_room: (bool, bool),
}

/// What both buffers hold at first. They grow when there is traffic; see `grow`.
pub const FIRST_RECEIVE: usize = 2 * 1024;
pub const FIRST_SEND: usize = 1024;
/// The most that one may hold, unless the program says otherwise: more would only leave the CPU's cache.
pub const LIMIT: usize = 256 * 1024;
/// The same where a round trip takes long, in microseconds, since more is under way then.
const FAR_LIMIT: usize = 4096 * 1024;
const FAR: u32 = 3000;

pub fn socket(receive: usize, send: usize) -> Socket<'static> {
    let buffer = |size: usize| SocketBuffer::new(alloc::vec![0; size]);
    let mut socket = Socket::new(buffer(receive), buffer(send));
    // `flight` does that, by the window that the socket is told.
    socket.set_congestion_control(CongestionControl::None);
    socket.set_ack_delay(Some(ACK_DELAY));
    socket
}

/// A socket, alone in a set. There is room for one: a vector that grows by itself would begin with four, of almost a KiB each.
pub fn alone(receive: usize, send: usize) -> (SocketSet<'static>, SocketHandle) {
    let mut set = SocketSet::new(Vec::with_capacity(1));
    let handle = set.add(socket(receive, send));
    (set, handle)
}

impl Connection {
    pub fn new(pair: Pair, owner: Owner, events: Arc<WaitList>, now: u64) -> Self {
        let (set, handle) = alone(FIRST_RECEIVE, FIRST_SEND);
        let mut path = Path::default();
        (path.own_scale, path.heard) = (super::grow::SCALE, now);
        Self {
            pair,
            set,
            handle,
            path,
            events,
            owner,
            error: None,
            has_ended: false,
            is_established: false,
            read_shut: false,
            write_shut: false,
            is_dirty: false,
            timer: None,
            waits_since: None,
            starved: false,
            announced: 0,
            delivered: 0,
            held: Vec::new(),
            hold_until: None,
            cork: false,
            keep_alive: None,
            user_timeout: 0,
            receive_limit: 0,
            send_limit: 0,
            full: (0, 0),
            wants_room: (false, false),
        }
    }

    pub fn tcp(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    pub fn peek_tcp(&self) -> &Socket<'static> {
        self.set.get(self.handle)
    }

    /// Another socket takes the place of this one's.
    pub fn replace(&mut self, set: SocketSet<'static>, handle: SocketHandle) {
        (self.set, self.handle) = (set, handle);
    }

    pub fn state(&self) -> State {
        self.peek_tcp().state()
    }

    pub fn progress(&self) -> Progress {
        match self.state() {
            State::SynSent => Progress::Connecting,
            State::Closed if !self.is_established => Progress::Failed,
            _ if self.error.is_some() => Progress::Failed,
            _ => Progress::Established,
        }
    }

    /// Something waits for the peer's acknowledgement.
    fn is_unsettled(&self) -> bool {
        use State::{Closing, FinWait1, LastAck, SynReceived, SynSent};
        !self.held.is_empty()
            || self.peek_tcp().send_queue() > 0
            || matches!(
                self.state(),
                SynSent | SynReceived | FinWait1 | Closing | LastAck
            )
    }

    /// When the peer has been silent for too long.
    fn deadline(&self) -> Option<u64> {
        let since = self.waits_since?;
        let nobody = self.owner == Owner::Nobody;
        let patience = match self.state() {
            State::SynSent if self.user_timeout != 0 => self.user_timeout,
            State::SynSent => PATIENCE_CONNECT,
            State::SynReceived => PATIENCE_ACCEPT,
            State::FinWait2 => LINGER,
            _ if nobody => PATIENCE_NOBODY,
            _ if self.user_timeout != 0 => self.user_timeout,
            _ => PATIENCE_DATA,
        };
        // In FIN-WAIT-2 nothing is expected of the peer but the end.
        let since = match self.state() {
            State::FinWait2 => since,
            _ => since.max(self.path.heard),
        };
        Some(since + patience)
    }

    fn keep_alive_deadline(&self) -> Option<u64> {
        let keep = self.keep_alive.filter(|_| self.is_established)?;
        Some(self.path.heard + keep.idle + keep.interval * u64::from(keep.count))
    }

    /// When the peer has been silent for long enough to be asked. After that smoltcp goes on asking.
    fn keep_alive_begin(&self) -> Option<u64> {
        let keep = self.keep_alive.filter(|_| self.is_established)?;
        let asks = self.peek_tcp().keep_alive().is_some();
        (!asks).then_some(self.path.heard + keep.idle)
    }

    /// Closed; while its reset has not left, it is still connected to somebody.
    pub fn is_over(&self) -> bool {
        self.state() == State::Closed && self.peek_tcp().remote_endpoint().is_none()
    }

    /// Whether the socket would take a SYN for anything but the beginning of this connection.
    pub fn is_synchronized(&self, syn: &Segment) -> bool {
        match self.state() {
            State::Closed | State::Listen | State::SynSent => false,
            State::SynReceived => syn.sequence.wrapping_add(1) != self.path.first,
            _ => true,
        }
    }

    /// When this wants to be looked after, besides smoltcp's times.
    pub fn alarm(&self) -> Option<u64> {
        if self.is_over() {
            return None;
        }
        [
            self.deadline(),
            self.keep_alive_deadline(),
            self.keep_alive_begin(),
            self.hold_until,
            self.path.flight.alarm(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Before smoltcp sends: gives up on peers that are silent for too long, and passes on what was held back.
    pub fn prepare(&mut self, now: u64) {
        let lingers = self.owner == Owner::Nobody && self.state() == State::FinWait2;
        if self.is_unsettled() || lingers {
            self.waits_since.get_or_insert(now);
        } else {
            self.waits_since = None;
        }
        let is_over = |at: Option<u64>| at.is_some_and(|at| at <= now);
        if self.state() != State::Closed
            && (is_over(self.deadline()) || is_over(self.keep_alive_deadline()))
        {
            self.fail(Errno::ETIMEDOUT);
        }
        self.pace_keep_alive(now);
        if is_over(self.hold_until) || !self.cork && self.hold_until.is_none() {
            self.release_held();
        }
        if self.write_shut && self.held.is_empty() {
            self.tcp().close();
        }
    }

    /// smoltcp asks the peer as soon as it is told to, so it is told when the peer has been silent, and until it is heard.
    pub fn pace_keep_alive(&mut self, now: u64) {
        if let Some(keep) = self.keep_alive {
            let is_silent = self.is_established && now >= self.path.heard + keep.idle;
            let interval = Duration::from_micros(keep.interval / 1000);
            self.tcp().set_keep_alive(is_silent.then_some(interval));
        }
    }

    /// Ends it: the program gets `errno`, the peer a reset.
    pub fn fail(&mut self, errno: Errno) {
        if self.error.is_none() {
            self.error = Some(errno);
        }
        self.abort();
    }

    pub fn abort(&mut self) {
        self.held = Vec::new();
        self.hold_until = None;
        self.tcp().abort();
    }

    /// After the end: no reset leaves for the peer, since nobody is there.
    pub fn forget_peer(&mut self) {
        let (set, handle) = alone(1, 1);
        self.replace(set, handle);
    }

    pub fn is_writable(&self) -> bool {
        let socket = self.peek_tcp();
        let free = socket.send_capacity() - socket.send_queue();
        socket.may_send()
            && !self.write_shut
            && self.held.is_empty()
            && !self.is_about_to_grow()
            && free * 3 >= socket.send_capacity()
    }

    pub fn events_now(&self) -> u32 {
        let socket = self.peek_tcp();
        let is_closed = socket.state() == State::Closed;
        let mut events = 0;
        if self.error.is_some() {
            events |= poll::ERR;
        }
        if is_closed || (self.has_ended || self.read_shut) && self.write_shut {
            events |= poll::HUP;
        }
        if self.has_ended || self.read_shut || is_closed {
            events |= poll::IN | poll::RDNORM | poll::RDHUP;
        }
        if socket.recv_queue() > 0 {
            events |= poll::IN | poll::RDNORM;
        }
        if self.is_writable() || self.write_shut || is_closed {
            events |= poll::OUT | poll::WRNORM;
        }
        events
    }

    /// Puts what fits of `held` into the socket.
    fn release_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let held = core::mem::take(&mut self.held);
        let taken = self.tcp().send_slice(&held).unwrap_or(held.len());
        self.held = held.get(taken..).unwrap_or(&[]).to_vec();
        self.wants_room.1 |= !self.held.is_empty();
        self.hold_until = None;
    }

    /// Largest payload of a segment, as far as the peer and the MTU allow.
    pub fn segment_size(&self, mtu: usize) -> usize {
        let headers = super::packet::header_length(self.pair.local.0) + 20;
        let own = mtu.saturating_sub(headers).max(48);
        self.path
            .peer
            .mss
            .map_or(own.min(536), |mss| own.min(usize::from(mss).max(48)))
    }

    /// Bytes have come. Who sends full segments in a row has more to send than the window lets it.
    pub fn came(&mut self, payload: usize, mtu: usize, now: u64) {
        const PAUSE: u64 = 50_000_000;
        const IN_A_ROW: u8 = 4;
        let (count, last) = self.full;
        self.full = match payload >= self.segment_size(mtu) {
            true if now < last + PAUSE => (count.saturating_add(1), now),
            true => (1, now),
            false => (0, now),
        };
        let queued = self.peek_tcp().recv_queue();
        let is_half_full = queued * 2 > self.peek_tcp().recv_capacity();
        self.wants_room.0 |= is_half_full || self.full.0 >= IN_A_ROW;
    }

    /// The most that a buffer may hold.
    pub fn limit(&self, wanted: usize) -> usize {
        match wanted {
            0 if self.path.rtt >= FAR => FAR_LIMIT,
            0 => LIMIT,
            wanted => wanted,
        }
    }

    pub fn held(&self) -> usize {
        self.held.len()
    }

    pub fn is_corked(&self) -> bool {
        self.cork
    }

    /// Keeps bytes back until a segment is full, the cork is off, or time is up.
    pub fn hold(&mut self, bytes: &[u8], now: u64) {
        self.held.extend_from_slice(bytes);
        self.hold_until.get_or_insert(now + HOLD);
    }

    /// Lets go of what is held back.
    pub fn let_go(&mut self) {
        self.hold_until = None;
        self.release_held();
    }
}
