//! An address space: mappings, page tables, and the operations of mmap(2) and its kin.

use super::fault::Filler;
use super::frame;
use super::gaps::Wanted;
use super::kernel_space;
use super::layout::{
    HUGE_PAGE, KERNEL_END, KERNEL_START, PAGE, USER_END, USER_START, is_user_range, page_down,
    page_up,
};
use super::lock::Lock;
use super::map::{Area, AreaMap, Backing, FileBacking, OnFork};
use super::paging::{Entry, NO_EXECUTE, NoMemory, PRESENT, PageTable, WRITABLE};
use super::patch::Patches;
use super::tlb::{self, Dropped};
use crate::rank::{self, Ranked, RankedGuard};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use linux_abi::{Errno, MapFlags, Prot};
use vfs::{AROUND, Ahead, Inode, Mapper};

const MAX_AREAS: usize = vfs::MAX_MAP_COUNT;
/// Pages of a private writable file mapping up to which all are copied at once: they are about to be relocated.
const COPY_AT_ONCE: u64 = 512;
/// Pages of an anonymous mapping up to which all are made present at once.
const FILL_AT_ONCE: u64 = 256;
/// Pages of a file mapping up to which all are made present at once.
const MAP_AT_ONCE: u64 = 2048;

/// Where an anonymous or file mapping is wanted.
#[derive(Clone, Copy)]
pub enum At {
    Anywhere { hint: u64, below_4g: bool },
    Fixed(u64),
    FixedNoReplace(u64),
}

pub struct Inner {
    pub areas: AreaMap,
    pub table: PageTable,
    pub patches: Patches,
    pub(super) brk: Range<u64>,
    pub(super) mmap_top: u64,
    /// Frames that this space holds, in pages.
    pub resident: u64,
    /// The most it ever was, when some were given back.
    peak: u64,
    /// Where pages are touched one after the other.
    pub(super) ahead: Ahead,
    /// mlockall(MCL_FUTURE)
    pub(super) lock_future: Option<Lock>,
}

/// A process's memory. Shared by threads (and by vfork children).
pub struct AddressSpace {
    pub(super) this: Weak<AddressSpace>,
    inner: Ranked<Inner, { rank::SPACE }>,
    root: u64,
}

impl From<NoMemory> for Errno {
    fn from(_: NoMemory) -> Self {
        Errno::ENOMEM
    }
}

fn permissions(prot: Prot) -> u64 {
    let present = if prot.intersects(Prot::PROT_READ | Prot::PROT_WRITE | Prot::PROT_EXEC) {
        PRESENT
    } else {
        0
    };
    let execute = if prot.contains(Prot::PROT_EXEC) {
        0
    } else {
        NO_EXECUTE
    };
    present
        | execute
        | if prot.contains(Prot::PROT_WRITE) {
            WRITABLE
        } else {
            0
        }
}

/// The permission bits that a page of `area` gets when it may be written in place, and when it may not.
#[must_use]
pub fn page_permissions(area: &Area, writable: bool) -> u64 {
    let bits = permissions(area.prot);
    if writable { bits } else { bits & !WRITABLE }
}

/// Whether a page of `area` may be written in place: it is the shared object's, or nobody else has it.
#[must_use]
pub fn is_own(area: &Area, entry: Entry, huge: bool) -> bool {
    entry.is_frame()
        && (area.backing.is_shared()
            || if huge {
                frame::is_exclusive_block(entry.pfn(), frame::HUGE_ORDER)
            } else {
                frame::is_exclusive(entry.pfn())
            })
}

impl AddressSpace {
    pub fn new() -> Result<Arc<Self>, Errno> {
        let table = kernel_space::new_page_table()?;
        let root = table.root();
        let inner = Inner {
            areas: AreaMap::new(),
            table,
            patches: Patches::default(),
            brk: 0..0,
            mmap_top: USER_END,
            resident: 0,
            peak: 0,
            ahead: Ahead::default(),
            lock_future: None,
        };
        Ok(Arc::new_cyclic(|this| Self {
            this: this.clone(),
            inner: Ranked::new(inner),
            root,
        }))
    }

    /// For CR3.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.root
    }

    pub fn lock(&self) -> RankedGuard<'_, Inner, { rank::SPACE }> {
        let free = self.inner.try_lock();
        free.unwrap_or_else(|| tlb::quietly(|| self.inner.lock()))
    }

    /// The same for a space that nobody else knows yet, with another one locked.
    pub(super) fn lock_another(&self) -> RankedGuard<'_, Inner, { rank::SPACE }> {
        self.inner.lock_another()
    }

    /// Where mappings grow down from, and where the heap starts.
    pub fn set_layout(&self, mmap_top: u64, brk_start: u64) {
        let mut inner = self.lock();
        inner.mmap_top = mmap_top;
        inner.brk = brk_start..brk_start;
    }

    /// Maps `len` bytes (page multiple).
    pub fn map(
        &self,
        at: At,
        len: u64,
        prot: Prot,
        backing: Backing,
        flags: MapFlags,
    ) -> Result<u64, Errno> {
        let mut inner = self.lock();
        let start = inner.place(at, len, &backing)?;
        let range = start..start + len;
        if inner.areas.count() >= MAX_AREAS {
            return Err(Errno::ENOMEM);
        }
        inner.unmap(range.clone())?;
        if let Backing::File { file, .. } = &backing {
            let mapper: Weak<dyn Mapper> = self.this.clone();
            file.inode.add_mapper(mapper);
        }
        let stack = flags.intersects(MapFlags::MAP_GROWSDOWN | MapFlags::MAP_STACK);
        let area = Area {
            start,
            end: range.end,
            prot,
            backing,
            stack,
            on_fork: OnFork::Keep,
            locked: flags.contains(MapFlags::MAP_LOCKED) || inner.lock_future.is_some(),
            sealed: false,
        };
        inner.areas.insert(area.clone());
        if prot.contains(Prot::PROT_EXEC) {
            inner.apply_patches(&area)?;
        }
        let everything = flags.intersects(MapFlags::MAP_POPULATE | MapFlags::MAP_LOCKED)
            || inner.lock_future == Some(Lock::Now);
        inner.populate(&area, everything);
        Ok(start)
    }

    pub fn unmap(&self, range: Range<u64>) -> Result<(), Errno> {
        if range.end > USER_END || range.is_empty() {
            return Err(Errno::EINVAL);
        }
        // The kernel lies among what the program may use, which need not know: a range over it is what is on both sides.
        let mut inner = self.lock();
        inner.unmap(range.start..range.end.min(KERNEL_START))?;
        inner.unmap(range.start.max(KERNEL_END)..range.end)
    }

    pub fn protect(&self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        if !is_user_range(range.start, range.end - range.start) {
            return Err(Errno::ENOMEM);
        }
        self.lock().protect(range, prot)
    }

    /// Moves the program break; answers where it is then.
    pub fn brk(&self, to: u64) -> u64 {
        let mut inner = self.lock();
        let Range { start, end } = inner.brk;
        if to < start || to >= USER_END {
            return end;
        }
        let (old, new) = (page_up(end), page_up(to));
        let moved = if new > old {
            inner.grow_heap(old..new)
        } else {
            inner.unmap(new..old).is_ok()
        };
        if moved {
            inner.brk.end = to;
        }
        inner.brk.end
    }

    /// Drops the pages of a range; later touches find zeros, or the file's data again (`MADV_DONTNEED`). Locked ones
    /// only if that is said.
    pub fn discard(&self, range: Range<u64>, even_locked: bool) -> Result<(), Errno> {
        let mut inner = self.lock();
        inner.check_discardable(&range)?;
        let covered = inner.areas.covers(range.clone());
        if !even_locked
            && inner
                .areas
                .overlapping(range.clone())
                .any(|area| area.locked)
        {
            return Err(Errno::EINVAL);
        }
        // Patched code keeps its pages: half a patch would be no code, and to the program they are the file's.
        let mut kept: Vec<u64> = inner.patches.pages_in(&range).collect();
        kept.sort_unstable();
        let mut at = range.start;
        for page in kept {
            inner.drop_pages(at..page.max(at))?;
            at = page + PAGE;
        }
        inner.drop_pages(at.min(range.end)..range.end)?;
        if covered { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Resident pages and mapped bytes.
    #[must_use]
    pub fn usage(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.resident, inner.areas.total)
    }

    /// What the program may see in place of a program counter inside a trampoline.
    #[must_use]
    pub fn visible_pc(&self, pc: u64) -> u64 {
        self.lock().patches.visible_pc(pc).unwrap_or(pc)
    }

    /// Where a context that the program gives is to go on.
    #[must_use]
    pub fn resume_pc(&self, pc: u64) -> u64 {
        self.lock().patches.resume_pc(pc).unwrap_or(pc)
    }
}

impl Mapper for AddressSpace {
    fn invalidate(&self, dev: u64, ino: u64, pages: Range<u64>, truncated: bool) {
        let mut inner = self.lock();
        let hit = |area: &Area| match &area.backing {
            Backing::File { file, offset }
                if file.inode.ino() == ino && file.inode.metadata().dev == dev =>
            {
                let first = offset / PAGE;
                let start = pages.start.max(first);
                let end = pages.end.min(first + area.len() / PAGE);
                (start < end).then(|| {
                    (
                        area.start + (start - first) * PAGE..area.start + (end - first) * PAGE,
                        file.shared || truncated,
                    )
                })
            }
            _ => None,
        };
        let ranges: Vec<(Range<u64>, bool)> = inner.areas.iter().filter_map(hit).collect();
        for (range, copies) in ranges {
            // A failure means no memory to split a huge page: then the stale page stays, as a private copy would.
            let _ = inner.drop_file_pages(range, copies);
        }
    }
}

impl Inner {
    pub fn place(&mut self, at: At, len: u64, backing: &Backing) -> Result<u64, Errno> {
        let fixed = |addr: u64| {
            if addr < USER_START {
                Err(Errno::EPERM)
            } else if is_user_range(addr, len) {
                Ok(addr)
            } else {
                Err(Errno::ENOMEM)
            }
        };
        match at {
            At::Fixed(addr) => fixed(addr),
            At::FixedNoReplace(addr) => {
                let addr = fixed(addr)?;
                if self.areas.is_free(addr..addr + len) {
                    Ok(addr)
                } else {
                    Err(Errno::EEXIST)
                }
            }
            At::Anywhere { hint, below_4g } => {
                let hint = page_down(hint);
                if hint >= USER_START
                    && is_user_range(hint, len)
                    && self.areas.is_free(hint..hint + len)
                {
                    return Ok(hint);
                }
                if below_4g {
                    return self
                        .areas
                        .find_gap_above(0x4000_0000..0x8000_0000, len)
                        .ok_or(Errno::ENOMEM);
                }
                let gap = self.areas.find_gap(self.mmap_top, wanted(len, backing));
                gap.or_else(|| self.areas.find_gap_below(USER_END, Wanted::pages(len)))
                    .ok_or(Errno::ENOMEM)
            }
        }
    }

    pub fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        if range.is_empty() || self.areas.is_free(range.clone()) {
            return Ok(());
        }
        self.check_unsealed(&range)?;
        self.drop_pages(range.clone())?;
        self.patches.forget(&range);
        self.areas.remove(range);
        Ok(())
    }

    /// The most pages that it held at any time.
    pub fn peak(&mut self) -> u64 {
        self.peak = self.peak.max(self.resident);
        self.peak
    }

    /// Takes the entries of a range out and gives their frames back.
    pub fn drop_pages(&mut self, range: Range<u64>) -> Result<(), Errno> {
        self.peak();
        let mut dropped = Dropped::new(self.table.root());
        let resident = &mut self.resident;
        let result = self.table.change(range, &mut |address, entry, _| {
            dropped.note(address, entry);
            *resident = resident.saturating_sub(dropped.release(entry));
            Entry(0)
        });
        dropped.flush();
        Ok(result?)
    }

    /// The same for the pages of a file that changed; private copies only go with `copies`.
    fn drop_file_pages(&mut self, range: Range<u64>, copies: bool) -> Result<(), NoMemory> {
        let mut dropped = Dropped::new(self.table.root());
        let resident = &mut self.resident;
        let result = self.table.change(range, &mut |address, entry, _| {
            if !copies && entry.is_private() {
                return entry;
            }
            dropped.note(address, entry);
            *resident = resident.saturating_sub(dropped.release(entry));
            Entry(0)
        });
        dropped.flush();
        result
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        self.check_unsealed(&range)?;
        let mut at = range.start;
        let areas: Vec<Area> = self
            .areas
            .overlapping(range.clone())
            .map(|area| area.clipped(&range))
            .collect();
        for area in areas {
            if area.start > at {
                return Err(Errno::ENOMEM);
            }
            if let Backing::File { file, .. } = &area.backing
                && file.shared
                && prot.contains(Prot::PROT_WRITE)
                && !file.may_write
            {
                return Err(Errno::EACCES);
            }
            at = area.end;
            self.protect_area(area, prot)?;
        }
        if at < range.end {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }

    fn protect_area(&mut self, area: Area, prot: Prot) -> Result<(), Errno> {
        if area.prot == prot {
            return Ok(());
        }
        let was_executable = area.prot.contains(Prot::PROT_EXEC);
        self.areas.change(area.range(), |area| area.prot = prot);
        let area = Area { prot, ..area };
        let mut lost = Dropped::new(self.table.root());
        self.table
            .change(area.range(), &mut |address, entry, huge| {
                let own = is_own(&area, entry, huge);
                let new = entry.with(page_permissions(&area, own));
                if entry.is_present()
                    && ((entry.0 & !new.0) & (PRESENT | WRITABLE) != 0
                        || (!entry.0 & new.0) & NO_EXECUTE != 0)
                {
                    lost.note(address, entry);
                }
                new
            })?;
        lost.flush();
        self.fill_added(&area);
        if prot.contains(Prot::PROT_EXEC) && !was_executable {
            self.apply_patches(&area)?;
        }
        Ok(())
    }

    fn grow_heap(&mut self, range: Range<u64>) -> bool {
        if !is_user_range(range.start, range.end - range.start)
            || !self.areas.is_free(range.clone())
        {
            return false;
        }
        let (free, _) = frame::counts();
        if (range.end - range.start) / PAGE > free {
            return false;
        }
        let area = Area {
            start: range.start,
            end: range.end,
            prot: Prot::PROT_READ | Prot::PROT_WRITE,
            backing: Backing::Anonymous,
            stack: false,
            on_fork: OnFork::Keep,
            locked: self.lock_future.is_some(),
            sealed: false,
        };
        self.areas.insert(area.clone());
        self.populate(&area, self.lock_future == Some(Lock::Now));
        true
    }

    /// Makes pages present that are about to be used. Running out of memory is no error here: a fault will meet it again.
    pub(super) fn populate(&mut self, area: &Area, everything: bool) {
        let pages = area.len() / PAGE;
        let limit = match &area.backing {
            Backing::Anonymous => FILL_AT_ONCE,
            Backing::File { file, .. } if !file.shared && area.prot.contains(Prot::PROT_WRITE) => {
                COPY_AT_ONCE
            }
            Backing::File { .. } => MAP_AT_ONCE,
            Backing::Named(_) => return,
        };
        let usable = area
            .prot
            .intersects(Prot::PROT_READ | Prot::PROT_WRITE | Prot::PROT_EXEC);
        if usable && (everything || pages <= limit) {
            let write = area.prot.contains(Prot::PROT_WRITE);
            let mut range = area.range();
            if area.stack && !everything {
                // Most stacks are used at their upper end only.
                range.start = range.start.max(range.end - AROUND * PAGE);
            }
            let _ = Filler::new(self, area).fill(range, write);
        }
    }
}

/// 2 MiB alignment for what can use huge pages; for files, the address modulo 2 MiB that their pages have in memory.
fn wanted(len: u64, backing: &Backing) -> Wanted {
    let huge = |residue| Wanted {
        len,
        align: HUGE_PAGE,
        residue,
    };
    match backing {
        _ if len < HUGE_PAGE => Wanted::pages(len),
        Backing::Anonymous => huge(0),
        Backing::File { file, offset } => file
            .inode
            .map_page(offset / PAGE, false)
            .map_or(Wanted::pages(len), |page| {
                huge(page.as_ptr() as u64 % HUGE_PAGE)
            }),
        Backing::Named(_) => Wanted::pages(len),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // No CPU uses the tables any more, so nothing is noted.
        let mut dropped = Dropped::new(self.table.root());
        // Whole entries only, so nothing is split and nothing can run out.
        let _ = self.table.change(0..USER_END + PAGE, &mut |_, entry, _| {
            dropped.release(entry);
            Entry(0)
        });
        dropped.flush();
    }
}

/// The file behind a mapping.
#[must_use]
pub fn file_backing(file: &vfs::File, inode: Arc<dyn Inode>, shared: bool, offset: u64) -> Backing {
    let may_write = file.may_map_writable();
    let backing = FileBacking {
        inode,
        place: Some(file.place().clone()),
        shared,
        may_write,
    };
    Backing::File {
        file: Arc::new(backing),
        offset,
    }
}
