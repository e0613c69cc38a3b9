//! A receive queue: buffers that the device fills, and that go back to it once they have been read.
#![allow(unsafe_code)]

use super::hal::{DirectMap, dma_block};
use super::mmio::{Doorbell, Mmio};
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
    /// The buffer being read and its unread part.
    current: Option<(usize, Range<usize>)>,
    unannounced: bool,
    started: bool,
}

impl RxQueue {
    /// Sets the queue up with `pages` of memory, divided into buffers of `buffer_size`. The device gets none before `start`.
    pub fn new(mmio: &mut Mmio, index: u16, pages: usize, buffer_size: usize) -> virtio_drivers::Result<Self> {
        let queue = VirtQueue::new(mmio, index, false, false)?;
        let memory = dma_block(pages).ok_or(virtio_drivers::Error::DmaError)?;
        Ok(Self { queue, index, doorbell: mmio.doorbell(), memory, buffer_size, posted: [None; BUFFERS], current: None, unannounced: false, started: false })
    }

    /// Gives all buffers to the device; the first time only.
    pub fn start(&mut self) {
        if !core::mem::replace(&mut self.started, true) {
            let count = (self.memory.len() / self.buffer_size).min(BUFFERS);
            (0..count).for_each(|buffer| self.post(buffer));
        }
    }

    fn span(&self, buffer: usize) -> Range<usize> {
        buffer * self.buffer_size..(buffer + 1) * self.buffer_size
    }

    fn post(&mut self, buffer: usize) {
        let range = self.span(buffer);
        let Some(span) = self.memory.get_mut(range) else { return };
        // SAFETY: the buffer stays in memory that is never freed, and is not touched until `advance` has popped it.
        let Ok(token) = (unsafe { self.queue.add(&[], &mut [span]) }) else { return };
        if let Some(slot) = self.posted.get_mut(usize::from(token)) {
            *slot = Some(buffer);
        }
        self.unannounced = true;
    }

    /// Whether there is something to read. Memory reads only.
    pub fn has_data(&self) -> bool {
        self.current.is_some() || self.queue.can_pop()
    }

    /// How many bytes the buffer at hand still has.
    pub fn available(&mut self) -> usize {
        self.unread().len()
    }

    /// The unread bytes of the oldest filled buffer; none if nothing has come.
    pub fn unread(&mut self) -> &[u8] {
        if self.current.is_none() {
            self.advance();
        }
        let range = self.current.as_ref().map_or(0..0, |(_, range)| range.clone());
        self.memory.get(range).unwrap_or(&[])
    }

    /// Marks bytes of `unread` as read. An empty buffer goes back to the device; `kick` tells it.
    pub fn consume(&mut self, count: usize) {
        let Some((buffer, range)) = &mut self.current else { return };
        range.start = (range.start + count).min(range.end);
        if range.start == range.end {
            let buffer = *buffer;
            self.current = None;
            self.post(buffer);
        }
    }

    /// The whole message in the oldest filled buffer is read.
    pub fn consume_all(&mut self) {
        self.consume(usize::MAX >> 1);
    }

    fn advance(&mut self) {
        while let Some(token) = self.queue.peek_used() {
            let Some(buffer) = self.posted.get_mut(usize::from(token)).and_then(Option::take) else { return };
            let range = self.span(buffer);
            let Some(span) = self.memory.get_mut(range.clone()) else { return };
            // SAFETY: the slice that was added under this token.
            let Ok(len) = (unsafe { self.queue.pop_used(token, &[], &mut [span]) }) else { return };
            let len = (len as usize).min(self.buffer_size);
            if len > 0 {
                self.current = Some((buffer, range.start..range.start + len));
                return;
            }
            self.post(buffer);
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
