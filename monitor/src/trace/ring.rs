//! The guest's ring. Nothing that the guest wrote is believed.

use std::sync::atomic::Ordering;

use boot_abi::trace::{AT_DATA, AT_HEAD, AT_MAGIC, AT_SIZE, AT_TAIL, MAGIC, SIZE_MAX};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use crate::layout::PAGE;
use crate::memory::GuestMemory;

/// Bytes that are handed on at once.
const PIECE: u64 = 64 << 10;

pub struct Ring {
    base: u64,
    pub size: u64,
    tail: u64,
}

impl Ring {
    /// The one at a page; None: there is none.
    pub fn open(memory: &GuestMemory, page: u32) -> Option<Self> {
        let base = u64::from(page) * PAGE;
        let word = |at: u64| memory.load::<u64>(GuestAddress(base + at), Ordering::Acquire);
        if word(AT_MAGIC).ok()? != MAGIC {
            return None;
        }
        let size = word(AT_SIZE).ok()?;
        let fits = (1..=SIZE_MAX).contains(&size)
            && memory.check_range(GuestAddress(base + AT_DATA), size as usize);
        let tail = word(AT_TAIL).ok()?;
        fits.then_some(Self { base, size, tail })
    }

    /// What comes next, in one piece.
    pub fn peek(&self, memory: &GuestMemory) -> Vec<u8> {
        let head = GuestAddress(self.base + AT_HEAD);
        let head: u64 = memory.load(head, Ordering::Acquire).unwrap_or(self.tail);
        let ready = head.wrapping_sub(self.tail);
        if ready > self.size {
            // The guest's mistake, and its loss.
            return Vec::new();
        }
        let at = self.tail % self.size;
        let len = ready.min(self.size - at).min(PIECE);
        let mut bytes = vec![0; len as usize];
        let from = GuestAddress(self.base + AT_DATA + at);
        // The range was checked, and memory does not go away.
        if memory.read_slice(&mut bytes, from).is_err() {
            bytes.clear();
        }
        bytes
    }

    pub fn advance(&mut self, memory: &GuestMemory, taken: usize) {
        self.tail = self.tail.wrapping_add(taken as u64);
        let _ = memory.store(
            self.tail,
            GuestAddress(self.base + AT_TAIL),
            Ordering::Release,
        );
    }
}
