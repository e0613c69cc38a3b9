//! Other buffers for a living connection.
//!
//! A socket of smoltcp has its buffers from birth to death. Ten thousand idle connections must not cost more than a few KiB
//! each, and a busy one wants hundreds. So connections begin with small buffers, and when one has become too small, and
//! nothing is under way in either direction, a new socket takes the old one's place: it is led through a handshake on a bench, an
//! interface that no card belongs to, to the state in which the old one was. Its sequence numbers are others; `Path`
//! translates them, and the scale of its windows, from then on.
use super::connection::{Connection, FIRST_RECEIVE, FIRST_SEND, alone};
use super::ether::instant;
use super::output::Output;
use super::packet::Header;
use super::path::{FIN, Path, RST, SYN, Segment, is_before};
use super::segment;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::time::Instant;
use smoltcp::wire::{
    HardwareAddress, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

/// The window scale that peers are told, whatever the size of the first buffers: windows of up to 8 MiB can be told then.
pub const SCALE: u8 = 7;
/// Sizes that buffers grow to, one after the other.
const STEPS: [usize; 4] = [64 * 1024, 256 * 1024, 1024 * 1024, 4096 * 1024];
/// What all buffers that have grown hold together; beyond, idle connections give theirs back, or none grow.
const BUDGET: usize = 64 * 1024 * 1024;
/// How long a connection must have been silent to give its buffers back.
const IDLE: u64 = 1_000_000_000;
const MTU: usize = 65_535;

/// A socket that is to take another's place, and how far its sequence numbers lie behind those on the wire.
struct Successor {
    set: SocketSet<'static>,
    handle: SocketHandle,
    shift: u32,
}

pub struct Grower {
    bench: Box<Interface>,
    /// Connections that have grown, oldest first; some may be gone.
    grown: VecDeque<u64>,
    total: usize,
}

/// The bench's end of a wire: packets go in one by one, and the last one that came out is kept.
#[derive(Default)]
struct Bench {
    packet: Vec<u8>,
    last: Option<Segment>,
}

struct Incoming(Vec<u8>);
struct Outgoing<'a>(&'a mut Bench);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = alloc::vec![0; len];
        let result = f(&mut packet);
        self.0.last = Header::parse(&packet).and_then(|header| Segment::parse(&packet, &header));
        result
    }
}

impl Device for Bench {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = core::mem::take(&mut self.packet);
        (!packet.is_empty()).then_some((Incoming(packet), Outgoing(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities.checksum.ipv4 = smoltcp::phy::Checksum::Tx;
        capabilities
    }
}

/// A socket on the bench.
struct Apprentice<'a> {
    bench: &'a mut Interface,
    wire: Bench,
    set: SocketSet<'static>,
    handle: SocketHandle,
    now: Instant,
    connection: &'a Connection,
    /// What it sends next, and what it expects next.
    next: u32,
    expected: u32,
}

impl Apprentice<'_> {
    fn tcp(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// What the socket sends now.
    fn sent(&mut self) -> Option<Segment> {
        self.wire.last = None;
        self.bench
            .poll_egress(self.now, &mut self.wire, &mut self.set);
        self.wire.last
    }

    /// Gives it a segment of its peer.
    fn hear(&mut self, control: TcpControl, window: u16) {
        let path = &self.connection.path;
        let pair = &self.connection.pair;
        let is_syn = control == TcpControl::Syn;
        let segment = TcpRepr {
            src_port: pair.remote.1,
            dst_port: pair.local.1,
            control,
            seq_number: TcpSeqNumber(self.expected as i32),
            ack_number: Some(TcpSeqNumber(self.next as i32)),
            window_len: window,
            window_scale: path.peer.scale.filter(|_| is_syn),
            max_seg_size: path.peer.mss.filter(|_| is_syn),
            sack_permitted: is_syn && path.peer.sack,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let (from, to) = (pair.remote.0.into(), pair.local.0.into());
        let ip = IpRepr::new(from, to, IpProtocol::Tcp, segment.buffer_len(), 64);
        let mut packet = alloc::vec![0; ip.buffer_len()];
        let sums = self.wire.capabilities().checksum;
        ip.emit(&mut packet, &sums);
        let place = packet.get_mut(ip.header_len()..).unwrap_or_default();
        segment.emit(&mut TcpPacket::new_unchecked(place), &from, &to, &sums);
        self.expected = self.expected.wrapping_add(segment.segment_len() as u32);
        self.wire.packet = packet;
        self.bench
            .poll_ingress_single(self.now, &mut self.wire, &mut self.set);
    }
}

impl Connection {
    /// What is expected of the peer next.
    pub fn expected(&self) -> u32 {
        let queued = self.peek_tcp().recv_queue() as u32;
        self.path
            .first
            .wrapping_add(self.delivered as u32)
            .wrapping_add(queued)
            .wrapping_add(self.has_ended.into())
    }

    /// A segment that holds nothing new, of a peer that can be told so.
    pub fn has_already(&self, segment: &Segment) -> bool {
        self.is_established
            && self.path.peer.sack
            && segment.payload > 0
            && segment.flags & (SYN | FIN | RST) == 0
            && !is_before(self.expected(), segment.end())
            && !matches!(self.state(), State::Closed | State::TimeWait)
    }

    /// Nothing is under way, and nothing waits to be read or sent.
    fn is_quiet(&self) -> bool {
        let socket = self.peek_tcp();
        matches!(
            socket.state(),
            State::Established | State::CloseWait | State::FinWait2
        ) && socket.send_queue() == 0
            && socket.recv_queue() == 0
            && self.path.is_settled(self.expected())
            // What smoltcp knows of the peer's end must be known here.
            && (socket.state() == State::CloseWait) == self.has_ended
    }

    fn sizes(&self) -> (usize, usize) {
        let socket = self.peek_tcp();
        (socket.recv_capacity(), socket.send_capacity())
    }

    /// How much of the buffers is not there from the beginning.
    pub fn surplus(&self) -> usize {
        let (receive, send) = self.sizes();
        receive.saturating_sub(FIRST_RECEIVE) + send.saturating_sub(FIRST_SEND)
    }

    fn succeed(&mut self, successor: Successor, receive: usize) {
        let Successor { set, handle, shift } = successor;
        self.replace(set, handle);
        self.path.shift = shift;
        self.path.socket_scale = self.path.peer.scale.map_or(0, |_| scale_of(receive));
    }

    /// The program must wait until all is acknowledged, since the buffer will grow then.
    pub fn is_about_to_grow(&self) -> bool {
        let (_, send) = self.sizes();
        self.wants_room.1
            && self.peek_tcp().send_queue() > 0
            && next_size(send, self.limit(self.send_limit)) > send
    }
}

/// The size after `size`.
fn next_size(size: usize, limit: usize) -> usize {
    let step = STEPS.into_iter().find(|step| *step > size);
    step.map_or(size, |step| step.min(limit).max(size))
}

impl Grower {
    pub fn new(seed: u64, now: u64) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut bench = Box::new(Interface::new(config, &mut Bench::default(), instant(now)));
        // Whatever address the connection has.
        bench.set_any_ip(true);
        Self {
            bench,
            grown: VecDeque::new(),
            total: 0,
        }
    }

    pub fn is_over_budget(&self) -> bool {
        self.total > BUDGET
    }

    /// The connection that grew first, which is not listed any more.
    pub fn oldest(&mut self) -> Option<u64> {
        self.grown.pop_front()
    }

    /// A connection is gone.
    pub fn forget(&mut self, connection: &Connection) {
        self.total = self.total.saturating_sub(connection.surplus());
    }

    /// Gives it larger buffers, if they are of use and it can be done now.
    pub fn grow(&mut self, id: u64, connection: &mut Connection, output: &mut Output) {
        if connection.wants_room == (false, false) {
            return;
        }
        if !connection.is_quiet() {
            // With segments that come late it might never be, if the peer went on.
            let (receive, _) = connection.sizes();
            let limit = connection.limit(connection.receive_limit);
            if connection.wants_room.0
                && next_size(receive, limit) > receive
                && !self.is_over_budget()
            {
                connection.path.hold_edge();
            }
            return;
        }
        let was_held = connection.path.let_edge_go();
        let (receive, send) = connection.sizes();
        let (wants_receive, wants_send) = core::mem::take(&mut connection.wants_room);
        let new_receive = if wants_receive {
            next_size(receive, connection.limit(connection.receive_limit))
        } else {
            receive
        };
        let new_send = if wants_send {
            next_size(send, connection.limit(connection.send_limit))
        } else {
            send
        };
        if (new_receive, new_send) != (receive, send) && !self.is_over_budget() {
            self.replace(connection, new_receive, new_send, output);
            self.grown.push_back(id);
        } else if was_held {
            tell_window(connection, receive, output);
        }
    }

    /// The program wants to send `wanted` bytes: makes room for them, if it can be done now.
    pub fn before_send(
        &mut self,
        id: u64,
        connection: &mut Connection,
        wanted: usize,
        output: &mut Output,
    ) {
        let (_, send) = connection.sizes();
        if wanted > send && connection.peek_tcp().send_queue() == 0 {
            connection.wants_room.1 = true;
            self.grow(id, connection, output);
        }
    }

    /// Takes its buffers from a connection that has not used them for long.
    pub fn shrink(&mut self, id: u64, connection: &mut Connection, output: &mut Output) {
        if connection.path.heard + IDLE <= output.now && connection.is_quiet() {
            self.replace(connection, FIRST_RECEIVE, FIRST_SEND, output);
        } else {
            self.grown.push_back(id);
        }
    }

    fn replace(
        &mut self,
        connection: &mut Connection,
        receive: usize,
        send: usize,
        output: &mut Output,
    ) {
        self.total = self.total.saturating_sub(connection.surplus());
        let now = instant(output.now);
        let state = connection.state();
        let successor = self.successor(connection, state, (receive, send), now);
        if let Some(successor) = successor {
            connection.succeed(successor, receive);
            self.total += connection.surplus();
            tell_window(connection, receive, output);
        } else {
            self.total += connection.surplus();
        }
    }

    /// Puts a new connection, whose path knows the handshake, behind that. False: it cannot be.
    pub fn establish(&mut self, connection: &mut Connection, now: u64) -> bool {
        let sizes = (FIRST_RECEIVE, FIRST_SEND);
        let state = State::Established;
        let Some(successor) = self.successor(connection, state, sizes, instant(now)) else {
            return false;
        };
        connection.succeed(successor, FIRST_RECEIVE);
        let window = (FIRST_RECEIVE >> connection.path.own_scale) as u16;
        let expected = connection.expected();
        connection.path.told_window(expected, window);
        true
    }

    /// A socket in this state, otherwise like the connection's.
    fn successor(
        &mut self,
        connection: &Connection,
        state: State,
        (receive, send): (usize, usize),
        now: Instant,
    ) -> Option<Successor> {
        let old = connection.peek_tcp();
        let has_ended = connection.has_ended;
        let (set, handle) = alone(receive, send);
        let expected = connection.expected();
        let mut one = Apprentice {
            bench: &mut self.bench,
            wire: Bench::default(),
            set,
            handle,
            now,
            connection,
            next: 0,
            // Before its SYN, and before its FIN.
            expected: expected.wrapping_sub(1 + u32::from(has_ended)),
        };
        let pair = connection.pair;
        let context = one.bench.context();
        let fresh = one.set.get_mut::<Socket<'_>>(handle);
        fresh.connect(context, pair.remote, pair.local).ok()?;
        one.next = one.sent()?.end();
        one.hear(TcpControl::Syn, u16::MAX);
        if has_ended {
            one.hear(TcpControl::Fin, u16::MAX);
        }
        if state == State::FinWait2 {
            one.tcp().close();
            let end = one.sent()?;
            one.next = one.next.wrapping_add(end.length());
        }
        one.hear(TcpControl::None, connection.path.allowed());
        let (hop_limit, nagle) = (old.hop_limit(), old.nagle_enabled());
        let (ack_delay, keep_alive) = (old.ack_delay(), old.keep_alive());
        let fresh = one.tcp();
        fresh.set_hop_limit(hop_limit);
        fresh.set_nagle_enabled(nagle);
        fresh.set_ack_delay(ack_delay);
        fresh.set_keep_alive(keep_alive);
        let is_ready = fresh.state() == state && fresh.send_queue() == 0;
        let shift = connection.path.next.wrapping_sub(one.next);
        is_ready.then_some(Successor {
            set: one.set,
            handle,
            shift,
        })
    }
}

/// Tells the peer about an empty receive buffer of this size; and what it sent last may not have been acknowledged.
fn tell_window(connection: &mut Connection, receive: usize, output: &mut Output) {
    let window = (receive >> connection.path.own_scale).min(0xffff) as u16;
    let (next, expected) = (connection.path.next, connection.expected());
    connection.path.told_window(expected, window);
    segment::send(output, &connection.pair, next, expected, window);
}

/// By how much a socket of smoltcp shifts its windows.
fn scale_of(receive: usize) -> u8 {
    (usize::BITS - receive.leading_zeros()).saturating_sub(16) as u8
}

impl Path {
    /// All that was sent is acknowledged, and nothing came that lies behind a gap.
    fn is_settled(&self, expected: u32) -> bool {
        self.has_sent && self.unacknowledged == self.next && self.heard_up_to == expected
    }
}
