//! The rings as they lie in memory. The program may write anything there at any time: numbers that count are the kernel's
//! own copies.
use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use linux_abi::raw::io_uring::{
    IORING_OFF_CQ_RING, IORING_OFF_SQES, IORING_SQ_CQ_OVERFLOW, IORING_SQ_TASKRUN,
};
use linux_abi::zerocopy::IntoBytes;
use linux_abi::{Errno, IoCqringOffsets, IoSqringOffsets, IoUringSqe, PAGE_SIZE};
use vfs::{RingMemory, RingWindow};

const SQ_HEAD: usize = 0;
const SQ_TAIL: usize = 64;
const CQ_HEAD: usize = 128;
const CQ_TAIL: usize = 192;
const SQ_MASK: usize = 256;
const CQ_MASK: usize = 260;
const SQ_ENTRIES: usize = 264;
const CQ_ENTRIES: usize = 268;
const SQ_DROPPED: usize = 272;
const SQ_FLAGS: usize = 276;
const CQ_FLAGS: usize = 280;
const CQ_OVERFLOW: usize = 284;
const CQES: usize = 320;
const CQE_SIZE: usize = 16;
const SQE_SIZE: usize = size_of::<IoUringSqe>();

/// A completion.
#[derive(Clone, Copy)]
pub(super) struct Cqe {
    pub(super) user_data: u64,
    pub(super) res: i32,
    pub(super) flags: u32,
}

pub(super) struct Rings {
    pub(super) memory: Arc<RingMemory>,
    sq_entries: u32,
    cq_entries: u32,
    /// Where the indices of submissions are; none if these are taken in the order in which they lie.
    array: Option<usize>,
    sqes: usize,
}

impl Rings {
    /// Both numbers are powers of two.
    pub(super) fn new(sq_entries: u32, cq_entries: u32, has_array: bool) -> Result<Self, Errno> {
        let array = CQES + CQE_SIZE * cq_entries as usize;
        let rings = (array + 4 * sq_entries as usize).div_ceil(PAGE_SIZE);
        let pages = rings + (SQE_SIZE * sq_entries as usize).div_ceil(PAGE_SIZE);
        let window = |offset: u32, pages| RingWindow {
            from: u64::from(offset) / PAGE_SIZE as u64,
            pages,
        };
        // Both rings are one piece, wherever it is mapped from.
        let windows = vec![
            window(0, 0..rings),
            window(IORING_OFF_CQ_RING, 0..rings),
            window(IORING_OFF_SQES, rings..pages),
        ];
        let this = Self {
            memory: RingMemory::new(pages, windows)?,
            sq_entries,
            cq_entries,
            array: has_array.then_some(array),
            sqes: rings * PAGE_SIZE,
        };
        this.store(SQ_MASK, sq_entries - 1);
        this.store(CQ_MASK, cq_entries - 1);
        this.store(SQ_ENTRIES, sq_entries);
        this.store(CQ_ENTRIES, cq_entries);
        Ok(this)
    }

    pub(super) fn sq_offsets(&self) -> IoSqringOffsets {
        IoSqringOffsets {
            head: SQ_HEAD as u32,
            tail: SQ_TAIL as u32,
            ring_mask: SQ_MASK as u32,
            ring_entries: SQ_ENTRIES as u32,
            flags: SQ_FLAGS as u32,
            dropped: SQ_DROPPED as u32,
            array: self.array.unwrap_or(0) as u32,
            ..IoSqringOffsets::default()
        }
    }

    pub(super) fn cq_offsets(&self) -> IoCqringOffsets {
        IoCqringOffsets {
            head: CQ_HEAD as u32,
            tail: CQ_TAIL as u32,
            ring_mask: CQ_MASK as u32,
            ring_entries: CQ_ENTRIES as u32,
            overflow: CQ_OVERFLOW as u32,
            cqes: CQES as u32,
            flags: CQ_FLAGS as u32,
            ..IoCqringOffsets::default()
        }
    }

    fn load(&self, at: usize) -> u32 {
        self.memory.word(at).map_or(0, |word| word.load(Acquire))
    }

    fn store(&self, at: usize, value: u32) {
        if let Some(word) = self.memory.word(at) {
            word.store(value, Release);
        }
    }

    /// How many submissions there are from `head` on.
    pub(super) fn submissions(&self, head: u32) -> u32 {
        let waiting = self.load(SQ_TAIL).wrapping_sub(head);
        waiting.min(self.sq_entries)
    }

    pub(super) fn has_room_for_submissions(&self, head: u32) -> bool {
        self.submissions(head) < self.sq_entries
    }

    /// The submission at `head`, which the program may use again then. None if its index is nonsense.
    pub(super) fn take_submission(&self, head: u32) -> Option<IoUringSqe> {
        let place = head & (self.sq_entries - 1);
        let index = match self.array {
            Some(array) => self.load(array + 4 * place as usize),
            None => place,
        };
        let mut sqe = IoUringSqe::default();
        if index < self.sq_entries {
            let start = self.sqes + SQE_SIZE * index as usize;
            for (at, bytes) in sqe.as_mut_bytes().chunks_exact_mut(4).enumerate() {
                let word = self.memory.word(start + 4 * at)?.load(Relaxed);
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        } else if let Some(dropped) = self.memory.word(SQ_DROPPED) {
            dropped.fetch_add(1, Relaxed);
        }
        self.store(SQ_HEAD, head.wrapping_add(1));
        (index < self.sq_entries).then_some(sqe)
    }

    /// How many completions before `tail` the program has not taken.
    pub(super) fn completions(&self, tail: u32) -> u32 {
        tail.wrapping_sub(self.load(CQ_HEAD)).min(self.cq_entries)
    }

    /// Puts a completion at `tail`. Answers false, and does nothing, if the ring is full.
    pub(super) fn put_completion(&self, tail: u32, cqe: Cqe) -> bool {
        if self.completions(tail) >= self.cq_entries {
            return false;
        }
        let at = CQES + CQE_SIZE * (tail & (self.cq_entries - 1)) as usize;
        let words = [
            cqe.user_data as u32,
            (cqe.user_data >> 32) as u32,
            cqe.res as u32,
            cqe.flags,
        ];
        for (nth, value) in words.into_iter().enumerate() {
            if let Some(word) = self.memory.word(at + 4 * nth) {
                word.store(value, Relaxed);
            }
        }
        self.store(CQ_TAIL, tail.wrapping_add(1));
        true
    }

    fn flag(&self, bit: u32, on: bool) {
        if let Some(flags) = self.memory.word(SQ_FLAGS) {
            if on {
                flags.fetch_or(bit, Release);
            } else {
                flags.fetch_and(!bit, Release);
            }
        }
    }

    /// Something can go on once the program enters the kernel.
    pub(super) fn set_work_waits(&self, on: bool) {
        self.flag(IORING_SQ_TASKRUN, on);
    }

    /// There are completions for which the ring has no room.
    pub(super) fn set_overflown(&self, on: bool) {
        self.flag(IORING_SQ_CQ_OVERFLOW, on);
    }
}
