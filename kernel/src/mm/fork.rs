//! fork(2): a second space with the same contents. Private pages are read-only in both until one side writes, which gives that
//! side a copy (`Inner::unshare`); pages of shared mappings are simply in both.

use super::fault::copy_frame;
use super::frame;
use super::layout::{PAGE, USER_END, is_user_range, page_down};
use super::map::{Area, AreaMap, Backing, OnFork};
use super::paging::{Entry, PageTable};
use super::patch::Patches;
use super::space::{AddressSpace, Inner};
use super::tlb::Dropped;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use linux_abi::Errno;
use vfs::Mapper;

/// The most page tables that copying one entry takes.
const TABLES_AT_ONCE: u64 = 3;
/// So many pages are copied at once at the most.
const COPIES: u32 = 24;

impl AddressSpace {
    /// A space for a child process. Both sides are about to write where `hot` points to. `ENOMEM`
    pub fn fork(&self, hot: &[u64]) -> Result<Arc<Self>, Errno> {
        let child = Self::new()?;
        let mut ours = self.lock();
        {
            let mut theirs = child.lock_another();
            theirs.brk = ours.brk.clone();
            theirs.mmap_top = ours.mmap_top;
            theirs.patches = ours.patches.clone();
            let areas: Vec<Area> = ours
                .areas
                .iter()
                .filter(|area| area.on_fork != OnFork::Omit)
                .cloned()
                .collect();
            let mut lost = Dropped::new(ours.table.root());
            let mut copied_now = Copies { hot, left: COPIES };
            let copied = areas.iter().try_for_each(|area| {
                theirs.inherit(area, &child.this);
                if area.on_fork == OnFork::Wipe {
                    return Ok(());
                }
                ours.copy_pages(area, &mut theirs, &mut lost, &mut copied_now)
            });
            lost.flush();
            copied?;
        }
        Ok(child)
    }

    /// The last process that used the space has ended, or has gone to another one: gives the memory back.
    pub fn clear(&self) {
        let (areas, patches) = {
            let mut inner = self.lock();
            // Whole entries only, so nothing is split and nothing can run out.
            let _ = inner.drop_pages(0..USER_END + PAGE);
            (
                core::mem::replace(&mut inner.areas, AreaMap::new()),
                core::mem::take::<Patches>(&mut inner.patches),
            )
        };
        // Files may go with their last mapping, which is not for under the lock.
        drop((areas, patches));
    }

    /// The most pages that it held at any time.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.lock().peak()
    }

    /// `MADV_WIPEONFORK`, `MADV_DONTFORK` and what takes them back. `ENOMEM` for a hole, `EINVAL` where zeros would not be the
    /// process's own.
    pub fn set_on_fork(&self, range: Range<u64>, on_fork: OnFork) -> Result<(), Errno> {
        let mut inner = self.lock();
        if !is_user_range(range.start, range.end - range.start)
            || !inner.areas.covers(range.clone())
        {
            return Err(Errno::ENOMEM);
        }
        let is_anonymous = |area: &Area| matches!(area.backing, Backing::Anonymous);
        if on_fork == OnFork::Wipe && !inner.areas.overlapping(range.clone()).all(is_anonymous) {
            return Err(Errno::EINVAL);
        }
        inner.areas.change(range, |area| area.on_fork = on_fork);
        Ok(())
    }
}

impl Inner {
    /// A mapping of the parent's. Locks are not inherited.
    fn inherit(&mut self, area: &Area, this: &Weak<AddressSpace>) {
        if let Backing::File { file, .. } = &area.backing {
            let mapper: Weak<dyn Mapper> = this.clone();
            file.inode.add_mapper(mapper);
        }
        self.areas.insert(Area {
            locked: false,
            ..area.clone()
        });
    }

    /// The pages of a mapping. What can be written from here on is noted in `lost`.
    fn copy_pages(
        &mut self,
        area: &Area,
        child: &mut Inner,
        lost: &mut Dropped,
        copies: &mut Copies<'_>,
    ) -> Result<(), Errno> {
        let shared = area.backing.is_shared();
        let is_file = area.backing.file().is_some();
        let mut failed = false;
        self.table
            .change(area.range(), &mut |address, entry, huge| {
                if !shared && !huge && copies.wants(address, entry, is_file) {
                    let copy = copy_frame(entry.virt())
                        .map(|copy| entry.renamed(copy))
                        .filter(|copy| put(&mut child.table, address, *copy, false).is_ok());
                    if copy.is_some() {
                        child.resident += 1;
                    } else {
                        failed = true;
                    }
                    return entry;
                }
                let new = if shared { entry } else { entry.read_only() };
                if failed || put(&mut child.table, address, new, huge).is_err() {
                    failed = true;
                    return entry;
                }
                child.resident += hold(entry, huge);
                if new != entry {
                    lost.note(address, entry);
                }
                new
            })?;
        if failed { Err(Errno::ENOMEM) } else { Ok(()) }
    }
}

/// What is copied at once rather than shared: a fault on each side costs more than a few copies.
struct Copies<'a> {
    hot: &'a [u64],
    left: u32,
}

impl Copies<'_> {
    /// Pages that programs write all the time: those of the stack and of the thread, and the data of files.
    fn wants(&mut self, page: u64, entry: Entry, is_file: bool) -> bool {
        let wanted = entry.is_writable()
            && entry.is_private()
            && self.left > 0
            && (is_file || self.hot.iter().any(|&at| page_down(at) == page));
        self.left -= u32::from(wanted);
        wanted
    }
}

/// Sets an entry of a table in which there is none. What the kernel keeps for itself is not taken for it.
fn put(table: &mut PageTable, address: u64, entry: Entry, huge: bool) -> Result<(), Errno> {
    if frame::is_short_of(TABLES_AT_ONCE) {
        return Err(Errno::ENOMEM);
    }
    if huge {
        table.set_huge(address, entry)?;
    } else {
        table.set(address, entry)?;
    }
    Ok(())
}

/// One more holder of what the entry names. Answers how many pages that are.
fn hold(entry: Entry, huge: bool) -> u64 {
    match (entry.is_frame(), huge) {
        (false, _) => 0,
        (true, false) => {
            frame::get(entry.pfn());
            1
        }
        (true, true) => {
            frame::get_block(entry.pfn(), frame::HUGE_ORDER);
            512
        }
    }
}
