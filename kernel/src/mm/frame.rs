//! Physical memory: a buddy allocator of 4 KiB to 4 MiB with a reference count per frame.
//!
//! Memory that was never handed out is kept apart ("fresh"): it is known to be zero, since the monitor gives zeroed memory, and
//! neither it nor its bookkeeping has been touched, so it costs the host nothing.
#![allow(unsafe_code)]

use super::layout::{BOOT_MAPPED, HUGE_PAGE, PAGE, phys_to_virt};
use crate::faults::{self, Kind};
use crate::rank::{self, Ranked};
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub const MAX_ORDER: u8 = 10;
pub const HUGE_ORDER: u8 = 9;
const NONE: u32 = u32::MAX;
const MAX_RANGES: usize = 16;

/// Frames that only the kernel itself may take, so that a program that fills memory gets ENOMEM and the kernel goes on.
const RESERVE: u64 = 1024;

/// A physical page number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pfn(pub u32);

impl Pfn {
    #[must_use]
    pub const fn of(phys: u64) -> Self {
        Self((phys / PAGE) as u32)
    }
    #[must_use]
    pub const fn phys(self) -> u64 {
        self.0 as u64 * PAGE
    }
    #[must_use]
    pub const fn virt(self) -> u64 {
        phys_to_virt(self.phys())
    }
}

/// Bookkeeping of one frame. All zero for fresh frames.
#[repr(C)]
struct Info {
    refs: AtomicU32,
    next: u32,
    prev: u32,
    order: u8,
    free: bool,
    zero: bool,
}

struct Inner {
    heads: [u32; MAX_ORDER as usize + 1],
    fresh: [(u32, u32); MAX_RANGES],
    ranges: [(u32, u32); MAX_RANGES],
}

static INNER: Ranked<Inner, { rank::FRAMES }> = Ranked::new(Inner {
    heads: [NONE; MAX_ORDER as usize + 1],
    fresh: [(0, 0); MAX_RANGES],
    ranges: [(0, 0); MAX_RANGES],
});
static BOOK: Book = Book {
    first: AtomicU64::new(0),
    split: AtomicU32::new(0),
    len: AtomicU32::new(0),
};
static FREE: AtomicU64 = AtomicU64::new(0);
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// Who asks: the program's memory stops before the reserve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    Kernel,
    Program,
}

/// Where the bookkeeping is. It begins with the frame from which memory is handed out first, since what is touched
/// of it then lies together, and beside those very frames; frames of lower numbers come after the highest.
struct Book {
    first: AtomicU64,
    /// The number of the first one's frame.
    split: AtomicU32,
    /// How many frames there are below the top of memory.
    len: AtomicU32,
}

impl Book {
    fn open(&self, plan: &Plan) {
        self.first
            .store(phys_to_virt(plan.book.start), Ordering::Relaxed);
        self.split.store(Pfn::of(plan.first).0, Ordering::Relaxed);
        self.len.store(plan.frames, Ordering::Relaxed);
    }

    fn info(&self, pfn: u32) -> *mut Info {
        let split = self.split.load(Ordering::Relaxed);
        let index = if pfn >= split {
            pfn - split
        } else {
            pfn + (self.len.load(Ordering::Relaxed) - split)
        };
        (self.first.load(Ordering::Relaxed) as *mut Info).wrapping_add(index as usize)
    }
}

/// How much of the first 2 MiB the bookkeeping begins in: that of 64 MiB.
const BOOK_START: u64 = 256 << 10;

/// How the range with the bookkeeping is divided.
struct Plan {
    /// Physical address of the frames that are handed out first. They reach up to the bookkeeping.
    first: u64,
    book: Range<u64>,
    frames: u32,
}

impl Plan {
    /// The first frames and the start of the bookkeeping share 2 MiB: the host clears pages of this size when they are
    /// touched, and a small program needs no other then.
    fn new((start, end): (u64, u64), top: u64) -> Result<Self, &'static str> {
        let need = ((top / PAGE) * size_of::<Info>() as u64).next_multiple_of(PAGE);
        if end < start + need + HUGE_PAGE / 2 {
            return Err("too little memory: give the machine more with -m");
        }
        let aligned = start.next_multiple_of(HUGE_PAGE);
        let (first, book) = if aligned + HUGE_PAGE + need <= end {
            (aligned, aligned + HUGE_PAGE - BOOK_START)
        } else {
            (start, start)
        };
        Ok(Self {
            first,
            book: book..book + need,
            frames: Pfn::of(top).0,
        })
    }
}

/// Takes over the given physical ranges (page aligned, ascending, not overlapping). The bookkeeping array comes out of the
/// largest one that the boot page tables map.
///
/// # Safety
/// Once at boot; nobody else may use the ranges, and they must be zero and mapped in the direct map.
pub unsafe fn init(ranges: &[(u64, u64)]) -> Result<(), &'static str> {
    let none = "the memory map has no RAM";
    let top = ranges.iter().map(|r| r.1).max().ok_or(none)?;
    let mapped = ranges.iter().filter(|r| r.1 <= BOOT_MAPPED);
    let largest = *mapped.max_by_key(|r| r.1 - r.0).ok_or(none)?;
    let plan = Plan::new(largest, top)?;
    BOOK.open(&plan);
    let mut inner = INNER.lock();
    inner.add_fresh(plan.book.end, largest.1);
    for &(start, end) in ranges.iter().filter(|range| **range != largest) {
        inner.add_fresh(start, end);
    }
    inner.add_fresh(largest.0, plan.first);
    inner.add_first(plan.first, plan.book.start);
    let total = inner.ranges.iter().map(|r| u64::from(r.1 - r.0)).sum();
    drop(inner);
    FREE.store(total, Ordering::Relaxed);
    TOTAL.store(total, Ordering::Relaxed);
    Ok(())
}

impl Inner {
    fn info(&mut self, pfn: u32) -> &mut Info {
        // SAFETY: pfns come from the ranges, which the array covers; the lock makes the access exclusive, except for
        // `refs`, which is atomic and not touched through this reference while others may use it.
        unsafe { &mut *BOOK.info(pfn) }
    }

    /// Takes over a range (physical addresses) that was never touched. What lies before the first 2 MiB of it is kept apart: it
    /// would be the next best place for anything small, and the host would clear 2 MiB for it. More ranges than there is
    /// place for are left out.
    fn add_fresh(&mut self, start: u64, end: u64) {
        let aligned = start.next_multiple_of(HUGE_PAGE).min(end);
        for (start, end) in [(aligned, end), (start, aligned)] {
            let range = (Pfn::of(start).0, Pfn::of(end).0);
            if let Some(i) = self.add(range) {
                self.fresh[i] = range;
            }
        }
    }

    /// Takes over a range for what is wanted first.
    fn add_first(&mut self, start: u64, end: u64) {
        let range = (Pfn::of(start).0, Pfn::of(end).0);
        if self.add(range).is_some() {
            self.push_run(range.0, range.1);
        }
    }

    fn add(&mut self, range: (u32, u32)) -> Option<usize> {
        let i = self.ranges.iter().position(|range| range.0 == range.1);
        let i = i.filter(|_| range.0 < range.1)?;
        self.ranges[i] = range;
        Some(i)
    }

    fn push(&mut self, pfn: u32, order: u8, zero: bool) {
        let head = self.heads[usize::from(order)];
        let info = self.info(pfn);
        (info.next, info.prev, info.order, info.free, info.zero) = (head, NONE, order, true, zero);
        if head != NONE {
            self.info(head).prev = pfn;
        }
        self.heads[usize::from(order)] = pfn;
    }

    fn unlink(&mut self, pfn: u32) -> (u8, bool) {
        let info = self.info(pfn);
        let (next, prev, order, zero) = (info.next, info.prev, info.order, info.zero);
        info.free = false;
        if next != NONE {
            self.info(next).prev = prev;
        }
        if prev == NONE {
            self.heads[usize::from(order)] = next;
        } else {
            self.info(prev).next = next;
        }
        (order, zero)
    }

    fn take(&mut self, order: u8) -> Option<(u32, bool)> {
        let from = (order..=MAX_ORDER).find(|&o| self.heads[usize::from(o)] != NONE);
        let (pfn, mut have, zero) = match from {
            Some(o) => {
                let pfn = self.heads[usize::from(o)];
                let (have, zero) = self.unlink(pfn);
                (pfn, have, zero)
            }
            None => {
                let (pfn, have) = self.take_fresh(order)?;
                (pfn, have, true)
            }
        };
        while have > order {
            have -= 1;
            self.push(pfn + (1 << have), have, zero);
        }
        Some((pfn, zero))
    }

    /// A fresh block of at least `order`: 2 MiB where possible, so that small allocations stay together.
    fn take_fresh(&mut self, order: u8) -> Option<(u32, u8)> {
        for want in [order.max(HUGE_ORDER), order] {
            let size = 1u32 << want;
            for i in 0..MAX_RANGES {
                let (start, end) = self.fresh[i];
                let aligned = start.next_multiple_of(size);
                if end.checked_sub(aligned).is_some_and(|room| room >= size) {
                    self.fresh[i].0 = aligned + size;
                    self.push_run(start, aligned);
                    return Some((aligned, want));
                }
            }
        }
        None
    }

    /// Puts the fresh frames that alignment skipped on the free lists.
    fn push_run(&mut self, mut start: u32, end: u32) {
        while start < end {
            let order = (start.trailing_zeros() as u8)
                .min(MAX_ORDER)
                .min((end - start).ilog2() as u8);
            self.push(start, order, true);
            start += 1 << order;
        }
    }

    fn give_back(&mut self, mut pfn: u32, mut order: u8) {
        while order < MAX_ORDER {
            let buddy = pfn ^ (1 << order);
            if !self.is_ours(buddy) || !self.info(buddy).free || self.info(buddy).order != order {
                break;
            }
            self.unlink(buddy);
            pfn &= !(1 << order);
            order += 1;
        }
        self.push(pfn, order, false);
    }

    fn is_ours(&self, pfn: u32) -> bool {
        self.ranges
            .iter()
            .any(|&(start, end)| (start..end).contains(&pfn))
    }
}

/// A block of 2^order frames, each with one reference. The flag says that it is known to be zero.
#[must_use]
pub fn alloc(order: u8, whom: For) -> Option<(Pfn, bool)> {
    if whom == For::Program && faults::strikes(Kind::Frame) {
        return None;
    }
    let count = 1u64 << order;
    let free = FREE.load(Ordering::Relaxed);
    if free < count || (whom == For::Program && free < count + RESERVE) {
        return None;
    }
    let mut inner = INNER.lock();
    let (pfn, zero) = inner.take(order)?;
    for i in 0..1 << order {
        *inner.info(pfn + i).refs.get_mut() = 1;
    }
    FREE.fetch_sub(count, Ordering::Relaxed);
    Some((Pfn(pfn), zero))
}

/// The same, zeroed if need be.
#[must_use]
pub fn alloc_zeroed(order: u8, whom: For) -> Option<Pfn> {
    let (pfn, zero) = alloc(order, whom)?;
    if !zero {
        // SAFETY: the block was just allocated and lies in the direct map.
        unsafe { core::ptr::write_bytes(pfn.virt() as *mut u8, 0, (PAGE as usize) << order) };
    }
    Some(pfn)
}

fn refs(pfn: Pfn) -> &'static AtomicU32 {
    // SAFETY: the array covers every frame that was ever handed out and is never freed.
    unsafe { &(*BOOK.info(pfn.0)).refs }
}

/// One more reference.
pub fn get(pfn: Pfn) {
    refs(pfn).fetch_add(1, Ordering::Relaxed);
}

/// How many references there are.
#[must_use]
pub fn holders(pfn: Pfn) -> u32 {
    refs(pfn).load(Ordering::Relaxed)
}

/// Whether the caller's is the only reference.
#[must_use]
pub fn is_exclusive(pfn: Pfn) -> bool {
    holders(pfn) == 1
}

/// The same for a block.
#[must_use]
pub fn is_exclusive_block(pfn: Pfn, order: u8) -> bool {
    (0..1u32 << order).all(|i| is_exclusive(Pfn(pfn.0 + i)))
}

/// One more reference to each frame of a block.
pub fn get_block(pfn: Pfn, order: u8) {
    (0..1u32 << order).for_each(|i| get(Pfn(pfn.0 + i)));
}

/// Whether the program's memory could not grow by so many frames.
#[must_use]
pub fn is_short_of(count: u64) -> bool {
    FREE.load(Ordering::Relaxed) < count + RESERVE
}

/// One reference less; the last one frees the frame.
pub fn put(pfn: Pfn) {
    if refs(pfn).fetch_sub(1, Ordering::AcqRel) == 1 {
        INNER.lock().give_back(pfn.0, 0);
        FREE.fetch_add(1, Ordering::Relaxed);
    }
}

/// One reference less on each frame of a block; frees it whole where possible.
pub fn put_block(pfn: Pfn, order: u8) {
    let frames = || (0..1u32 << order).map(|i| Pfn(pfn.0 + i));
    if is_exclusive_block(pfn, order) {
        frames().for_each(|frame| refs(frame).store(0, Ordering::Relaxed));
        INNER.lock().give_back(pfn.0, order);
        FREE.fetch_add(1 << order, Ordering::Relaxed);
    } else {
        frames().for_each(put);
    }
}

/// MiB that the program and the kernel share, and what to try when that is too little: twice as much as the machine has.
#[must_use]
pub fn advice() -> (u64, u64) {
    let mib = TOTAL.load(Ordering::Relaxed) >> 8;
    (mib, (mib + 1).next_power_of_two() * 2)
}

/// Free and total frames.
#[must_use]
pub fn counts() -> (u64, u64) {
    (FREE.load(Ordering::Relaxed), TOTAL.load(Ordering::Relaxed))
}
