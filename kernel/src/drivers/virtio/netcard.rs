//! The virtio network card: frames in and out. What they mean is `net::stack`'s business.
//!
//! `drivers::network` says when to look at it. Event indices are not negotiated: the queue of `virtio-drivers` compares them
//! without regard to their wrapping around, and the flags do what is needed.
#![allow(unsafe_code)]

use super::find_with_gsi;
use super::hal::{DirectMap, dma_block};
use super::mmio::{Doorbell, Mmio};
use crate::drivers::ioapic;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering, fence};
use net::stack::{Arrival, Features as CardFeatures, Link, Offload, Stack};
use spin::Once;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

const SIZE: usize = 256;
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
/// `struct virtio_net_hdr` of version 1.
const HEADER: usize = 12;
const ETHERNET_HEADER: usize = 14;
/// A received frame takes as many buffers as it needs.
const BUFFER: usize = 4096;
const RECEIVE_PAGES: usize = SIZE;
const TRANSMIT_PAGES: usize = 128;
const DEFAULT_MTU: usize = 1500;
/// Where the configuration space has the MTU, behind address, status and number of queue pairs.
const CONFIG_MTU: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_IS_RIGHT: u8 = 2;
const SEGMENT_V4: u8 = 1;
const SEGMENT_V6: u8 = 4;

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const CSUM = 1;
        const GUEST_CSUM = 1 << 1;
        const MTU = 1 << 3;
        const MAC = 1 << 5;
        const GUEST_TSO4 = 1 << 7;
        const GUEST_TSO6 = 1 << 8;
        const HOST_TSO4 = 1 << 11;
        const HOST_TSO6 = 1 << 12;
        const MRG_RXBUF = 1 << 15;
        const VERSION_1 = 1 << 32;
    }
}

type Queue = Box<VirtQueue<DirectMap, SIZE>>;

/// Not inlined: the queue is several KiB large until it is on the heap.
#[inline(never)]
fn queue(mmio: &mut Mmio, index: u16) -> Result<Queue, &'static str> {
    match VirtQueue::new(mmio, index, false, false) {
        Ok(queue) => {
            let mut queue = Box::new(queue);
            queue.set_dev_notify(false);
            Ok(queue)
        }
        Err(_) => Err("its queues cannot be set up"),
    }
}

/// Tells the device about new buffers, unless it looks anyway.
fn kick(queue: &Queue, index: u16, doorbell: Doorbell, unannounced: &mut bool) {
    if !core::mem::take(unannounced) {
        return;
    }
    // The index must be visible before the device's flag is read, or both sides could go to sleep.
    fence(Ordering::SeqCst);
    if queue.should_notify() {
        doorbell.ring(index);
    }
}

/// Frames from outside.
struct Receiver {
    queue: Queue,
    memory: &'static mut [u8],
    /// Which buffer each token stands for.
    posted: [Option<u16>; SIZE],
    unannounced: bool,
}

impl Receiver {
    fn new(mmio: &mut Mmio) -> Result<Self, &'static str> {
        Ok(Self {
            queue: queue(mmio, RECEIVE)?,
            memory: dma_block(RECEIVE_PAGES).ok_or("there is no memory for its buffers")?,
            posted: [None; SIZE],
            unannounced: false,
        })
    }

    fn span(buffer: u16) -> Range<usize> {
        let start = usize::from(buffer) * BUFFER;
        start..start + BUFFER
    }

    fn post(&mut self, buffer: u16) {
        let Some(span) = self.memory.get_mut(Self::span(buffer)) else {
            return;
        };
        // SAFETY: the buffer stays in memory that is never freed, and is not touched until `pop` has popped it.
        let Ok(token) = (unsafe { self.queue.add(&[], &mut [span]) }) else {
            return;
        };
        if let Some(slot) = self.posted.get_mut(usize::from(token)) {
            *slot = Some(buffer);
        }
        self.unannounced = true;
    }

    /// The next buffer that the device has filled, and how many bytes are in it.
    fn pop(&mut self) -> Option<(u16, usize)> {
        let token = self.queue.peek_used()?;
        let buffer = self.posted.get_mut(usize::from(token))?.take()?;
        let span = self.memory.get_mut(Self::span(buffer))?;
        // SAFETY: the slice that was added under this token.
        let length = unsafe { self.queue.pop_used(token, &[], &mut [span]) }.ok()?;
        Some((buffer, (length as usize).min(BUFFER)))
    }

    /// Appends a buffer's bytes to the frame and gives the buffer back.
    fn take(&mut self, (buffer, length): (u16, usize), skip: usize, frame: &mut Vec<u8>) {
        let bytes = self.memory.get(Self::span(buffer));
        let bytes = bytes.and_then(|bytes| bytes.get(skip..length));
        frame.extend_from_slice(bytes.unwrap_or(&[]));
        self.post(buffer);
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> Option<Arrival> {
        let first = self.pop()?;
        let mut header = [0; HEADER];
        let bytes = self.memory.get(Self::span(first.0));
        if let Some(bytes) = bytes.and_then(|bytes| bytes.first_chunk::<HEADER>()) {
            header = *bytes;
        }
        let [flags, .., low, high] = header;
        // Without merged buffers devices may leave the number 0.
        let count = u16::from_le_bytes([low, high]).max(1);
        self.take(first, HEADER, frame);
        for _ in 1..count {
            let Some(next) = self.pop() else { break };
            self.take(next, 0, frame);
        }
        Some(Arrival {
            checked: flags & (NEEDS_CHECKSUM | CHECKSUM_IS_RIGHT) != 0,
        })
    }
}

/// A part of the ring that the device has, or has given back before an older one.
struct Chunk {
    token: u16,
    start: usize,
    length: usize,
    done: bool,
}

/// Frames to the outside: a ring of bytes, of which each frame has a piece.
struct Transmitter {
    queue: Queue,
    ring: &'static mut [u8],
    head: usize,
    in_flight: usize,
    chunks: VecDeque<Chunk>,
    unannounced: bool,
    /// The device interrupts when it has sent something.
    listens: bool,
}

impl Transmitter {
    fn new(mmio: &mut Mmio) -> Result<Self, &'static str> {
        Ok(Self {
            queue: queue(mmio, TRANSMIT)?,
            ring: dma_block(TRANSMIT_PAGES).ok_or("there is no memory for its buffers")?,
            head: 0,
            in_flight: 0,
            chunks: VecDeque::with_capacity(SIZE),
            unannounced: false,
            listens: false,
        })
    }

    /// The two pieces of a chunk; the second is empty unless the chunk lies across the ring's end.
    fn pieces(ring: &[u8], start: usize, length: usize) -> (&[u8], &[u8]) {
        let first = length.min(ring.len() - start);
        (
            ring.get(start..start + first).unwrap_or(&[]),
            ring.get(..length - first).unwrap_or(&[]),
        )
    }

    fn reclaim(&mut self) {
        while let Some(token) = self.queue.peek_used() {
            let Some(chunk) = self
                .chunks
                .iter_mut()
                .find(|chunk| chunk.token == token && !chunk.done)
            else {
                return;
            };
            let (first, second) = Self::pieces(self.ring, chunk.start, chunk.length);
            let both = [first, second];
            let inputs = both.get(..if second.is_empty() { 1 } else { 2 });
            // SAFETY: the slices that were added under this token.
            let popped = unsafe { self.queue.pop_used(token, inputs.unwrap_or(&[]), &mut []) };
            if popped.is_err() {
                return;
            }
            chunk.done = true;
        }
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| chunk.done) {
            self.in_flight -= chunk.length;
        }
    }

    fn fits(&self, length: usize) -> bool {
        self.in_flight + length <= self.ring.len() && self.queue.available_desc() >= 2
    }

    /// Whether a frame of `length` fits. If not, the device is asked to say when it has sent something.
    fn has_room(&mut self, length: usize) -> bool {
        if self.fits(length) {
            return true;
        }
        self.reclaim();
        if !self.fits(length) && !self.listens {
            self.listen(true);
            // It may have sent everything before it saw that.
            self.reclaim();
        }
        let fits = self.fits(length);
        if fits && self.listens {
            self.listen(false);
        }
        fits
    }

    fn listen(&mut self, on: bool) {
        self.listens = on;
        self.queue.set_dev_notify(on);
        fence(Ordering::SeqCst);
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let at = at % self.ring.len();
        let (first, second) = bytes.split_at(bytes.len().min(self.ring.len() - at));
        if let Some(place) = self.ring.get_mut(at..at + first.len()) {
            place.copy_from_slice(first);
        }
        if let Some(place) = self.ring.get_mut(..second.len()) {
            place.copy_from_slice(second);
        }
    }

    fn send(&mut self, header: &[u8; HEADER], frame: &[u8]) -> bool {
        let length = HEADER + frame.len();
        if !self.has_room(length) {
            return false;
        }
        let start = self.head;
        self.put(start, header);
        self.put(start + HEADER, frame);
        let (first, second) = Self::pieces(self.ring, start, length);
        let both = [first, second];
        let inputs = both.get(..if second.is_empty() { 1 } else { 2 });
        // SAFETY: the bytes stay in the ring, which is never freed, and are not written until `reclaim` has popped them.
        let Ok(token) = (unsafe { self.queue.add(inputs.unwrap_or(&[]), &mut []) }) else {
            return false;
        };
        self.head = (start + length) % self.ring.len();
        self.in_flight += length;
        self.chunks.push_back(Chunk {
            token,
            start,
            length,
            done: false,
        });
        self.unannounced = true;
        true
    }
}

pub struct Card {
    hardware: [u8; 6],
    mtu: usize,
    features: CardFeatures,
    receiver: Receiver,
    transmitter: Transmitter,
    doorbell: Doorbell,
}

/// A card's interrupt line.
pub struct Line {
    gsi: u8,
    mmio: Mmio,
    /// There was an interrupt that the device does not know to be over.
    raised: AtomicBool,
}

static CARD: Once<(Arc<Stack>, Line)> = Once::new();

/// Finds the card and sets it up. `mtu`: the user's. `attach` wants the line.
pub fn find(mtu: Option<u32>) -> Result<(Box<Card>, Line), &'static str> {
    let (mut mmio, gsi) = find_with_gsi(DeviceType::Network).ok_or("there is none")?;
    let card = Card::new(&mut mmio, mtu.map(|mtu| mtu as usize))?;
    if !ioapic::enable(gsi) {
        return Err("its interrupt line has no vector");
    }
    let raised = AtomicBool::new(false);
    Ok((card, Line { gsi, mmio, raised }))
}

/// From now on the stack gets to hear what comes.
pub fn attach(stack: Arc<Stack>, line: Line) {
    CARD.call_once(|| (stack, line));
}

impl Card {
    fn new(mmio: &mut Mmio, mtu: Option<usize>) -> Result<Box<Self>, &'static str> {
        if !mmio.is_modern() {
            return Err(
                "it is a legacy device, which is not supported (QEMU: -global virtio-mmio.force-legacy=false)",
            );
        }
        let offered = Features::from_bits_truncate(mmio.read_device_features());
        let mut wanted = Features::all();
        if !offered.contains(Features::MRG_RXBUF) {
            // A large segment would not fit into one buffer.
            wanted -= Features::GUEST_TSO4 | Features::GUEST_TSO6;
        }
        let features = mmio.begin_init(wanted);
        if !mmio.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err("it refuses its driver");
        }
        let hardware = Self::hardware(mmio, features)?;
        let mtu = mtu.unwrap_or_else(|| Self::own_mtu(mmio, features));
        let doorbell = mmio.doorbell();
        let receiver = Receiver::new(mmio)?;
        let transmitter = Transmitter::new(mmio)?;
        mmio.finish_init();
        let checksum = features.contains(Features::CSUM);
        let mut card = Box::new(Self {
            hardware,
            mtu,
            features: CardFeatures {
                checksum,
                segment_v4: checksum && features.contains(Features::HOST_TSO4),
                segment_v6: checksum && features.contains(Features::HOST_TSO6),
            },
            receiver,
            transmitter,
            doorbell,
        });
        (0..SIZE).for_each(|buffer| card.receiver.post(buffer as u16));
        card.kick();
        Ok(card)
    }

    fn hardware(mmio: &Mmio, features: Features) -> Result<[u8; 6], &'static str> {
        if !features.contains(Features::MAC) {
            return Err("it has no hardware address");
        }
        let hardware: [u8; 6] = mmio
            .read_config_space(0)
            .map_err(|_| "its configuration cannot be read")?;
        if hardware[0] & 1 != 0 {
            return Err("its hardware address is one of a group");
        }
        Ok(hardware)
    }

    fn own_mtu(mmio: &Mmio, features: Features) -> usize {
        /// What an IPv4 host must be able to receive.
        const LEAST: u16 = 576;
        let told = features
            .contains(Features::MTU)
            .then(|| mmio.read_config_space::<u16>(CONFIG_MTU).ok())
            .flatten();
        told.filter(|mtu| *mtu >= LEAST)
            .map_or(DEFAULT_MTU, usize::from)
    }

    /// The longest frame that is sent, with its header.
    fn longest(&self) -> usize {
        let is_cut = self.features.segment_v4 || self.features.segment_v6;
        HEADER + ETHERNET_HEADER + if is_cut { 1 << 16 } else { self.mtu }
    }
}

impl Link for Card {
    fn hardware_address(&self) -> [u8; 6] {
        self.hardware
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn features(&self) -> CardFeatures {
        self.features
    }

    fn has_room(&mut self) -> bool {
        let longest = self.longest();
        self.transmitter.has_room(longest)
    }

    fn send(&mut self, frame: &[u8], offload: Offload) -> bool {
        let mut header = [0; HEADER];
        if let Some((start, at)) = offload.checksum {
            let ([a, b], [c, d]) = (start.to_le_bytes(), at.to_le_bytes());
            header = [NEEDS_CHECKSUM, 0, 0, 0, 0, 0, a, b, c, d, 0, 0];
        }
        if let Some(cut) = offload.segmentation {
            let kind = if cut.v6 { SEGMENT_V6 } else { SEGMENT_V4 };
            let ([a, b], [c, d]) = (cut.header.to_le_bytes(), cut.size.to_le_bytes());
            let [flags, _, _, _, _, _, e, f, g, h, ..] = header;
            header = [flags, kind, a, b, c, d, e, f, g, h, 0, 0];
        }
        self.transmitter.send(&header, frame)
    }

    fn has_news(&mut self) -> bool {
        self.receiver.queue.can_pop()
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> Option<Arrival> {
        self.receiver.receive(frame)
    }

    fn interrupt(&mut self, on: bool) {
        self.receiver.queue.set_dev_notify(on);
        fence(Ordering::SeqCst);
    }

    fn kick(&mut self) {
        let (receiver, transmitter) = (&mut self.receiver, &mut self.transmitter);
        let unannounced = &mut receiver.unannounced;
        kick(&receiver.queue, RECEIVE, self.doorbell, unannounced);
        let unannounced = &mut transmitter.unannounced;
        kick(&transmitter.queue, TRANSMIT, self.doorbell, unannounced);
    }
}

/// Whether there is a card.
pub fn exists() -> bool {
    CARD.get().is_some()
}

/// Whether the card's interrupt is among `bits`.
pub fn is_interrupted(bits: u32) -> bool {
    CARD.get().is_some_and(|(_, line)| {
        let is_raised = bits & 1 << line.gsi != 0;
        line.raised.fetch_or(is_raised, Ordering::Relaxed);
        is_raised
    })
}

/// Hands on what has come. Memory reads only, if nothing has. Answers whether something had.
pub fn look() -> bool {
    CARD.get().is_some_and(|(stack, _)| stack.poll())
}

/// Whether something has come.
pub fn has_news() -> bool {
    CARD.get()
        .is_some_and(|(stack, _)| stack.with_link(|link| link.has_news()))
}

/// Whether the card interrupts when something has come. After switching it on the caller must look once more.
pub fn interrupt(on: bool) {
    let Some((stack, line)) = CARD.get() else {
        return;
    };
    if on && line.raised.swap(false, Ordering::Relaxed) {
        // Only now: it may be an exit, and who waits for what came should not wait for that. QEMU's line stays up until then.
        line.mmio.acknowledge();
    }
    stack.with_link(|link| link.interrupt(on));
}
