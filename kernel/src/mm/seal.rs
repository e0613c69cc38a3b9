//! mseal(2): mappings that stay what they are.

use super::layout::is_user_range;
use super::map::Backing;
use super::space::{AddressSpace, Inner};
use core::ops::Range;
use linux_abi::{Errno, Prot};

impl AddressSpace {
    /// From now on nothing in the range is unmapped, moved, replaced or given another protection.
    pub fn seal(&self, range: Range<u64>) -> Result<(), Errno> {
        let mut inner = self.lock();
        if !is_user_range(range.start, range.end - range.start)
            || !inner.areas.covers(range.clone())
        {
            return Err(Errno::ENOMEM);
        }
        inner.areas.change(range, |area| area.sealed = true);
        Ok(())
    }
}

impl Inner {
    /// EPERM if something in the range is sealed.
    pub(super) fn check_unsealed(&self, range: &Range<u64>) -> Result<(), Errno> {
        if self
            .areas
            .overlapping(range.clone())
            .any(|area| area.sealed)
        {
            Err(Errno::EPERM)
        } else {
            Ok(())
        }
    }

    /// EPERM if the range holds sealed private memory that cannot be written: to discard it would be to write.
    pub(super) fn check_discardable(&self, range: &Range<u64>) -> Result<(), Errno> {
        let is_kept = |backing: &Backing, prot: Prot| {
            !backing.is_shared() && !prot.contains(Prot::PROT_WRITE)
        };
        let mut areas = self.areas.overlapping(range.clone());
        if areas.any(|area| area.sealed && is_kept(&area.backing, area.prot)) {
            Err(Errno::EPERM)
        } else {
            Ok(())
        }
    }
}
