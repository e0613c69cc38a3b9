//! Which bytes already belong to a patch.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

/// Disjoint ranges, sorted. They arrive nearly in order, so insertion is cheap.
#[derive(Debug)]
pub(super) struct Claims {
    ranges: Vec<Range<u64>>,
}

impl Claims {
    pub fn with_room_for(count: usize) -> Result<Self, TryReserveError> {
        let mut ranges = Vec::new();
        ranges.try_reserve_exact(count)?;
        Ok(Claims { ranges })
    }

    fn position(&self, range: &Range<u64>) -> usize {
        self.ranges
            .partition_point(|claimed| claimed.end <= range.start)
    }

    pub fn is_free(&self, range: &Range<u64>) -> bool {
        self.ranges
            .get(self.position(range))
            .is_none_or(|claimed| range.end <= claimed.start)
    }

    /// Takes a range that is free.
    pub fn take(&mut self, range: Range<u64>) {
        let at = self.position(&range);
        self.ranges.insert(at, range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_free_and_shared_bytes_are_not() {
        let mut claims = Claims::with_room_for(3).unwrap();
        claims.take(20..30);
        claims.take(40..50);
        claims.take(10..15);
        for free in [0..10, 15..20, 30..40, 50..60] {
            assert!(claims.is_free(&free), "{free:?}");
        }
        for taken in [0..11, 14..16, 19..21, 29..30, 25..26, 0..100, 35..41] {
            assert!(!claims.is_free(&taken), "{taken:?}");
        }
    }
}
