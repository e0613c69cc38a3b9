//! What is in a pipe: bytes, and where packets (`O_DIRECT`) begin and end among them.
use super::PIPE_BUF;
use crate::Result;
use crate::bytes::ByteQueue;
use crate::io::{Sink, Source};
use alloc::collections::VecDeque;
use linux_abi::Errno;

/// A packet, and how many bytes that belong to none lie between the one before and it.
struct Packet {
    before: usize,
    len: usize,
}

impl Packet {
    /// Each takes a page of the pipe's room.
    fn wasted(&self) -> usize {
        PIPE_BUF - self.len
    }
}

pub(super) struct Store {
    bytes: ByteQueue,
    packets: VecDeque<Packet>,
    /// Bytes behind the last packet.
    after: usize,
    /// The sum of what packets waste.
    wasted: usize,
}

impl Store {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            bytes: ByteQueue::new(capacity),
            packets: VecDeque::new(),
            after: 0,
            wasted: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.limit()
    }

    /// `EBUSY` if what is there does not fit.
    pub(super) fn set_capacity(&mut self, capacity: usize) -> Result<()> {
        if capacity < self.bytes.len() + self.wasted {
            return Err(Errno::EBUSY);
        }
        self.bytes.set_limit(capacity);
        Ok(())
    }

    pub(super) fn room(&self) -> usize {
        self.bytes.room().saturating_sub(self.wasted)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
        (self.after, self.wasted) = (0, 0);
    }

    /// Takes bytes as far as there is room.
    pub(super) fn put(&mut self, source: &mut dyn Source, max: usize) -> Result<usize> {
        let count = self.bytes.put(source, max.min(self.room()))?;
        self.after += count;
        Ok(count)
    }

    /// Takes packets as far as there is room, each as large as can be.
    pub(super) fn put_packets(&mut self, source: &mut dyn Source) -> Result<usize> {
        let mut done = 0;
        while source.remaining() > 0 && self.room() >= PIPE_BUF {
            match self.bytes.put(source, PIPE_BUF) {
                Ok(0) => break,
                Ok(len) => {
                    let before = core::mem::take(&mut self.after);
                    let packet = Packet { before, len };
                    self.wasted += packet.wasted();
                    self.packets.push_back(packet);
                    done += len;
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Gives out bytes, at most up to the end of the first packet, of which what has no room is lost.
    pub(super) fn take(&mut self, sink: &mut dyn Sink) -> Result<usize> {
        let Some(first) = self.packets.front_mut() else {
            let count = self.bytes.take(sink, usize::MAX)?;
            self.after -= count;
            return Ok(count);
        };
        let count = self.bytes.take(sink, first.before)?;
        first.before -= count;
        if first.before > 0 || sink.remaining() == 0 {
            return Ok(count);
        }
        let taken = match self.bytes.peek(sink, first.len) {
            Err(error) if count == 0 => return Err(error),
            // What came before a bad address counts.
            Err(_) => return Ok(count),
            Ok(taken) => taken,
        };
        self.bytes.discard(first.len);
        self.wasted -= first.wasted();
        self.packets.pop_front();
        Ok(count + taken)
    }

    /// The same without taking anything out and without minding packets.
    pub(super) fn peek(&self, sink: &mut dyn Sink) -> Result<usize> {
        self.bytes.peek(sink, usize::MAX)
    }
}
