//! A receive queue: buffers that the device fills, and that go back to it once they have been read.
#![allow(unsafe_code)]

use super::hal::{DirectMap, dma_block};
use super::mmio::{Doorbell, Mmio};
use alloc::collections::VecDeque;
use core::ops::Range;
use core::sync::atomic::{Ordering, fence};
use virtio_drivers::queue::VirtQueue;

/// The most buffers that a queue has.
const BUFFERS: usize = 16;

pub struct RxQueue {
    queue: VirtQueue<DirectMap, BUFFERS>,
    index: u16,
    doorbell: Doorbell,
    memory: &'static mut [u8],
    buffer_size: usize,
    /// Which buffer each token stands for.
    posted: [Option<usize>; BUFFERS],
    /// Buffers that the device has filled, each with its unread part, oldest first.
    filled: VecDeque<(usize, Range<usize>)>,
    /// Something has come since the last `take_news`.
    news: bool,
    unannounced: bool,
}

impl RxQueue {
    /// Sets the queue up, without buffers as yet.
    pub fn new(mmio: &mut Mmio, index: u16) -> virtio_drivers::Result<Self> {
        let queue = VirtQueue::new(mmio, index, false, false)?;
        Ok(Self {
            queue,
            index,
            doorbell: mmio.doorbell(),
            memory: &mut [],
            buffer_size: 0,
            posted: [None; BUFFERS],
            filled: VecDeque::new(),
            news: false,
            unannounced: false,
        })
    }

    /// Takes `pages` of memory, divided into buffers of `buffer_size`, and gives them to the device; the first time only.
    /// Answers whether there was memory for it.
    pub fn start(&mut self, pages: usize, buffer_size: usize) -> bool {
        if self.memory.is_empty() {
            self.memory = dma_block(pages).unwrap_or(&mut []);
            self.buffer_size = buffer_size;
            let count = (self.memory.len() / buffer_size).min(BUFFERS);
            (0..count).for_each(|buffer| self.post(buffer));
        }
        !self.memory.is_empty()
    }

    fn span(&self, buffer: usize) -> Range<usize> {
        buffer * self.buffer_size..(buffer + 1) * self.buffer_size
    }

    fn post(&mut self, buffer: usize) {
        let range = self.span(buffer);
        let Some(span) = self.memory.get_mut(range) else {
            return;
        };
        // SAFETY: the buffer stays in memory that is never freed, and is not touched until `collect` has popped it.
        let Ok(token) = (unsafe { self.queue.add(&[], &mut [span]) }) else {
            return;
        };
        if let Some(slot) = self.posted.get_mut(usize::from(token)) {
            *slot = Some(buffer);
        }
        self.unannounced = true;
    }

    /// Whether there is something to read. Memory reads only.
    pub fn has_data(&self) -> bool {
        !self.filled.is_empty() || self.queue.can_pop()
    }

    /// Whether something has come since the last time.
    pub fn take_news(&mut self) -> bool {
        self.collect();
        core::mem::take(&mut self.news)
    }

    /// How many bytes have come and were not read.
    pub fn available(&mut self) -> usize {
        self.collect();
        self.filled.iter().map(|(_, range)| range.len()).sum()
    }

    /// The unread bytes of the oldest filled buffer; none if nothing has come.
    pub fn unread(&mut self) -> &[u8] {
        self.collect();
        let range = self.filled.front().map_or(0..0, |(_, range)| range.clone());
        self.memory.get(range).unwrap_or(&[])
    }

    /// Marks bytes of `unread` as read. An empty buffer goes back to the device; `kick` tells it.
    pub fn consume(&mut self, count: usize) {
        let Some((buffer, range)) = self.filled.front_mut() else {
            return;
        };
        range.start = range.start.saturating_add(count).min(range.end);
        if range.start == range.end {
            let buffer = *buffer;
            self.filled.pop_front();
            self.post(buffer);
        }
    }

    /// The whole message in the oldest filled buffer is read.
    pub fn consume_all(&mut self) {
        self.consume(usize::MAX);
    }

    /// Takes over what the device has filled.
    fn collect(&mut self) {
        while let Some(token) = self.queue.peek_used() {
            let Some(buffer) = self
                .posted
                .get_mut(usize::from(token))
                .and_then(Option::take)
            else {
                return;
            };
            let range = self.span(buffer);
            let Some(span) = self.memory.get_mut(range.clone()) else {
                return;
            };
            // SAFETY: the slice that was added under this token.
            let Ok(len) = (unsafe { self.queue.pop_used(token, &[], &mut [span]) }) else {
                return;
            };
            let len = (len as usize).min(self.buffer_size);
            if len > 0 {
                self.filled
                    .push_back((buffer, range.start..range.start + len));
                self.news = true;
            } else {
                self.post(buffer);
            }
        }
    }

    /// Whether the device interrupts when something has come. After switching it on the caller must look once more.
    pub fn interrupt(&mut self, on: bool) {
        self.queue.set_dev_notify(on);
        fence(Ordering::SeqCst);
    }

    /// Tells the device about buffers that went back to it, unless it does not wait for any.
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
}
