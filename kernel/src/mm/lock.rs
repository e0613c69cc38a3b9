//! mlock(2) and its kin. Nothing is ever paged out, so to lock is to make present and to count.

use super::fault::{Access, Filler};
use super::layout::is_user_range;
use super::map::Backing;
use super::space::{AddressSpace, Inner};
use alloc::vec::Vec;
use core::ops::Range;
use linux_abi::{Errno, Prot};

/// When the pages of a locked mapping become present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    Now,
    OnFault,
}

impl AddressSpace {
    /// mlock(2)
    pub fn lock_range(&self, range: Range<u64>, lock: Lock) -> Result<(), Errno> {
        self.set_locked(range.clone(), true)?;
        let len = range.end - range.start;
        if lock == Lock::Now && self.prepare(range.start, len, Access::Read) < len {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// munlock(2)
    pub fn unlock_range(&self, range: Range<u64>) -> Result<(), Errno> {
        self.set_locked(range, false)
    }

    fn set_locked(&self, range: Range<u64>, locked: bool) -> Result<(), Errno> {
        let mut inner = self.lock();
        if !is_user_range(range.start, range.end - range.start)
            || !inner.areas.covers(range.clone())
        {
            return Err(Errno::ENOMEM);
        }
        inner.areas.change(range, |area| area.locked = locked);
        Ok(())
    }

    /// mlockall(2): what is mapped now, and what will be.
    pub fn lock_all(&self, current: Option<Lock>, future: Option<Lock>) {
        let mut inner = self.lock();
        inner.lock_future = future;
        if let Some(lock) = current {
            inner.lock_current(lock);
        }
    }

    /// munlockall(2)
    pub fn unlock_all(&self) {
        let mut inner = self.lock();
        inner.lock_future = None;
        for range in inner.own_ranges() {
            inner.areas.change(range, |area| area.locked = false);
        }
    }

    /// Bytes that are locked, and what locking `range` as well would make of it.
    #[must_use]
    pub fn locked(&self, range: Range<u64>) -> (u64, u64) {
        let inner = self.lock();
        let already: u64 = inner
            .areas
            .overlapping(range.clone())
            .filter(|area| area.locked)
            .map(|area| area.clipped(&range).len())
            .sum();
        let now = inner.areas.locked;
        (now, now + (range.end - range.start) - already)
    }
}

impl Inner {
    /// The program's mappings, without those that the kernel made for it.
    fn own_ranges(&self) -> Vec<Range<u64>> {
        self.areas
            .iter()
            .filter(|area| !matches!(area.backing, Backing::Named(_)))
            .map(|area| area.range())
            .collect()
    }

    fn lock_current(&mut self, lock: Lock) {
        for range in self.own_ranges() {
            self.areas.change(range.clone(), |area| area.locked = true);
            let area = self.areas.find(range.start).cloned();
            if let Some(area) = area.filter(|area| lock == Lock::Now && !area.prot.is_empty()) {
                // As on Linux, what cannot be made present is no error here: a touch will meet it.
                let write = area.prot.contains(Prot::PROT_WRITE);
                let _ = Filler::new(self, &area).fill(range, write);
            }
        }
    }
}
