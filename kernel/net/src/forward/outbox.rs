//! The way to the device: messages in order, and nothing lost when the queue is full.
use super::pool::Pool;
use super::transport::{Request, Transport};
use crate::Result;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use boot_abi::hostnet::{Header, REQUEST_MAX};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use linux_abi::Errno;
use spin::Mutex;

/// What a socket has under way, and whether it is kept from sending more.
#[derive(Default)]
pub struct Gate {
    /// Bytes and messages that the host has not taken yet.
    pub bytes: u32,
    pub messages: u32,
    /// Somebody was told that there is no room.
    blocked: bool,
    /// And the outbox was why, which has its name in a list.
    refused: bool,
}

impl Gate {
    pub fn add(&mut self, bytes: u32) {
        self.bytes += bytes;
        self.messages += 1;
    }

    pub fn remove(&mut self, bytes: u32) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.messages = self.messages.saturating_sub(1);
    }

    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The outbox has taken its name off the list.
    pub fn admit(&mut self) {
        self.refused = false;
    }
}

pub struct Outbox {
    transport: Box<dyn Transport>,
    state: Mutex<State>,
    /// Bytes of messages that may wait for the queue.
    limit: usize,
    /// How many sockets were told that there is no room.
    blocked: AtomicUsize,
    /// Of the messages in `State::waiting`, whose lock changes it: who only looks needs no lock.
    waiting_bytes: AtomicUsize,
}

#[derive(Default)]
struct State {
    pool: Pool,
    /// What the queue had no room for. As long as there is something, everything goes here, to keep the order.
    waiting: VecDeque<Request>,
    /// Sockets that want to hear when there is room.
    refused: VecDeque<u64>,
}

impl Outbox {
    pub fn new(transport: Box<dyn Transport>, limit: usize) -> Self {
        Self {
            transport,
            state: Mutex::default(),
            limit,
            blocked: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
        }
    }

    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// Whether a new socket may be made. `ENOBUFS`: the device is too far behind.
    pub fn admit(&self) -> Result<()> {
        self.transport.start()?;
        if self.waiting_bytes.load(Relaxed) < self.limit {
            Ok(())
        } else {
            Err(Errno::ENOBUFS)
        }
    }

    /// Whether a socket with so many messages under way may send another: it gets at most a quarter of what is free, so that
    /// a few whose peers are slow do not fill the queue. `easily`: an eighth.
    pub fn has_room(&self, messages: u32, easily: bool) -> bool {
        let part = if easily { 8 } else { 4 };
        let waiting = self.waiting_bytes.load(Relaxed);
        if messages == 0 {
            // The first one always finds a place: programs do not expect a socket to be full that they did not fill.
            return waiting < self.limit;
        }
        waiting == 0 && messages as usize <= self.transport.room() / part
    }

    /// A socket with so many messages under way was told that there is no room: it will hear when there is.
    pub fn block(&self, gate: &mut Gate, socket: u64) {
        if !core::mem::replace(&mut gate.blocked, true) {
            self.blocked.fetch_add(1, Relaxed);
        }
        // With messages under way it hears when they are done.
        if gate.messages == 0
            && !self.has_room(0, true)
            && !core::mem::replace(&mut gate.refused, true)
        {
            self.state.lock().refused.push_back(socket);
        }
    }

    /// The socket is told that there is room, or is gone. False: nobody had asked.
    pub fn unblock(&self, gate: &mut Gate) -> bool {
        let blocked = core::mem::take(&mut gate.blocked);
        self.blocked.fetch_sub(blocked.into(), Relaxed);
        blocked
    }

    /// Whether somebody waits for the device to do what it was told.
    pub fn is_crowded(&self) -> bool {
        self.blocked.load(Relaxed) > 0 || self.waiting_bytes.load(Relaxed) > 0
    }

    fn has_refused(&self) -> bool {
        !self.state.lock().refused.is_empty()
    }

    /// A message with room for `payload` bytes, its header written.
    pub fn prepare(&self, header: Header) -> Result<Request> {
        let len = Header::SIZE + header.length as usize;
        if len > REQUEST_MAX {
            return Err(Errno::EMSGSIZE);
        }
        let buffer = self.state.lock().pool.take(len)?;
        Ok(Request::new(buffer, header))
    }

    /// Sends a message, now or when there is room. `announce`: the last one for now; without it `kick` announces it.
    pub fn post(&self, request: Request, announce: bool) {
        let mut state = self.state.lock();
        let refused = if state.waiting.is_empty() {
            self.transport.submit(request, announce).err()
        } else {
            Some(request)
        };
        if let Some(request) = refused {
            self.waiting_bytes.fetch_add(request.buffer.len(), Relaxed);
            state.waiting.push_back(request);
            // Those before it may not have been announced.
            if announce {
                self.transport.kick();
            }
        }
    }

    pub fn kick(&self) {
        self.transport.kick();
    }

    /// Sends a short message made of `parts`. It is never lost.
    pub fn tell(&self, kind: u16, flags: u16, socket: u64, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len()).sum();
        let header = Header::new(kind, socket, length).with_flags(flags);
        let mut request = self.prepare(header).unwrap_or_else(|_| {
            // As any small object; where there is none left for it, the kernel ends.
            Request::new(vec![0; Header::SIZE + length].into(), header)
        });
        request.fill(parts);
        self.post(request, true);
    }

    /// A message was carried out, or will not be sent.
    pub fn recycle(&self, request: Request) {
        self.state.lock().pool.give(request.buffer);
    }

    /// Sends what was waiting, as far as there is room now.
    pub fn flush(&self) {
        let mut state = self.state.lock();
        let mut sent = false;
        while self.transport.room() > 0 {
            let Some(request) = state.waiting.pop_front() else {
                break;
            };
            let size = request.buffer.len();
            if let Err(request) = self.transport.submit(request, false) {
                state.waiting.push_front(request);
                break;
            }
            self.waiting_bytes.fetch_sub(size, Relaxed);
            sent = true;
        }
        drop(state);
        if sent {
            self.kick();
        }
    }

    /// The next of those who were refused, if there is room now.
    pub fn next_refused(&self) -> Option<u64> {
        if self.has_refused() && self.has_room(0, true) {
            self.state.lock().refused.pop_front()
        } else {
            None
        }
    }
}

impl Request {
    fn new(mut buffer: Box<[u8]>, header: Header) -> Self {
        if let Some(place) = buffer.first_chunk_mut() {
            *place = header.to_bytes();
        }
        Self {
            buffer,
            len: Header::SIZE + header.length as usize,
            socket: header.socket,
            charge: None,
        }
    }

    /// The place for the payload.
    pub(super) fn payload(&mut self) -> &mut [u8] {
        self.buffer
            .get_mut(Header::SIZE..self.len)
            .unwrap_or(&mut [])
    }

    /// Writes the payload, or its beginning; answers the rest.
    pub(super) fn fill(&mut self, parts: &[&[u8]]) -> &mut [u8] {
        let mut rest = self.payload();
        for part in parts {
            let Some((place, after)) = core::mem::take(&mut rest).split_at_mut_checked(part.len())
            else {
                return &mut [];
            };
            place.copy_from_slice(part);
            rest = after;
        }
        rest
    }
}
