//! `SOCK_STREAM`: bytes, with files and credentials attached to some of them.
use super::ancillary;
use super::endpoint::{Endpoint, Phase, READABLE, State};
use super::flight::Flight;
use crate::Result;
use crate::env::{Env, Ucred};
use crate::message::{Outgoing, Received};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::Errno;
use linux_abi::raw::net::{MSG_OOB, MSG_PEEK};
use vfs::{ByteQueue, File, Sink};

/// Bytes that carry files, or that another sender wrote than those before.
struct Mark {
    /// Positions in the stream.
    start: u64,
    end: u64,
    credentials: Ucred,
    flight: Option<Flight>,
}

/// What one end has still to read.
pub(super) struct Stream {
    bytes: ByteQueue,
    /// The position of the first of `bytes`.
    position: u64,
    /// In order.
    marks: VecDeque<Mark>,
    /// Who wrote the first of `bytes`, unless there is a mark at it.
    credentials: Ucred,
}

/// What one receive may take.
struct Share {
    max: usize,
    credentials: Ucred,
}

impl Stream {
    pub const fn new() -> Self {
        Self {
            // What a sender may have in here is the sender's limit.
            bytes: ByteQueue::new(usize::MAX),
            position: 0,
            marks: VecDeque::new(),
            credentials: Ucred {
                pid: 0,
                uid: 0,
                gid: 0,
            },
        }
    }

    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The files in here.
    pub fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.marks.iter().filter_map(|mark| mark.flight.as_ref())
    }

    fn mark(&mut self, count: usize, credentials: Ucred, flight: Option<Flight>) {
        let last = self.marks.back().map(|mark| mark.credentials);
        if flight.is_none() && last.unwrap_or(self.credentials) == credentials {
            return;
        }
        let end = self.position + self.bytes.len() as u64;
        self.marks.push_back(Mark {
            start: end - count as u64,
            end,
            credentials,
            flight,
        });
    }

    /// A receive stops behind bytes with files, and, if it tells credentials, at another sender's bytes.
    fn share(&self, room: usize, by_sender: bool) -> Share {
        let mut max = room.min(self.bytes.len());
        let mut credentials = self.credentials;
        for mark in &self.marks {
            let before = (mark.start - self.position) as usize;
            if before >= max {
                break;
            }
            if before == 0 {
                credentials = mark.credentials;
            } else if by_sender && mark.credentials != credentials {
                max = before;
                break;
            }
            if mark.flight.is_some() {
                max = max.min((mark.end - self.position) as usize);
                break;
            }
        }
        Share { max, credentials }
    }

    /// Copies of the files that come with the first `count` bytes.
    fn peek_files(&self, count: usize) -> Vec<Arc<File>> {
        let end = self.position + count as u64;
        let reached = self.marks.iter().take_while(|mark| mark.start < end);
        let flights = reached.filter_map(|mark| mark.flight.as_ref());
        flights.flat_map(Flight::copy).collect()
    }

    /// `count` bytes have left: so do their marks.
    fn advance(&mut self, count: usize) -> Vec<Arc<File>> {
        self.position += count as u64;
        let mut files = Vec::new();
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.start < self.position) {
            self.credentials = mark.credentials;
            files.extend(mark.flight.map(Flight::land).into_iter().flatten());
        }
        files
    }
}

impl Endpoint {
    pub fn send_bytes(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize> {
        if message.flags & MSG_OOB != 0 {
            env.unsupported_part("MSG_OOB of Unix sockets");
            return Err(Errno::EOPNOTSUPP);
        }
        let credentials = ancillary::check(self, &message.control, env)?;
        let peer = self.stream_peer(message)?;
        let wanted = message.source.remaining();
        if wanted == 0 {
            return Ok(0);
        }
        let count = {
            let mut theirs = peer.state.lock();
            if theirs.is_dead || theirs.shut_read {
                return Err(Errno::EPIPE);
            }
            let room = self.send_limit.load(Relaxed);
            let room = room.saturating_sub(theirs.stream.len());
            if room == 0 {
                return Err(Errno::EAGAIN);
            }
            let count = theirs.stream.bytes.put(message.source, room)?;
            let flight = ancillary::take_files(self, &mut message.control);
            theirs.stream.mark(count, credentials, flight);
            count
        };
        peer.waiters.notify(READABLE);
        Ok(count)
    }

    fn stream_peer(&self, message: &Outgoing<'_>) -> Result<Arc<Self>> {
        let state = self.state.lock();
        if message.to.is_some() {
            return Err(match state.phase {
                Phase::Connected => Errno::EISCONN,
                _ => Errno::EOPNOTSUPP,
            });
        }
        let peer = state.peer.clone().ok_or(Errno::ENOTCONN)?;
        if state.shut_write {
            return Err(Errno::EPIPE);
        }
        Ok(peer)
    }

    pub fn receive_bytes(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received> {
        let by_sender = self.passes_credentials.load(Relaxed);
        let peek = flags & MSG_PEEK != 0;
        let mut state = self.state.lock();
        if state.phase != Phase::Connected || flags & MSG_OOB != 0 {
            return Err(Errno::EINVAL);
        }
        if state.stream.is_empty() {
            return end_of_stream(&mut state);
        }
        let peer = state.peer.clone();
        let stream = &mut state.stream;
        let before = stream.len();
        let share = stream.share(sink.remaining(), by_sender);
        let (count, files) = if peek {
            let count = stream.bytes.peek(sink, share.max)?;
            (count, stream.peek_files(count))
        } else {
            let count = stream.bytes.take(sink, share.max)?;
            (count, stream.advance(count))
        };
        let left = stream.len();
        drop(state);
        let mut received = Received {
            count,
            full_length: count,
            ..Received::default()
        };
        ancillary::deliver(self, &mut received, share.credentials, files);
        if let Some(peer) = peer {
            received.from = peer.name.get().map(|_| peer.address());
            peer.acknowledge(before, left);
        }
        Ok(received)
    }
}

/// What a read of an empty stream answers.
fn end_of_stream(state: &mut State) -> Result<Received> {
    if let Some(error) = state.error.take() {
        Err(error)
    } else if state.shut_read {
        Ok(Received::default())
    } else {
        Err(Errno::EAGAIN)
    }
}
