//! One end of a forwarded TCP connection.
use super::outbox::Gate;
use super::queue::{Budget, ReceiveQueue};
use super::shared::Shared;
use super::stream_options::encode;
use super::transport::EventBuffer;
use crate::Result;
use crate::uplink::{Connection, Stream, StreamOption};
use alloc::sync::Arc;
use alloc::vec::Vec;
use boot_abi::hostnet::{
    FIRST_WINDOW, FLAG_ABORT, FLAG_MORE, FLAG_READ, FLAG_WRITE, Header, REQ_CLOSE, REQ_CREDIT,
    REQ_DATA, REQ_INFO, REQ_OPTIONS, REQ_SHUTDOWN, WINDOW,
};
use core::net::SocketAddr;
use core::ops::Range;
use linux_abi::Errno;
use linux_abi::raw::net::tcp_info;
use spin::{Mutex, MutexGuard};
use vfs::{Sink, Source, WaitList, poll};

/// The most bytes in one message: with its header it fills the largest buffer of the pool.
const DATA_MAX: usize = 64 * 1024 - Header::SIZE;
/// `SOCK_MIN_SNDBUF`, `SOCK_MIN_RCVBUF`, roughly.
const WINDOW_MIN: u32 = 4096;
/// The send buffer while slow peers take up much memory.
const SCARCE_WINDOW: u32 = 16 * 1024;
/// `TCP_CLOSE`
const STATE_CLOSE: u8 = 7;

const READABLE: u32 = poll::IN | poll::RDNORM;
const WRITABLE: u32 = poll::OUT | poll::WRNORM;
const OVER: u32 = READABLE | WRITABLE | poll::RDHUP | poll::HUP | poll::ERR;

/// What `TCP_INFO` has been asked for, and answered.
#[derive(Default)]
enum Info {
    #[default]
    Unknown,
    Asked,
    Known(Vec<u8>),
}

struct State {
    connection: Connection,
    local: SocketAddr,
    error: Option<Errno>,
    received: ReceiveQueue,
    /// How many bytes the device may still send.
    granted: u32,
    /// How many it may have sent that were not read: at first few, more as long as the program reads them.
    receive_window: u32,
    /// `SO_RCVBUF`
    most_received: u32,
    /// The peer has ended its direction.
    ended: bool,
    /// shutdown(2) was called for these directions.
    read_shut: bool,
    write_shut: bool,
    /// The device has been told to forget the stream.
    closed: bool,
    gate: Gate,
    send_window: u32,
    /// The name is in the list of those who keep buffers.
    holder: bool,
    info: Info,
}

pub struct ForwardStream {
    shared: Arc<Shared>,
    name: u64,
    events: Arc<WaitList>,
    peer: SocketAddr,
    state: Mutex<State>,
}

impl State {
    fn readable_end(&self) -> bool {
        self.ended || self.read_shut || self.connection == Connection::Failed
    }

    fn writable_end(&self) -> bool {
        self.write_shut || self.connection == Connection::Failed
    }

    /// The send buffer: small for everybody as long as slow peers take up much memory.
    fn send_window(&self, shared: &Shared) -> u32 {
        if shared.kept.is_large() {
            self.send_window.min(SCARCE_WINDOW)
        } else {
            self.send_window
        }
    }

    /// Room for sending, as far as the window goes.
    fn room(&self, shared: &Shared) -> usize {
        self.send_window(shared).saturating_sub(self.gate.bytes) as usize
    }

    /// Whether poll(2) calls it writable: as Linux, only when a third of the buffer is free.
    fn has_room(&self, shared: &Shared) -> bool {
        self.gate.bytes <= self.send_window(shared) / 3 * 2
            && shared.outbox.has_room(self.gate.messages, true)
    }

    /// How many more bytes the device should be allowed to send. 0 as long as that is too little for a message.
    fn credit(&mut self, budget: &Budget) -> u32 {
        let unread = u32::try_from(self.received.len()).unwrap_or(u32::MAX);
        let used = unread.saturating_add(self.granted);
        if used > self.receive_window.min(self.most_received) / 2 || self.readable_end_for_good() {
            return 0;
        }
        self.resize_window(budget);
        let missing = self.receive_window.saturating_sub(used);
        self.granted += missing;
        missing
    }

    /// Half a window was read: it may be twice as large, if there is memory for that; otherwise it gets smaller.
    fn resize_window(&mut self, budget: &Budget) {
        let now = self.receive_window;
        let wanted = now.saturating_mul(2).min(self.most_received);
        self.receive_window = if budget.reserve(now, wanted) {
            wanted
        } else {
            let less = (now / 2).max(FIRST_WINDOW).min(now);
            budget.reserve(now, less);
            less
        };
    }

    /// Nothing more will come.
    fn readable_end_for_good(&self) -> bool {
        self.ended || self.closed || self.connection == Connection::Failed
    }

    fn fail(&mut self, errno: Errno) {
        self.connection = Connection::Failed;
        self.error = Some(errno);
        self.info = Info::default();
    }
}

impl ForwardStream {
    pub fn new(
        shared: &Arc<Shared>,
        name: u64,
        connection: Connection,
        local: SocketAddr,
        peer: SocketAddr,
        events: Arc<WaitList>,
    ) -> Arc<Self> {
        Arc::new(Self {
            shared: shared.clone(),
            name,
            events,
            peer,
            state: Mutex::new(State {
                connection,
                local,
                error: None,
                received: ReceiveQueue::default(),
                granted: FIRST_WINDOW,
                receive_window: FIRST_WINDOW,
                most_received: WINDOW,
                ended: false,
                read_shut: false,
                write_shut: false,
                closed: false,
                gate: Gate::default(),
                send_window: WINDOW,
                holder: false,
                info: Info::default(),
            }),
        })
    }

    fn tell(&self, kind: u16, flags: u16, payload: &[u8]) {
        self.shared.outbox.tell(kind, flags, self.name, &[payload]);
    }

    /// Takes the options that are about the guest's own buffers. False: it is another one.
    pub fn resize(&self, option: StreamOption) -> bool {
        let mut state = self.state.lock();
        match option {
            StreamOption::ReceiveBuffer(bytes) => {
                state.most_received = bytes.clamp(WINDOW_MIN, WINDOW);
                self.give_credit(&mut state);
            }
            StreamOption::SendBuffer(bytes) => state.send_window = bytes.clamp(WINDOW_MIN, WINDOW),
            _ => return false,
        }
        true
    }

    /// The device has connected it, from the host's address `host`.
    pub fn connected(&self, host: SocketAddr) {
        {
            let mut state = self.state.lock();
            if state.connection != Connection::Connecting {
                return;
            }
            state.connection = Connection::Established;
            if state.local.port() == 0 {
                state.local.set_port(host.port());
            }
        }
        self.events.notify(WRITABLE);
    }

    /// The connection is broken, or could not be made.
    pub fn failed(&self, errno: Errno) {
        {
            let mut state = self.state.lock();
            if state.connection == Connection::Failed {
                return;
            }
            state.fail(errno);
        }
        self.events.notify(OVER);
    }

    /// Bytes from the peer. False: the device has no right to send them.
    pub fn data(&self, buffer: &Arc<dyn EventBuffer>, range: Range<usize>) -> bool {
        let len = u32::try_from(range.len()).unwrap_or(u32::MAX);
        let spare = self.shared.can_spare_buffers();
        {
            let mut state = self.state.lock();
            if state.connection != Connection::Established || state.ended {
                return false;
            }
            let Some(granted) = state.granted.checked_sub(len) else {
                drop(state);
                self.shut_out();
                return false;
            };
            state.granted = granted;
            let budget = &self.shared.budget;
            state.received.push(buffer, range, spare, budget);
            if state.received.holds_buffers() && !state.holder {
                state.holder = true;
                self.shared.add_holder(self.name);
            }
        }
        self.events.notify(READABLE);
        true
    }

    /// The device does not keep to the rules.
    fn shut_out(&self) {
        self.close(FLAG_ABORT);
        self.failed(Errno::EPROTO);
    }

    /// The peer sends no more.
    pub fn end(&self) {
        {
            let mut state = self.state.lock();
            if state.connection != Connection::Established || state.ended {
                return;
            }
            state.ended = true;
        }
        self.events.notify(READABLE | poll::RDHUP | poll::HUP);
    }

    /// The host has taken a message with `bytes` bytes.
    pub fn sent(&self, bytes: u32) {
        let mut state = self.state.lock();
        state.gate.remove(bytes);
        self.announce_room(state);
    }

    /// The outbox has room again.
    pub fn admitted(&self) {
        let mut state = self.state.lock();
        state.gate.admit();
        self.announce_room(state);
    }

    fn announce_room(&self, mut state: MutexGuard<'_, State>) {
        let outbox = &self.shared.outbox;
        if !state.has_room(&self.shared) {
            // What it waits for may be something else now.
            if state.gate.is_blocked() {
                outbox.block(&mut state.gate, self.name);
            }
        } else if outbox.unblock(&mut state.gate) {
            drop(state);
            self.events.notify(WRITABLE);
        }
    }

    /// Gives buffers back to the device, which misses them.
    pub fn let_go(&self) {
        let mut state = self.state.lock();
        state.holder = false;
        state.received.let_go(&self.shared.budget);
        if state.received.holds_buffers() {
            state.holder = true;
            self.shared.add_holder(self.name);
        }
    }

    pub fn answer(&self, info: &[u8]) {
        let mut state = self.state.lock();
        if !matches!(state.info, Info::Asked) || info.len() > size_of::<tcp_info>() * 2 {
            return;
        }
        state.info = Info::Known(info.to_vec());
        drop(state);
        self.events.notify(poll::ALWAYS);
    }

    /// Sends one message of at most `room` bytes; answers how many.
    fn send_some(
        &self,
        state: &mut State,
        source: &mut dyn Source,
        room: usize,
        more: bool,
    ) -> Result<usize> {
        let count = source.remaining().min(room).min(DATA_MAX);
        let flags = if more || count < source.remaining() {
            FLAG_MORE
        } else {
            0
        };
        let outbox = &self.shared.outbox;
        let header = Header::new(REQ_DATA, self.name, count).with_flags(flags);
        let mut request = outbox.prepare(header)?;
        if let Err(errno) = source.take(request.payload()) {
            outbox.recycle(request);
            return Err(errno);
        }
        request.charge = Some(count as u32);
        state.gate.add(count as u32);
        outbox.post(request, source.remaining() == 0);
        Ok(count)
    }

    fn close(&self, flags: u16) {
        let before = core::mem::replace(&mut self.state.lock().closed, true);
        if !before {
            self.tell(REQ_CLOSE, flags, &[]);
        }
    }

    /// Lets the device send more, once enough has been read.
    fn give_credit(&self, state: &mut State) {
        let credit = state.credit(&self.shared.budget);
        if credit > 0 {
            self.tell(REQ_CREDIT, 0, &credit.to_le_bytes());
        }
    }
}

impl Stream for ForwardStream {
    fn events(&self) -> &Arc<WaitList> {
        &self.events
    }

    fn local(&self) -> SocketAddr {
        self.state.lock().local
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn connection(&self) -> Connection {
        self.state.lock().connection
    }

    fn take_error(&self) -> Option<Errno> {
        self.state.lock().error.take()
    }

    fn send(&self, source: &mut dyn Source, more: bool) -> Result<usize> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if let Some(errno) = state.error.take() {
            return Err(errno);
        }
        if state.writable_end() {
            return Err(Errno::EPIPE);
        }
        if state.connection == Connection::Connecting {
            return Err(Errno::EAGAIN);
        }
        let mut total = 0;
        let mut outcome = Ok(0);
        while source.remaining() > 0 {
            let outbox = &self.shared.outbox;
            let room = state.room(&self.shared);
            if room == 0 || !outbox.has_room(state.gate.messages, false) {
                outbox.block(&mut state.gate, self.name);
                outcome = Err(Errno::EAGAIN);
                break;
            }
            outcome = self.send_some(state, source, room, more);
            match outcome {
                Ok(count) => total += count,
                Err(_) => break,
            }
        }
        drop(guard);
        if total == 0 {
            return outcome;
        }
        // The last message has announced itself, unless there was no room for it.
        if source.remaining() > 0 {
            self.shared.outbox.kick();
        }
        self.shared.count_sent(total);
        Ok(total)
    }

    fn receive(&self, sink: &mut dyn Sink, peek: bool) -> Result<usize> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if sink.remaining() == 0 {
            return Ok(0);
        }
        if !state.received.is_empty() {
            let count = state.received.take(sink, peek, &self.shared.budget)?;
            self.give_credit(state);
            return Ok(count);
        }
        // Linux: after the peer's FIN an error is no longer recv(2)'s business.
        if state.ended {
            return Ok(0);
        }
        match state.error.take() {
            Some(errno) => Err(errno),
            None if state.readable_end() => Ok(0),
            None => Err(Errno::EAGAIN),
        }
    }

    fn poll(&self) -> u32 {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let mut events = 0;
        if state.error.is_some() {
            events |= poll::ERR;
        }
        if state.connection == Connection::Connecting {
            return events;
        }
        if state.readable_end() {
            events |= READABLE | poll::RDHUP;
        }
        if !state.received.is_empty() {
            events |= READABLE;
        }
        if state.writable_end() {
            events |= WRITABLE;
            if state.readable_end() {
                events |= poll::HUP;
            }
            return events;
        }
        if state.has_room(&self.shared) {
            events |= WRITABLE;
        } else {
            self.shared.outbox.block(&mut state.gate, self.name);
        }
        events
    }

    fn readable(&self) -> usize {
        self.state.lock().received.len()
    }

    fn unsent(&self) -> usize {
        self.state.lock().gate.bytes as usize
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        let mut state = self.state.lock();
        match state.connection {
            Connection::Failed => return Err(Errno::ENOTCONN),
            Connection::Connecting => {
                drop(state);
                self.close(FLAG_ABORT);
                self.failed(Errno::ECONNRESET);
                return Ok(());
            }
            Connection::Established => {}
        }
        let mut flags = 0;
        if read && !core::mem::replace(&mut state.read_shut, true) {
            flags |= FLAG_READ;
        }
        if write && !core::mem::replace(&mut state.write_shut, true) {
            flags |= FLAG_WRITE;
        }
        drop(state);
        if flags != 0 {
            self.tell(REQ_SHUTDOWN, flags, &[]);
        }
        self.events.notify(OVER);
        Ok(())
    }

    fn set_option(&self, option: StreamOption) -> Result<()> {
        // A connection that is over has nothing to set; Linux takes the value as well.
        if !self.resize(option) && self.connection() != Connection::Failed {
            self.tell(REQ_OPTIONS, 0, &encode(&[option]));
        }
        Ok(())
    }

    fn info(&self) -> Result<Vec<u8>> {
        let mut state = self.state.lock();
        match core::mem::take(&mut state.info) {
            Info::Known(bytes) => return Ok(bytes),
            // Nobody is left to be asked.
            _ if state.connection == Connection::Failed => {
                let mut closed = alloc::vec![0; size_of::<tcp_info>()];
                closed
                    .first_mut()
                    .into_iter()
                    .for_each(|byte| *byte = STATE_CLOSE);
                return Ok(closed);
            }
            Info::Asked => {
                state.info = Info::Asked;
                return Err(Errno::EAGAIN);
            }
            Info::Unknown => state.info = Info::Asked,
        }
        drop(state);
        self.tell(REQ_INFO, 0, &[]);
        Err(Errno::EAGAIN)
    }

    fn abort(&self) {
        self.close(FLAG_ABORT);
        self.failed(Errno::ECONNRESET);
    }
}

impl Drop for ForwardStream {
    fn drop(&mut self) {
        self.shared.forget(self.name);
        // As Linux: what was not read makes close(2) a reset.
        let unread = !self.state.get_mut().received.is_empty();
        self.close(if unread { FLAG_ABORT } else { 0 });
        let state = self.state.get_mut();
        state.received.clear(&self.shared.budget);
        self.shared.outbox.unblock(&mut state.gate);
        self.shared
            .budget
            .reserve(state.receive_window, FIRST_WINDOW);
    }
}
