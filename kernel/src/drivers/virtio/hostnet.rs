//! The socket device's rings. What the messages mean is `net::forward`'s business; the contract is `boot_abi::hostnet`.
//!
//! `drivers::network` says when to look at them.
#![allow(unsafe_code)]

use super::find_by_id;
use super::hal::{DirectMap, dma_block};
use super::mmio::{Doorbell, Mmio};
use crate::drivers::ioapic;
use crate::mm::frame;
use crate::mm::layout::PAGE;
use crate::notice;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use boot_abi::hostnet::{
    DEVICE_ID, EVENT_BUFFER_MIN, QUEUE_EVENTS, QUEUE_REQUESTS, QUEUE_SIZE, USED_KEPT,
};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use linux_abi::Errno;
use net::forward::{EventBuffer, Forward, Request, Transport};
use spin::{Mutex, Once};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, Transport as _};

/// Messages under way.
const REQUESTS: usize = QUEUE_SIZE as usize;
/// Event buffers.
const EVENTS: usize = 64;
/// Messages that were carried out and wait for the next look.
const DONE_MAX: usize = 4 * REQUESTS;
/// Of all event buffers together.
const EVENT_BYTES_MAX: u64 = 4 << 20;
/// They take at most this part of the memory.
const EVENT_BYTES_PART: u64 = 64;
/// Fewer make no sense.
const EVENT_BUFFERS_MIN: usize = 4;
/// Buffers to look at before the caller goes on.
const LOOK_MAX: usize = REQUESTS;

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const VERSION_1 = 1 << 32;
    }
}

/// A queue with what lies in it.
struct Ring<T, const SIZE: usize> {
    queue: Box<VirtQueue<DirectMap, SIZE>>,
    index: u16,
    doorbell: Doorbell,
    /// By token.
    posted: Vec<Option<T>>,
    unannounced: bool,
    /// The device has given back what it does not have.
    told_broken: AtomicBool,
}

impl<T, const SIZE: usize> Ring<T, SIZE> {
    /// Not inlined: the queue is several KiB large until it is on the heap, and the stack has 32.
    #[inline(never)]
    fn new(mmio: &mut Mmio, index: u16) -> Result<Self, &'static str> {
        let mut queue = match VirtQueue::new(mmio, index, false, false) {
            Ok(queue) => Box::new(queue),
            Err(_) => return Err("its queues cannot be set up"),
        };
        queue.set_dev_notify(false);
        Ok(Self {
            queue,
            index,
            doorbell: mmio.doorbell(),
            posted: (0..SIZE).map(|_| None).collect(),
            unannounced: false,
            told_broken: AtomicBool::new(false),
        })
    }

    fn keep(&mut self, token: u16, what: T) {
        if let Some(slot) = self.posted.get_mut(usize::from(token)) {
            *slot = Some(what);
        }
        self.unannounced = true;
    }

    /// What the device has given back next, with its token. A token that it does not have is the end of its work.
    fn next(&mut self) -> Option<(u16, T)> {
        let token = self.queue.peek_used()?;
        let what = self
            .posted
            .get_mut(usize::from(token))
            .and_then(Option::take);
        if what.is_none() {
            notice::once(
                &self.told_broken,
                "the socket device does not work any more: it gives back what it does not have",
            );
        }
        what.map(|what| (token, what))
    }

    fn kick(&mut self) {
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

/// The messages for the device.
struct Requests {
    ring: Ring<Request, REQUESTS>,
    /// Given back, with the used length; whoever sent them does not know yet. Telling them is not possible in the middle of sending.
    done: VecDeque<(Request, u32)>,
}

impl Requests {
    /// The next message that the device has given back, with the used length.
    fn next_done(&mut self) -> Option<(Request, u32)> {
        let (token, request) = self.ring.next()?;
        // SAFETY: the message that was added under this token.
        let popped = unsafe { self.ring.queue.pop_used(token, &[request.bytes()], &mut []) };
        popped.ok().map(|used| (request, used))
    }

    /// Takes back what the device has carried out, when places get few.
    fn make_room(&mut self) {
        if self.ring.queue.available_desc() >= REQUESTS / 4 {
            return;
        }
        while self.done.len() < DONE_MAX
            && let Some(back) = self.next_done()
        {
            self.done.push_back(back);
        }
    }
}

/// The event buffers: one block, which is never freed.
struct Block {
    base: *mut u8,
    count: usize,
}

// SAFETY: each buffer in the block belongs to the device or to one `Filled`.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    fn new() -> Option<Self> {
        let (_, total) = frame::counts();
        let mut bytes = (total * PAGE / EVENT_BYTES_PART).min(EVENT_BYTES_MAX) as usize;
        while bytes >= EVENT_BUFFERS_MIN * EVENT_BUFFER_MIN {
            if let Some(block) = dma_block(bytes / PAGE as usize) {
                return Some(Self {
                    base: block.as_mut_ptr(),
                    count: (block.len() / EVENT_BUFFER_MIN).min(EVENTS),
                });
            }
            bytes /= 2;
        }
        None
    }

    /// # Safety
    /// The buffer must not be with the device, nor its bytes be in use.
    unsafe fn buffer(&self, index: u16) -> &'static mut [u8] {
        // SAFETY: inside the block, since only its indices are given out; exclusive, as the caller says.
        unsafe {
            core::slice::from_raw_parts_mut(
                self.base.add(usize::from(index) * EVENT_BUFFER_MIN),
                EVENT_BUFFER_MIN,
            )
        }
    }
}

struct Device {
    gsi: u8,
    requests: Mutex<Requests>,
    events: Mutex<Ring<u16, EVENTS>>,
    block: Block,
    /// Event buffers that are not with the device.
    held: AtomicUsize,
    /// The device may interrupt.
    interrupts: AtomicBool,
}

static DEVICE: Once<Option<Device>> = Once::new();
static FORWARD: Once<Arc<Forward>> = Once::new();

/// Who gets to hear what the device says.
pub fn attach(forward: Arc<Forward>) {
    FORWARD.call_once(|| forward);
}

fn device() -> Option<&'static Device> {
    DEVICE.get()?.as_ref()
}

/// Finds the device and sets it up; at the first use, since each register access may be an exit.
fn start() -> Option<Device> {
    let Some((mmio, gsi)) = find_by_id(DEVICE_ID) else {
        say!("there is no socket device: the network cannot be reached");
        return None;
    };
    Device::new(mmio, gsi)
        .inspect_err(|why| say!("the socket device does not work: {why}"))
        .ok()
}

impl Device {
    fn new(mut mmio: Mmio, gsi: u8) -> Result<Self, &'static str> {
        let block = Block::new().ok_or("there is no memory for its buffers")?;
        mmio.begin_init(Features::all());
        if !mmio.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err("it refuses its driver");
        }
        let requests = Ring::new(&mut mmio, QUEUE_REQUESTS)?;
        let events = Ring::new(&mut mmio, QUEUE_EVENTS)?;
        mmio.finish_init();
        if !ioapic::enable(gsi) {
            return Err("its interrupt line has no vector");
        }
        let device = Self {
            gsi,
            requests: Mutex::new(Requests {
                ring: requests,
                done: VecDeque::new(),
            }),
            events: Mutex::new(events),
            held: AtomicUsize::new(block.count),
            interrupts: AtomicBool::new(false),
            block,
        };
        (0..device.block.count).for_each(|index| device.post(index as u16));
        device.events.lock().kick();
        Ok(device)
    }

    /// Gives an event buffer to the device.
    fn post(&self, index: u16) {
        let mut events = self.events.lock();
        // SAFETY: new, or its `Filled` is gone; from here on it is the device's until `fill` has popped it.
        let added = unsafe { events.queue.add(&[], &mut [self.block.buffer(index)]) };
        // There are no more buffers than places.
        if let Ok(token) = added {
            events.keep(token, index);
            self.held.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The next buffer that the device has filled.
    fn filled(&'static self) -> Option<Filled> {
        let mut events = self.events.lock();
        let (token, index) = events.next()?;
        // SAFETY: the buffer that was added under this token; the device has given it back.
        let popped = unsafe {
            events
                .queue
                .pop_used(token, &[], &mut [self.block.buffer(index)])
        };
        let len = popped.unwrap_or(0) as usize;
        self.held.fetch_add(1, Ordering::Relaxed);
        Some(Filled {
            device: self,
            index,
            len: len.min(EVENT_BUFFER_MIN),
        })
    }

    fn submit(&self, request: Request, announce: bool) -> Result<(), Request> {
        let mut requests = self.requests.lock();
        requests.make_room();
        // SAFETY: the message lies on the heap, which is in the direct map; it is kept, untouched, until `next_done` has popped it.
        match unsafe { requests.ring.queue.add(&[request.bytes()], &mut []) } {
            Ok(token) => {
                requests.ring.keep(token, request);
                if announce {
                    requests.ring.kick();
                }
                Ok(())
            }
            Err(_) => Err(request),
        }
    }

    fn room(&self) -> usize {
        let mut requests = self.requests.lock();
        requests.make_room();
        requests.ring.queue.available_desc()
    }

    /// The next message that the device has given back, with what it says of it.
    fn done(&self) -> Option<(Request, u32)> {
        let mut requests = self.requests.lock();
        requests.done.pop_front().or_else(|| requests.next_done())
    }

    fn has_news(&self) -> bool {
        if self.events.lock().queue.can_pop() {
            return true;
        }
        let requests = self.requests.lock();
        !requests.done.is_empty() || requests.ring.queue.can_pop()
    }

    /// Hands on the messages that the device has given back.
    fn take_back(&self, forward: &Forward) -> bool {
        let mut found = false;
        while let Some((request, used)) = self.done() {
            found = true;
            if used == USED_KEPT {
                forward.kept(request);
            } else {
                forward.completed(request);
            }
        }
        found
    }

    /// Takes what the device has done and said, and hands it on. Answers whether there was anything.
    fn look(&'static self, forward: &Forward) -> bool {
        let mut found = self.take_back(forward);
        for filled in core::iter::from_fn(|| self.filled()).take(LOOK_MAX) {
            // What it says may be about messages that were given back after the look above.
            self.take_back(forward);
            forward.receive(&(Arc::new(filled) as Arc<dyn EventBuffer>));
            found = true;
        }
        found
    }

    fn interrupt(&self, on: bool, forward: &Forward) {
        if !self.interrupts.swap(on, Ordering::Relaxed) && !on {
            return;
        }
        self.events.lock().queue.set_dev_notify(on);
        // That messages were carried out matters only to who waits for it.
        let requests = on && forward.is_crowded();
        self.requests.lock().ring.queue.set_dev_notify(requests);
        fence(Ordering::SeqCst);
    }
}

/// A buffer with events.
struct Filled {
    device: &'static Device,
    index: u16,
    len: usize,
}

impl EventBuffer for Filled {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is this object's until it is dropped, and nobody writes to it.
        let buffer: &[u8] = unsafe { self.device.block.buffer(self.index) };
        buffer.get(..self.len).unwrap_or(&[])
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.device.post(self.index);
        self.device.events.lock().kick();
    }
}

/// Hands on what the device has done and said. Answers whether there was anything.
pub fn look() -> bool {
    match (device(), FORWARD.get()) {
        (Some(device), Some(forward)) => device.look(forward),
        _ => false,
    }
}

/// Whether there is something to hand on.
pub fn has_news() -> bool {
    device().is_some_and(Device::has_news)
}

/// Whether the device interrupts. After switching it on the caller must look once more.
pub fn interrupt(on: bool) {
    if let (Some(device), Some(forward)) = (device(), FORWARD.get()) {
        device.interrupt(on, forward);
    }
}

/// The device's interrupt line, once it is in use.
pub fn gsi() -> Option<u8> {
    device().map(|device| device.gsi)
}

/// The rings, for `net::forward`.
pub struct Hostnet;

impl Transport for Hostnet {
    fn start(&self) -> net::Result<()> {
        DEVICE
            .call_once(start)
            .as_ref()
            .map(|_| ())
            .ok_or(Errno::ENETDOWN)
    }

    fn submit(&self, request: Request, announce: bool) -> Result<(), Request> {
        match device() {
            Some(device) => device.submit(request, announce),
            None => Err(request),
        }
    }

    fn kick(&self) {
        if let Some(device) = device() {
            device.requests.lock().ring.kick();
        }
    }

    fn room(&self) -> usize {
        device().map_or(0, Device::room)
    }

    fn held_buffers(&self) -> (usize, usize) {
        device().map_or((0, 0), |device| {
            (device.held.load(Ordering::Relaxed), device.block.count)
        })
    }
}
