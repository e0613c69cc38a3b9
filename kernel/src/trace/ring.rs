//! The ring that the monitor empties.
#![allow(unsafe_code)]

use crate::mm::frame::{self, For};
use crate::mm::layout::{PAGE, phys_to_virt};
use boot_abi::trace as abi;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Mutex;

/// 2^n pages, tried in this order: a small machine has a small ring.
const ORDERS: [u8; 3] = [8, 6, 4];

struct Ring {
    base: u64,
    size: u64,
}

/// Made once, and kept: the monitor may look at it at any time.
static RING: Mutex<Option<Ring>> = Mutex::new(None);

impl Ring {
    fn make() -> Option<Self> {
        let (order, block) = ORDERS.into_iter().find_map(|order| {
            frame::alloc_zeroed(order, For::Program).map(|block| (order, block))
        })?;
        let ring = Self {
            base: phys_to_virt(block.phys()),
            size: (PAGE << order) - abi::AT_DATA,
        };
        ring.word(abi::AT_SIZE).store(ring.size, Ordering::Relaxed);
        ring.word(abi::AT_MAGIC)
            .store(abi::MAGIC, Ordering::Release);
        tell((block.phys() / PAGE) as u32);
        Some(ring)
    }

    fn word(&self, at: u64) -> &AtomicU64 {
        // SAFETY: an aligned word of the block, which is never given back; the other side of it is the monitor.
        unsafe { &*((self.base + at) as *const AtomicU64) }
    }

    fn push(&mut self, record: &[u8]) {
        let head = self.word(abi::AT_HEAD).load(Ordering::Relaxed);
        let len = record.len() as u64;
        // The monitor may write anything: what is no room is none.
        let room = || {
            let used = head.wrapping_sub(self.word(abi::AT_TAIL).load(Ordering::Acquire));
            self.size.saturating_sub(used) >= len
        };
        while !room() {
            tell(abi::EMPTY);
        }
        let at = head % self.size;
        let first = len.min(self.size - at);
        let (before, after) = record.split_at(first as usize);
        self.copy(at, before);
        self.copy(0, after);
        self.word(abi::AT_HEAD).store(head + len, Ordering::Release);
    }

    fn copy(&self, at: u64, bytes: &[u8]) {
        let to = (self.base + abi::AT_DATA + at) as *mut u8;
        // SAFETY: `push` keeps within the data; nobody reads there before HEAD says so.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

/// Whether there is a ring, now.
pub fn open() -> bool {
    let mut ring = RING.lock();
    if ring.is_none() {
        *ring = Ring::make();
    }
    ring.is_some()
}

/// Adds a record; waits while there is no room for it.
pub fn push(record: &[u8]) {
    if let Some(ring) = RING.lock().as_mut() {
        ring.push(record);
    }
}

fn tell(value: u32) {
    // SAFETY: the monitor reads and writes nothing but the ring's own memory, which is only used by atomics and by `copy`.
    unsafe {
        core::arch::asm!("out dx, eax", in("dx") abi::PORT, in("eax") value, options(nostack, preserves_flags));
    }
}
