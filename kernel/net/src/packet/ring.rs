//! `PACKET_RX_RING`: frames lie in memory that the program maps, see the kernel's Documentation/networking/packet_mmap.rst.
//! Of its forms `TPACKET_V2`.
use super::queue::Frame;
use crate::Result;
use alloc::sync::Arc;
use core::sync::atomic::{Ordering, fence};
use linux_abi::Errno;
use linux_abi::raw::if_arp::{
    TP_STATUS_KERNEL, TP_STATUS_LOSING, TP_STATUS_USER, TPACKET_ALIGNMENT,
};
use vfs::{PAGE_SIZE, RingMemory, SliceSink};

/// `sizeof(struct tpacket2_hdr)`, and with the `struct sockaddr_ll` behind it.
pub(super) const HEADER: usize = 32;
const WITH_ADDRESS: usize = HEADER + 20;
/// Room for a link header, at least, so that the network header is aligned.
const LINK_ROOM: usize = 16;
/// More than this is not set aside for one ring.
const LARGEST: usize = 64 << 20;

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(TPACKET_ALIGNMENT as usize)
}

pub(super) struct Ring {
    pub(super) memory: Arc<RingMemory>,
    frame_size: usize,
    frames_per_block: usize,
    block_size: usize,
    frames: usize,
    reserve: usize,
    next: usize,
    losing: bool,
}

impl Ring {
    /// From a `struct tpacket_req`: block size, blocks, frame size, frames. None: no ring is wanted.
    pub(super) fn new(request: [u32; 4], reserve: u32) -> Result<Option<Self>> {
        let [block_size, blocks, frame_size, frames] = request.map(|word| word as usize);
        let reserve = reserve as usize;
        if blocks == 0 {
            return if frames == 0 {
                Ok(None)
            } else {
                Err(Errno::EINVAL)
            };
        }
        let sound = block_size != 0
            && block_size.is_multiple_of(PAGE_SIZE)
            && frame_size >= WITH_ADDRESS.saturating_add(reserve)
            && frame_size == aligned(frame_size);
        if !sound {
            return Err(Errno::EINVAL);
        }
        let frames_per_block = block_size / frame_size;
        if frames_per_block == 0 || frames_per_block.checked_mul(blocks) != Some(frames) {
            return Err(Errno::EINVAL);
        }
        let size = block_size.checked_mul(blocks).ok_or(Errno::EINVAL)?;
        if size > LARGEST {
            return Err(Errno::ENOMEM);
        }
        Ok(Some(Self {
            memory: RingMemory::whole(size / PAGE_SIZE)?,
            frame_size,
            frames_per_block,
            block_size,
            frames,
            reserve,
            next: 0,
            losing: false,
        }))
    }

    const fn place(&self, frame: usize) -> usize {
        frame / self.frames_per_block * self.block_size
            + frame % self.frames_per_block * self.frame_size
    }

    fn write(&self, mut at: usize, mut bytes: &[u8]) {
        while let Some(page) = self.memory.page(at / PAGE_SIZE) {
            let room = PAGE_SIZE - at % PAGE_SIZE;
            let (here, after) = bytes.split_at(room.min(bytes.len()));
            page.store(at % PAGE_SIZE, here);
            if after.is_empty() {
                return;
            }
            at += here.len();
            bytes = after;
        }
    }

    fn status(&self, frame: usize) -> u32 {
        let at = self.place(frame);
        let mut word = [0; 4];
        let page = self.memory.page(at / PAGE_SIZE);
        let read = page.map(|page| page.read(at % PAGE_SIZE, 4, &mut SliceSink::new(&mut word)));
        // What is written or read next is not done before the status is.
        fence(Ordering::SeqCst);
        match read {
            Some(Ok(())) => u32::from_ne_bytes(word),
            _ => TP_STATUS_USER,
        }
    }

    /// Whether the frame that was written last waits for the program.
    pub(super) fn is_readable(&self) -> bool {
        let last = (self.next + self.frames - 1) % self.frames;
        self.status(last) != TP_STATUS_KERNEL
    }

    /// False: there was no room.
    pub(super) fn put(&mut self, frame: &Frame, bytes: &[u8]) -> bool {
        if self.status(self.next) != TP_STATUS_KERNEL {
            self.losing = true;
            return false;
        }
        let link = frame.network;
        let network = match link {
            0 => aligned(WITH_ADDRESS) + LINK_ROOM,
            _ => aligned(WITH_ADDRESS + link.max(LINK_ROOM)),
        } + self.reserve;
        let start = network - link;
        let bytes = bytes
            .get(..self.frame_size.saturating_sub(start))
            .unwrap_or(bytes);
        let at = self.place(self.next);
        self.write(at + start, bytes);
        self.write(at + HEADER, frame.from.encode().as_bytes());
        let mut header = [0; HEADER];
        let mut put = |at, value: &[u8]| crate::stack::packet::write(&mut header, at, value);
        put(4, &(frame.length as u32).to_ne_bytes());
        put(8, &(bytes.len() as u32).to_ne_bytes());
        put(12, &(start as u16).to_ne_bytes());
        put(14, &(network as u16).to_ne_bytes());
        put(16, &((frame.at / 1_000_000_000) as u32).to_ne_bytes());
        put(20, &((frame.at % 1_000_000_000) as u32).to_ne_bytes());
        self.write(at + 4, header.get(4..).unwrap_or(&[]));
        let lost = if core::mem::take(&mut self.losing) {
            TP_STATUS_LOSING
        } else {
            0
        };
        // The program may read it as soon as the status says so.
        fence(Ordering::SeqCst);
        self.write(at, &(TP_STATUS_USER | lost).to_ne_bytes());
        self.next = (self.next + 1) % self.frames;
        true
    }
}
