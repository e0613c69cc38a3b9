//! Free space between mappings. Where the last search ended is remembered: without it each new mapping would walk past
//! all that were made before.

use super::layout::{PAGE, USER_END, USER_START};
use super::map::AreaMap;
use core::ops::Range;

/// A piece of free space that is wanted: its length, and its start modulo a power of two.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub len: u64,
    pub align: u64,
    pub residue: u64,
}

impl Wanted {
    #[must_use]
    pub fn pages(len: u64) -> Self {
        Self {
            len,
            align: PAGE,
            residue: 0,
        }
    }

    /// The highest place in the free `hole`.
    fn fit(self, hole: &Range<u64>) -> Option<u64> {
        let highest = hole.end.checked_sub(self.len)?;
        let off = highest.wrapping_sub(self.residue) & (self.align - 1);
        highest
            .checked_sub(off)
            .filter(|&start| start >= hole.start)
    }
}

/// What searches from `top` down have seen: between `below` and `top` no hole is larger than `largest`.
#[derive(Clone, Copy)]
pub struct Seen {
    top: u64,
    below: u64,
    largest: u64,
}

impl Seen {
    pub fn nothing(top: u64) -> Self {
        Self {
            top,
            below: top,
            largest: 0,
        }
    }

    /// A hole has become this large.
    pub fn note(&mut self, hole: &Range<u64>) {
        if hole.end > self.below {
            self.largest = self.largest.max(hole.end - hole.start);
        }
    }
}

impl AreaMap {
    /// The highest place below `top`, for a mapping that is made there next. Fast where the same `top` is given each time.
    pub fn find_gap(&mut self, top: u64, wanted: Wanted) -> Option<u64> {
        let top = top.min(USER_END);
        let seen = self.seen;
        if seen.top == top && wanted.len > seen.largest {
            let mut seen = seen;
            if let Some(start) = self.search(&mut seen, wanted) {
                self.seen = seen;
                return Some(start);
            }
        }
        let mut seen = Seen::nothing(top);
        let found = self.search(&mut seen, wanted);
        self.seen = seen;
        found
    }

    /// The highest place below `top`.
    #[must_use]
    pub fn find_gap_below(&self, top: u64, wanted: Wanted) -> Option<u64> {
        self.search(&mut Seen::nothing(top.min(USER_END)), wanted)
    }

    /// Goes on below what was seen.
    fn search(&self, seen: &mut Seen, wanted: Wanted) -> Option<u64> {
        let mut end = seen.below;
        let lower = self.before(end).map(|area| area.range());
        for range in lower.chain(core::iter::once(0..USER_START)) {
            let hole = range.end.min(end)..end;
            if let Some(start) = wanted.fit(&hole) {
                seen.below = start;
                seen.note(&(start + wanted.len..hole.end));
                return Some(start);
            }
            seen.largest = seen.largest.max(hole.end - hole.start);
            end = end.min(range.start);
        }
        seen.below = USER_START;
        None
    }

    /// The lowest free place of `len` bytes in `range`.
    #[must_use]
    pub fn find_gap_above(&self, range: Range<u64>, len: u64) -> Option<u64> {
        let mut start = range.start;
        for area in self.overlapping(range.clone()) {
            if area.start.saturating_sub(start) >= len {
                break;
            }
            start = start.max(area.end);
        }
        (start.checked_add(len)? <= range.end).then_some(start)
    }
}
