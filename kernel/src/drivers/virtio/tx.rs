//! A transmit queue: a ring of bytes that the device reads, several buffers at a time, without anyone waiting for it.
#![allow(unsafe_code)]

use super::hal::{DirectMap, dma_block};
use super::mmio::{Doorbell, Mmio};
use alloc::collections::VecDeque;
use core::ops::Range;
use core::sync::atomic::{Ordering, fence};
use virtio_drivers::queue::VirtQueue;

/// A part of the ring that the device has, or has given back before an older one.
struct Chunk {
    token: u16,
    bytes: Range<usize>,
    done: bool,
}

/// `BUFFERS`: how many buffers the device may hold at a time.
pub struct TxQueue<const BUFFERS: usize> {
    queue: VirtQueue<DirectMap, BUFFERS>,
    index: u16,
    doorbell: Doorbell,
    ring: &'static mut [u8],
    /// Where the next byte goes.
    head: usize,
    /// How many bytes belong to chunks.
    in_flight: usize,
    /// Oldest first, which is the order in which their bytes become free.
    chunks: VecDeque<Chunk>,
    unannounced: bool,
}

impl<const BUFFERS: usize> TxQueue<BUFFERS> {
    /// Sets the queue up, without a ring as yet. The device does not interrupt for it until asked.
    pub fn new(mmio: &mut Mmio, index: u16) -> virtio_drivers::Result<Self> {
        let mut queue = VirtQueue::new(mmio, index, false, false)?;
        queue.set_dev_notify(false);
        Ok(Self {
            queue,
            index,
            doorbell: mmio.doorbell(),
            ring: &mut [],
            head: 0,
            in_flight: 0,
            chunks: VecDeque::with_capacity(BUFFERS),
            unannounced: false,
        })
    }

    /// Gives the queue its ring. Answers whether there was memory for it.
    pub fn open(&mut self, pages: usize) -> bool {
        if self.ring.is_empty() {
            self.ring = dma_block(pages).unwrap_or(&mut []);
        }
        !self.ring.is_empty()
    }

    pub fn capacity(&self) -> usize {
        self.ring.len()
    }

    /// How many bytes could be pushed now. Memory reads only.
    pub fn space(&mut self) -> usize {
        self.reclaim();
        // One buffer is kept back: a push that wraps around takes two.
        if self.chunks.len() + 1 < BUFFERS {
            self.ring.len() - self.in_flight
        } else {
            0
        }
    }

    pub fn is_empty(&mut self) -> bool {
        self.in_flight() == 0
    }

    /// How many bytes the device has not consumed yet.
    pub fn in_flight(&mut self) -> usize {
        self.reclaim();
        self.in_flight
    }

    /// Lets `fill` put up to `max` bytes into the ring; it gets one slice or, at the ring's end, two after each other. Answers
    /// how many were put.
    pub fn push<E>(
        &mut self,
        max: usize,
        mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let total = max.min(self.space());
        let mut left = total;
        while left > 0 {
            let range = self.head..(self.head + left).min(self.ring.len());
            let Some(span) = self.ring.get_mut(range.clone()) else {
                break;
            };
            fill(span)?;
            left -= range.len();
            self.submit(range);
        }
        Ok(total - left)
    }

    fn submit(&mut self, bytes: Range<usize>) {
        let Some(span) = self.ring.get(bytes.clone()) else {
            return;
        };
        // SAFETY: the bytes stay in the ring, which is never freed, and are not written until `reclaim` has popped them.
        let added = unsafe { self.queue.add(&[span], &mut []) };
        // `space` has seen that a descriptor is free; were there none, the bytes would be dropped.
        let Ok(token) = added else { return };
        self.head = if bytes.end == self.ring.len() {
            0
        } else {
            bytes.end
        };
        self.in_flight += bytes.len();
        self.chunks.push_back(Chunk {
            token,
            bytes,
            done: false,
        });
        self.unannounced = true;
    }

    /// Tells the device about what was pushed, unless it is looking anyway.
    pub fn kick(&mut self) {
        if !core::mem::take(&mut self.unannounced) {
            return;
        }
        // The index must be visible before the device's flag is read, or both sides could go to sleep.
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            self.doorbell.ring(self.index);
        }
    }

    /// Takes back what the device has consumed.
    fn reclaim(&mut self) {
        while let Some(token) = self.queue.peek_used() {
            let Some(chunk) = self
                .chunks
                .iter_mut()
                .find(|chunk| chunk.token == token && !chunk.done)
            else {
                return;
            };
            let Some(span) = self.ring.get(chunk.bytes.clone()) else {
                return;
            };
            // SAFETY: the slice that was added under this token.
            if unsafe { self.queue.pop_used(token, &[span], &mut []) }.is_err() {
                return;
            }
            chunk.done = true;
        }
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| chunk.done) {
            self.in_flight -= chunk.bytes.len();
        }
    }

    /// Whether the device interrupts when it has consumed something. After switching it on the caller must look once more.
    pub fn interrupt(&mut self, on: bool) {
        self.queue.set_dev_notify(on);
        fence(Ordering::SeqCst);
    }
}
