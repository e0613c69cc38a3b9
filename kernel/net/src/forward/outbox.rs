//! The way to the device: messages in order, and nothing lost when the queue is full.
use super::pool::Pool;
use super::transport::{Request, Transport};
use crate::Result;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use boot_abi::hostnet::{Header, REQUEST_MAX};
use linux_abi::Errno;
use spin::Mutex;

/// When so many messages wait for the queue, no new sockets are made.
const CROWDED: usize = 4096;

pub struct Outbox {
    transport: Box<dyn Transport>,
    state: Mutex<State>,
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
    pub fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            state: Mutex::default(),
        }
    }

    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// Whether a new socket may be made. `ENOBUFS`: the device is too far behind.
    pub fn admit(&self) -> Result<()> {
        self.transport.start()?;
        if self.state.lock().waiting.len() < CROWDED {
            Ok(())
        } else {
            Err(Errno::ENOBUFS)
        }
    }

    /// Whether data would be taken now.
    pub fn has_room(&self) -> bool {
        self.transport.room() > 0 && self.state.lock().waiting.is_empty()
    }

    /// Whether a socket with so many messages under way may send another: it gets at most a quarter of what is free, so that
    /// a few whose peers are slow do not fill the queue. `easily`: an eighth.
    pub fn has_share(&self, messages: u32, easily: bool) -> bool {
        let part = if easily { 8 } else { 4 };
        messages as usize <= self.transport.room() / part
    }

    /// `socket` will hear when there is room.
    pub fn remember(&self, socket: u64) {
        self.state.lock().refused.push_back(socket);
    }

    /// Whether somebody waits for the device to do what it was told.
    pub fn is_crowded(&self) -> bool {
        let state = self.state.lock();
        !state.waiting.is_empty() || !state.refused.is_empty()
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

    /// Sends a message, now or when there is room. `kick` announces it.
    pub fn post(&self, request: Request) {
        let mut state = self.state.lock();
        if state.waiting.is_empty() {
            if let Err(request) = self.transport.submit(request) {
                state.waiting.push_back(request);
            }
        } else {
            state.waiting.push_back(request);
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
        self.post(request);
        self.kick();
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
            if let Err(request) = self.transport.submit(request) {
                state.waiting.push_front(request);
                break;
            }
            sent = true;
        }
        drop(state);
        if sent {
            self.kick();
        }
    }

    /// The next of those who were refused, if there is room now.
    pub fn next_refused(&self) -> Option<u64> {
        if self.has_room() {
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
