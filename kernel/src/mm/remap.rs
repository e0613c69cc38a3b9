//! mremap(2): another size, another place.

use super::layout::{HUGE_PAGE, PAGE, USER_START, is_user_range};
use super::map::{Area, Backing};
use super::paging::{Entry, HUGE};
use super::space::{AddressSpace, At, Inner};
use super::tlb::Dropped;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use linux_abi::Errno;

impl AddressSpace {
    /// mremap(2) to another size at the same place or, if `to` is given, another place.
    pub fn remap(
        &self,
        old: Range<u64>,
        new_len: u64,
        may_move: bool,
        to: Option<u64>,
        keep_old: bool,
    ) -> Result<u64, Errno> {
        let old_len = old.end - old.start;
        if !is_user_range(old.start, old_len)
            || to.is_some_and(|to| !is_user_range(to, new_len) || to < USER_START)
        {
            return Err(Errno::EINVAL);
        }
        let mut inner = self.lock();
        inner.check_unsealed(&old)?;
        let area = inner
            .areas
            .find(old.start)
            .filter(|area| area.end >= old.end)
            .ok_or(Errno::EFAULT)?
            .clone();
        if to.is_none() && new_len <= old_len && !keep_old {
            inner.unmap(old.start + new_len..old.end)?;
            return Ok(old.start);
        }
        let source = area.clipped(&old);
        if to.is_none() && old.end == area.end && !keep_old {
            let more = old.end..old.start + new_len;
            if is_user_range(old.start, new_len) && inner.areas.is_free(more.clone()) {
                inner.areas.insert(Area {
                    start: more.start,
                    end: more.end,
                    backing: source.clipped_backing(old_len),
                    ..source
                });
                return Ok(old.start);
            }
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        inner.relocate(&source, new_len, to, keep_old)
    }
}

impl AddressSpace {
    /// remap_file_pages(2): the range, which shared mappings of one file cover, shows the file from `offset` on.
    pub fn remap_file(&self, range: Range<u64>, offset: u64) -> Result<(), Errno> {
        let mut inner = self.lock();
        let first = inner.areas.find(range.start).ok_or(Errno::EINVAL)?.clone();
        let file = match first.backing.file() {
            Some((file, _)) if file.shared => file.clone(),
            _ => return Err(Errno::EINVAL),
        };
        let alike = |area: &Area| {
            area.prot == first.prot
                && area.backing.file().is_some_and(|(other, _)| {
                    Arc::ptr_eq(&other.inode, &file.inode) && other.shared
                })
        };
        if !inner.areas.covers(range.clone()) || !inner.areas.overlapping(range.clone()).all(alike)
        {
            return Err(Errno::EINVAL);
        }
        inner.unmap(range.clone())?;
        let area = Area {
            start: range.start,
            end: range.end,
            backing: Backing::File { file, offset },
            ..first
        };
        inner.areas.insert(area.clone());
        inner.populate(&area, true);
        Ok(())
    }
}

impl Area {
    /// The backing of what follows after `len` bytes of this mapping.
    fn clipped_backing(&self, len: u64) -> Backing {
        match &self.backing {
            Backing::File { file, offset } => Backing::File {
                file: file.clone(),
                offset: offset + len,
            },
            other => other.clone(),
        }
    }
}

impl Inner {
    fn relocate(
        &mut self,
        source: &Area,
        new_len: u64,
        to: Option<u64>,
        keep_old: bool,
    ) -> Result<u64, Errno> {
        if self.patches.pages_in(&source.range()).next().is_some() {
            // Its jumps are relative to where it lies.
            crate::notice::once_each("not implemented: mremap: moving code of the image".into());
            return Err(Errno::ENOMEM);
        }
        let target = match to {
            Some(to) => {
                if to < source.end && source.start < to + new_len {
                    return Err(Errno::EINVAL);
                }
                self.unmap(to..to + new_len)?;
                to
            }
            None => self.place(
                At::Anywhere {
                    hint: 0,
                    below_4g: false,
                },
                new_len,
                &source.backing,
            )?,
        };
        let keep = source.len().min(new_len);
        let mut moved: Vec<(u64, Entry)> = Vec::new();
        let mut dropped = Dropped::new(self.table.root());
        self.table.change(
            source.start..source.start + keep,
            &mut |address, entry, huge| {
                let count = if huge { HUGE_PAGE / PAGE } else { 1 };
                for i in 0..count {
                    let page = Entry(entry.0 + i * PAGE);
                    moved.push((
                        address + i * PAGE,
                        if huge { Entry(page.0 & !HUGE) } else { page },
                    ));
                }
                dropped.note(address, entry);
                Entry(0)
            },
        )?;
        dropped.flush();
        for (address, entry) in moved {
            self.table.set(target + (address - source.start), entry)?;
        }
        if !keep_old {
            self.drop_pages(source.range())?;
            self.areas.remove(source.range());
        }
        self.areas.insert(Area {
            start: target,
            end: target + new_len,
            ..source.clone()
        });
        Ok(target)
    }
}
