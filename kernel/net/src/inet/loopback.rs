//! TCP connections inside the guest: two ends that share a pair of queues. There are no segments, so there is nothing to
//! lose, to acknowledge or to time out; the states are those that tcp(7) shows.
mod shown;

pub(crate) use shown::Lo;

use super::tcp::info::LoopInfo;
use crate::Result;
use crate::uplink::{Connection, Stream, StreamOption};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use linux_abi::Errno;
use shown::{Tee, last_segment, segment};
use spin::Mutex;
use vfs::{ByteQueue, Sink, Source, WaitList, Wake, poll};

/// What an end's send buffer and its peer's receive buffer hold each, unless somebody says otherwise. Linux tunes them up to
/// megabytes; this much covers a writer that is one time slice ahead of its reader.
const HALF_CAPACITY: usize = 512 * 1024;

/// `TCP_*` states as /proc/net/tcp and `TCP_INFO` have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TcpState {
    Established = 1,
    SynSent = 2,
    FinWait2 = 5,
    Close = 7,
    CloseWait = 8,
    Listen = 10,
}

/// Of both ends, for who counts memory.
#[cfg(test)]
pub(crate) const PAIR_SIZE: usize = size_of::<Pair>();

/// One end's share of a connection.
struct End {
    /// What this end can read.
    inbound: ByteQueue,
    /// Bytes that came in, ever.
    received: u64,
    error: Option<Errno>,
    events: Arc<WaitList>,
    send_half: usize,
    receive_half: usize,
    connection: Connection,
    /// It sends no more.
    finished: bool,
    /// The peer sends no more.
    ended: bool,
    /// shutdown(2) for reading.
    deaf: bool,
    /// The socket is gone.
    closed: bool,
    /// A reset came.
    reset: bool,
}

/// Both ends. There is one lock for both: an operation on a connection almost always looks at both.
struct Pair {
    addresses: [SocketAddr; 2],
    ends: Mutex<[End; 2]>,
    lo: Lo,
}

/// An end of a connection inside the guest. Dropping it closes it.
pub(crate) struct LoopStream {
    pair: Arc<Pair>,
    /// 0 for the end that connected.
    side: usize,
    events: Arc<WaitList>,
}

impl End {
    fn new(events: Arc<WaitList>, connection: Connection) -> Self {
        Self {
            inbound: ByteQueue::new(2 * HALF_CAPACITY),
            received: 0,
            error: None,
            events,
            send_half: HALF_CAPACITY,
            receive_half: HALF_CAPACITY,
            connection,
            finished: false,
            ended: false,
            deaf: false,
            closed: false,
            reset: false,
        }
    }

    /// Whether its queue has drained enough to tell the writer: as on Linux a third must be free, so that it is not woken for
    /// every byte.
    fn takes_more(&self) -> bool {
        self.inbound.len() <= self.inbound.limit() / 3 * 2
    }

    /// The peer's FIN arrives, unless there is no connection that it could belong to.
    fn end(&mut self) {
        self.ended |= self.connection == Connection::Established;
    }

    fn break_with(&mut self, error: Errno) {
        self.error = Some(error);
        self.reset = true;
        self.connection = Connection::Failed;
    }
}

/// This end and its peer.
fn both(ends: &mut [End; 2], side: usize) -> (&mut End, &mut End) {
    let [first, second] = ends;
    if side == 0 {
        (first, second)
    } else {
        (second, first)
    }
}

const HANG_UP: u32 = poll::ALWAYS | poll::RDHUP | poll::HUP | poll::ERR;

impl LoopStream {
    /// Both ends of a connection from `client` to `server`, which is not established yet.
    pub(crate) fn pair(
        client: SocketAddr,
        server: SocketAddr,
        client_events: Arc<WaitList>,
        lo: Lo,
    ) -> (Arc<Self>, Arc<Self>) {
        let server_events = Arc::new(WaitList::new());
        let pair = Arc::new(Pair {
            addresses: [client, server],
            ends: Mutex::new([
                End::new(client_events.clone(), Connection::Connecting),
                End::new(server_events.clone(), Connection::Established),
            ]),
            lo,
        });
        let end = |side, events| {
            let pair = pair.clone();
            Arc::new(Self { pair, side, events })
        };
        (end(0, client_events), end(1, server_events))
    }

    /// The client's end of a connection that comes to nothing.
    pub(crate) fn fail(&self, error: Errno) {
        let events = {
            let mut ends = self.pair.ends.lock();
            let (client, _) = both(&mut ends, 0);
            if client.connection != Connection::Connecting {
                return;
            }
            client.break_with(error);
            client.events.clone()
        };
        if error == Errno::ECONNREFUSED {
            self.show_answer(false);
        }
        events.notify(HANG_UP);
    }

    /// The client's end is told that it is connected. False: it has given up meanwhile.
    pub(crate) fn establish(&self) -> bool {
        let events = {
            let mut ends = self.pair.ends.lock();
            let (client, _) = both(&mut ends, 0);
            if client.closed || client.connection != Connection::Connecting {
                return false;
            }
            client.connection = Connection::Established;
            client.events.clone()
        };
        self.show_answer(true);
        events.notify(poll::OUT | poll::WRNORM);
        true
    }

    pub(crate) fn state(&self) -> TcpState {
        let mut ends = self.pair.ends.lock();
        let (own, _) = both(&mut ends, self.side);
        match own.connection {
            Connection::Connecting => TcpState::SynSent,
            Connection::Failed => TcpState::Close,
            Connection::Established => match (own.finished, own.ended) {
                (false, false) => TcpState::Established,
                (true, false) => TcpState::FinWait2,
                (false, true) => TcpState::CloseWait,
                (true, true) => TcpState::Close,
            },
        }
    }

    /// The end goes away: with a reset when asked for or when something is left unread, as tcp_close does.
    fn close(&self, abort: bool) {
        let (events, end, reset) = {
            let mut ends = self.pair.ends.lock();
            let broken = self.reset(&mut ends, false);
            let (own, peer) = both(&mut ends, self.side);
            if own.closed {
                return;
            }
            own.closed = true;
            let mut end = last_segment(own, peer);
            let mut reset = None;
            let unread = !own.inbound.is_empty();
            own.inbound.clear();
            if (abort || unread) && !own.reset && !peer.closed {
                let error = if own.finished {
                    Errno::EPIPE
                } else {
                    Errno::ECONNRESET
                };
                self.pair.lo.counters.tcp_resets.add(1);
                peer.break_with(error);
                (end, reset) = (None, Some(broken));
            } else {
                peer.end();
            }
            own.finished = true;
            (peer.events.clone(), end, reset)
        };
        if let Some(end) = end {
            self.show_end(end);
        }
        if let Some(reset) = reset {
            self.show_reset(false, reset);
        }
        events.notify(HANG_UP);
    }

    /// A limit changed: what the queues hold is the sum of the writer's half and the reader's.
    fn set_half(&self, receive: bool, bytes: u32) {
        let mut ends = self.pair.ends.lock();
        let (own, peer) = both(&mut ends, self.side);
        if receive {
            own.receive_half = bytes as usize;
            own.inbound.set_limit(own.receive_half + peer.send_half);
        } else {
            own.send_half = bytes as usize;
            peer.inbound.set_limit(peer.receive_half + own.send_half);
        }
    }
}

impl Stream for LoopStream {
    fn events(&self) -> &Arc<WaitList> {
        &self.events
    }

    fn local(&self) -> SocketAddr {
        let [client, server] = self.pair.addresses;
        if self.side == 0 { client } else { server }
    }

    fn peer(&self) -> SocketAddr {
        let [client, server] = self.pair.addresses;
        if self.side == 0 { server } else { client }
    }

    fn connection(&self) -> Connection {
        both(&mut self.pair.ends.lock(), self.side).0.connection
    }

    fn take_error(&self) -> Option<Errno> {
        both(&mut self.pair.ends.lock(), self.side).0.error.take()
    }

    fn send(&self, source: &mut dyn Source, _more: bool) -> Result<usize> {
        let mut ends = self.pair.ends.lock();
        let (own, peer) = both(&mut ends, self.side);
        if let Some(error) = own.error.take() {
            return Err(error);
        }
        if own.finished || own.reset {
            return Err(Errno::EPIPE);
        }
        if own.connection == Connection::Connecting {
            return Err(Errno::EAGAIN);
        }
        let wanted = source.remaining();
        if wanted == 0 {
            return Ok(0);
        }
        let first = segment(own, peer, 0);
        let mut source = Tee::new(source, self.is_watched());
        if peer.closed || (peer.deaf && peer.finished) {
            // Nobody reads it: the bytes leave, as many as the buffers take, and a reset comes back.
            let wanted = wanted.min(peer.inbound.limit());
            source.skip(wanted)?;
            own.break_with(Errno::EPIPE);
            if !peer.closed {
                peer.break_with(Errno::ECONNRESET);
            }
            let events = [own.events.clone(), peer.events.clone()];
            let reset = self.reset(&mut ends, true);
            drop(ends);
            self.show_bytes(first, &source.taken(wanted));
            self.show_reset(true, reset);
            for end in events {
                end.notify(HANG_UP);
            }
            return Ok(wanted);
        }
        let count = peer.inbound.put(&mut source, wanted)?;
        if count == 0 {
            return Err(Errno::EAGAIN);
        }
        peer.received += count as u64;
        let events = peer.events.clone();
        drop(ends);
        self.pair.lo.counters.loopback(count);
        self.show_bytes(first, &source.taken(count));
        events.notify(poll::IN | poll::RDNORM);
        Ok(count)
    }

    fn receive(&self, sink: &mut dyn Sink, peek: bool) -> Result<usize> {
        let (count, writer) = {
            let mut ends = self.pair.ends.lock();
            let (own, peer) = both(&mut ends, self.side);
            if own.inbound.is_empty() {
                return match own.error {
                    // The peer's end of data comes before what broke afterwards.
                    _ if own.ended => Ok(0),
                    Some(error) => {
                        own.error = None;
                        Err(error)
                    }
                    None if own.deaf || own.reset => Ok(0),
                    None => Err(Errno::EAGAIN),
                };
            }
            if peek {
                return own.inbound.peek(sink, usize::MAX);
            }
            let full = !own.takes_more();
            let count = own.inbound.take(sink, usize::MAX)?;
            let writer = (full && own.takes_more()).then(|| peer.events.clone());
            (count, writer)
        };
        if let Some(writer) = writer {
            writer.notify(poll::OUT | poll::WRNORM);
        }
        Ok(count)
    }

    fn poll(&self) -> u32 {
        let mut ends = self.pair.ends.lock();
        let (own, peer) = both(&mut ends, self.side);
        if own.connection == Connection::Connecting {
            return 0;
        }
        let no_input = own.ended || own.deaf || own.reset;
        let no_output = own.finished || own.reset;
        let mut events = 0;
        if no_input {
            events |= poll::RDHUP;
        }
        if no_input || !own.inbound.is_empty() {
            events |= poll::IN | poll::RDNORM;
        }
        if no_output || peer.closed || peer.takes_more() {
            events |= poll::OUT | poll::WRNORM;
        }
        if no_input && no_output {
            events |= poll::HUP;
        }
        if own.error.is_some() {
            events |= poll::ERR;
        }
        events
    }

    fn readable(&self) -> usize {
        both(&mut self.pair.ends.lock(), self.side).0.inbound.len()
    }

    fn unsent(&self) -> usize {
        // What is sent is with the peer at once.
        0
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        let (own, peer, end) = {
            let mut ends = self.pair.ends.lock();
            let (own, peer) = both(&mut ends, self.side);
            let end = last_segment(own, peer).filter(|_| write);
            own.deaf |= read;
            own.finished |= write;
            if write {
                peer.end();
            }
            (own.events.clone(), peer.events.clone(), end)
        };
        if let Some(end) = end {
            self.show_end(end);
        }
        own.notify(HANG_UP);
        if write {
            peer.notify(HANG_UP);
        }
        Ok(())
    }

    fn set_option(&self, option: StreamOption) -> Result<()> {
        match option {
            StreamOption::ReceiveBuffer(bytes) => self.set_half(true, bytes),
            StreamOption::SendBuffer(bytes) => self.set_half(false, bytes),
            // The rest concerns packets and their loss.
            _ => {}
        }
        Ok(())
    }

    fn info(&self) -> Result<Vec<u8>> {
        let state = self.state();
        let mut ends = self.pair.ends.lock();
        let (own, peer) = both(&mut ends, self.side);
        Ok(LoopInfo {
            state: state as u8,
            received: own.received,
            sent: peer.received,
        }
        .encode())
    }

    fn abort(&self) {
        self.close(true);
    }
}

impl Drop for LoopStream {
    fn drop(&mut self) {
        self.close(false);
    }
}

/// The time is over that a client waits for its listener to have room.
impl Wake for LoopStream {
    fn wake(&self, _events: u32) {
        self.fail(Errno::ETIMEDOUT);
    }
}
