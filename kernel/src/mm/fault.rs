//! Page faults, and filling mappings with pages.

use super::frame::{self, For, HUGE_ORDER, Pfn};
use super::kernel_space::frame_of;
use super::layout::{HUGE_PAGE, PAGE, page_down, virt_to_phys};
use super::map::{Area, Backing};
use super::paging::{Entry, FRAME, PRIVATE};
use super::space::{AddressSpace, Inner, is_own, page_permissions};
use super::tlb;
use crate::gate;
use core::ops::Range;
use linux_abi::{Errno, Prot};
use vfs::{AROUND, AROUND_IN_PLACE, Inode, PageRef};

const AROUND_ORDER: u8 = AROUND.trailing_zeros() as u8;

/// How memory was touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
    Execute,
}

/// Why an access cannot be satisfied: the signal that Linux sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// SIGSEGV, SEGV_MAPERR
    NoMapping,
    /// SIGSEGV, SEGV_ACCERR
    NoPermission,
    /// SIGBUS, BUS_ADRERR: past the end of the file
    PastEnd,
    /// No memory left
    OutOfMemory,
}

impl From<Errno> for Denied {
    fn from(errno: Errno) -> Self {
        if errno == Errno::ENOMEM {
            Self::OutOfMemory
        } else {
            Self::PastEnd
        }
    }
}

impl AddressSpace {
    /// Makes the page at `address` usable for `access`.
    pub fn fault(&self, address: u64, access: Access) -> Result<(), Denied> {
        let mut inner = self.lock();
        let area = inner
            .areas
            .find(address)
            .filter(|area| !matches!(area.backing, Backing::Named("")))
            .ok_or(Denied::NoMapping)?
            .clone();
        let allowed = match access {
            Access::Read => area
                .prot
                .intersects(Prot::PROT_READ | Prot::PROT_WRITE | Prot::PROT_EXEC),
            Access::Write => area.prot.contains(Prot::PROT_WRITE),
            Access::Execute => area.prot.contains(Prot::PROT_EXEC),
        };
        if !allowed {
            return Err(Denied::NoPermission);
        }
        inner.fault(&area, page_down(address), access)
    }

    /// Makes a range usable before the kernel copies to or from it, so that the copy does not fault. Answers how many bytes from the
    /// start are.
    pub fn prepare(&self, start: u64, len: u64, access: Access) -> u64 {
        let mut at = page_down(start);
        let end = start.saturating_add(len);
        while at < end {
            if !self.is_ready(at, access) && self.fault(at, access).is_err() {
                break;
            }
            at += PAGE;
        }
        at.clamp(start, end) - start
    }

    fn is_ready(&self, page: u64, access: Access) -> bool {
        let inner = self.lock();
        inner.table.get(page).is_some_and(|(entry, _)| {
            entry.is_present() && (access != Access::Write || entry.is_writable())
        })
    }
}

impl Inner {
    fn fault(&mut self, area: &Area, page: u64, access: Access) -> Result<(), Denied> {
        match self.table.get(page) {
            Some((entry, huge)) if access == Access::Write && !entry.is_writable() => {
                self.unshare(area, page, entry, huge)
            }
            Some((entry, _)) if entry.is_present() => {
                gate::invalidate_page(page); // a stale translation: the entry allows it
                Ok(())
            }
            Some((entry, huge)) => {
                self.reset_permissions(area, page, huge, is_own(area, entry, huge))
            }
            None => Filler::new(self, area).fill_around(page, access == Access::Write),
        }
    }

    /// Gives the page the permissions of its mapping, with all that lie in the same 2 MiB if it is a huge one. After a fork many pages
    /// are only waiting for that, so some around it get theirs as well.
    fn reset_permissions(
        &mut self,
        area: &Area,
        page: u64,
        huge: bool,
        own: bool,
    ) -> Result<(), Denied> {
        let range = if huge {
            let start = page & !(HUGE_PAGE - 1);
            start..start + HUGE_PAGE
        } else if own {
            around(area, page)
        } else {
            page..page + PAGE
        };
        let shared = area.backing.is_shared();
        self.table
            .change(range, &mut |address, entry, _| {
                if own && !huge && address != page && !is_own(area, entry, false) {
                    return entry;
                }
                let entry = entry.with(page_permissions(area, own));
                if own && !shared {
                    entry.made_private()
                } else {
                    entry
                }
            })
            .map_err(|_| Denied::OutOfMemory)
    }

    /// A piece of anonymous memory has become writable. Allocators take what they have reserved so, a page or two at a time, and
    /// write there at once: if the piece is small and comes after memory that is in use, it spares the fault of each page.
    pub fn fill_added(&mut self, area: &Area) {
        let before = self.table.get(area.start - PAGE);
        if area.prot.contains(Prot::PROT_WRITE)
            && matches!(area.backing, Backing::Anonymous)
            && area.len() <= AROUND * PAGE
            && before.is_some_and(|(entry, _)| entry.is_writable())
        {
            // Without memory for it the fault will tell.
            let _ = Filler::new(self, area).fill(area.range(), true);
        }
    }

    /// Makes a page of a private mapping the space's own, so that the kernel may change it.
    pub fn make_own(&mut self, area: &Area, page: u64) -> Result<(), Denied> {
        match self.table.get(page) {
            Some((entry, huge)) => self.unshare(area, page, entry, huge),
            None => Filler::new(self, area).fill(page..page + PAGE, true),
        }
    }

    /// A write to a page that is mapped read-only in a writable mapping: it becomes the space's own, or (shared) the file's
    /// writable page.
    fn unshare(&mut self, area: &Area, page: u64, entry: Entry, huge: bool) -> Result<(), Denied> {
        if is_own(area, entry, huge) {
            self.reset_permissions(area, page, huge, true)?;
            gate::invalidate_page(page);
            return Ok(());
        }
        let source = if huge {
            (entry.phys() & !(HUGE_PAGE - 1)) + (page & (HUGE_PAGE - 1))
        } else {
            entry.phys()
        };
        let old = Pfn::of(source);
        let new = if area.backing.is_shared() {
            let file = Filler::new(self, area).shared_page(page)?;
            Entry::new(file.phys(), FRAME | page_permissions(area, true))
        } else {
            let copy =
                copy_frame(super::layout::phys_to_virt(source)).ok_or(Denied::OutOfMemory)?;
            Entry::new(copy.phys(), FRAME | PRIVATE | page_permissions(area, true))
        };
        // A huge image page is split by this; then the old entry is replaced.
        self.table.set(page, new).map_err(|_| Denied::OutOfMemory)?;
        tlb::forget_page(self.table.root(), page);
        if entry.is_frame() {
            frame::put(old);
        } else {
            self.resident += 1;
        }
        Ok(())
    }
}

/// Some pages of the mapping around one of them.
fn around(area: &Area, page: u64) -> Range<u64> {
    let start = page & !(AROUND * PAGE - 1);
    start.max(area.start)..(start + AROUND * PAGE).min(area.end)
}

/// A frame with a copy of the page at `virt`.
pub(super) fn copy_frame(virt: u64) -> Option<Pfn> {
    let (pfn, _) = frame::alloc(0, For::Program)?;
    super::user::copy_page(pfn.virt(), virt);
    Some(pfn)
}

/// Fills one mapping of a locked address space with pages.
pub struct Filler<'a> {
    inner: &'a mut Inner,
    area: &'a Area,
}

impl<'a> Filler<'a> {
    pub fn new(inner: &'a mut Inner, area: &'a Area) -> Self {
        Self { inner, area }
    }

    /// The page and some around it.
    fn fill_around(mut self, page: u64, write: bool) -> Result<(), Denied> {
        if self.try_huge(page)? {
            return Ok(());
        }
        let around = if !write && self.lies_in_image(page) {
            AROUND_IN_PLACE
        } else {
            AROUND
        };
        let wanted = self.inner.ahead.touch(page / PAGE, around);
        let around =
            (wanted.start * PAGE).max(self.area.start)..(wanted.end * PAGE).min(self.area.end);
        if write && around.end - around.start == HUGE_PAGE && self.try_huge_copy(around.start) {
            return Ok(());
        }
        match self.fill(around, write) {
            // A neighbour past the end of the file, or no memory for one, is no trouble.
            Err(_) if self.inner.table.get(page).is_some() => Ok(()),
            other => other,
        }
    }

    fn lies_in_image(&self, page: u64) -> bool {
        let Backing::File { file, offset } = &self.area.backing else {
            return false;
        };
        let index = (offset + (page - self.area.start)) / PAGE;
        matches!(file.inode.map_page(index, false), Ok(PageRef::Image(_)))
    }

    /// All pages of `range` that have no entry yet.
    pub fn fill(&mut self, range: Range<u64>, write: bool) -> Result<(), Denied> {
        match &self.area.backing {
            Backing::Anonymous => self.fill_anonymous(range),
            Backing::File { file, offset } => {
                let (inode, base) = (file.inode.clone(), *offset);
                let copy = write && !file.shared;
                self.fill_file(range, inode.as_ref(), base, copy)
            }
            Backing::Named(_) => Err(Denied::NoMapping),
        }
    }

    fn fill_anonymous(&mut self, range: Range<u64>) -> Result<(), Denied> {
        let bits = FRAME | PRIVATE | page_permissions(self.area, true);
        let pages = (range.end - range.start) / PAGE;
        let resident = &mut self.inner.resident;
        let mut block: Option<(Pfn, u64)> = None;
        let mut starved = false;
        let result = self.inner.table.fill(range.start, pages, |_| {
            let (pfn, left) = match block.take() {
                Some(block) => block,
                None => match take_block(pages) {
                    Some(block) => block,
                    None => {
                        starved = true;
                        return None;
                    }
                },
            };
            if left > 1 {
                block = Some((Pfn(pfn.0 + 1), left - 1));
            }
            *resident += 1;
            Some(Entry::new(pfn.phys(), bits))
        });
        if let Some((pfn, left)) = block {
            (0..left as u32).for_each(|i| frame::put(Pfn(pfn.0 + i)));
        }
        if starved || result.is_err() {
            Err(Denied::OutOfMemory)
        } else {
            Ok(())
        }
    }

    fn fill_file(
        &mut self,
        range: Range<u64>,
        inode: &dyn Inode,
        base: u64,
        copy: bool,
    ) -> Result<(), Denied> {
        let area = self.area;
        let first = (base + (range.start - area.start)) / PAGE;
        let writable = area.backing.is_shared() && area.prot.contains(Prot::PROT_WRITE);
        let resident = &mut self.inner.resident;
        let mut failed = None;
        let result = self
            .inner
            .table
            .fill(
                range.start,
                (range.end - range.start) / PAGE,
                |i| match file_entry(area, inode, first + i, writable, copy) {
                    Ok(entry) => {
                        *resident += u64::from(entry.is_frame());
                        Some(entry)
                    }
                    Err(denied) => {
                        failed = Some(denied);
                        None
                    }
                },
            );
        match (failed, result) {
            (Some(denied), _) => Err(denied),
            (None, Err(_)) => Err(Denied::OutOfMemory),
            (None, Ok(())) => Ok(()),
        }
    }

    /// A 2 MiB page around `page`, if the mapping covers it and nothing is there yet.
    fn try_huge(&mut self, page: u64) -> Result<bool, Denied> {
        let start = page & !(HUGE_PAGE - 1);
        if self.area.stack
            || start < self.area.start
            || start + HUGE_PAGE > self.area.end
            || !self.inner.table.is_huge_free(start)
        {
            return Ok(false);
        }
        let entry = match &self.area.backing {
            Backing::Anonymous => match frame::alloc_zeroed(HUGE_ORDER, For::Program) {
                Some(pfn) => Entry::new(
                    pfn.phys(),
                    FRAME | PRIVATE | page_permissions(self.area, true),
                ),
                None => return Ok(false),
            },
            Backing::File { file, offset } => {
                let first = (offset + (start - self.area.start)) / PAGE;
                match huge_image_page(file.inode.as_ref(), first) {
                    Some(phys) => Entry::new(phys, page_permissions(self.area, false)),
                    None => return Ok(false),
                }
            }
            Backing::Named(_) => return Ok(false),
        };
        Ok(self.set_huge(start, entry))
    }

    /// A 2 MiB page at `start` with a copy of what a private mapping shows there, if nothing is there yet.
    fn try_huge_copy(&mut self, start: u64) -> bool {
        let Backing::File { file, offset } = &self.area.backing else {
            return false;
        };
        if file.shared || !start.is_multiple_of(HUGE_PAGE) || !self.inner.table.is_huge_free(start)
        {
            return false;
        }
        let first = (offset + (start - self.area.start)) / PAGE;
        let Some(block) = huge_copy(file.inode.as_ref(), first) else {
            return false;
        };
        let bits = FRAME | PRIVATE | page_permissions(self.area, true);
        self.set_huge(start, Entry::new(block.phys(), bits))
    }

    /// Answers false, and frees the entry's frames, if it cannot be set.
    fn set_huge(&mut self, start: u64, entry: Entry) -> bool {
        let set = self.inner.table.set_huge(start, entry).unwrap_or(false);
        if entry.is_frame() {
            if set {
                self.inner.resident += HUGE_PAGE / PAGE;
            } else {
                frame::put_block(entry.pfn(), HUGE_ORDER);
            }
        }
        set
    }

    /// The writable page of a shared file mapping.
    fn shared_page(&mut self, page: u64) -> Result<Pfn, Denied> {
        let Backing::File { file, offset } = &self.area.backing else {
            return Err(Denied::NoMapping);
        };
        match file
            .inode
            .map_page((offset + (page - self.area.start)) / PAGE, true)?
        {
            PageRef::Memory(page) => {
                let pfn = frame_of(page.as_ptr());
                frame::get(pfn);
                Ok(pfn)
            }
            PageRef::Image(_) => Err(Denied::NoPermission),
        }
    }
}

/// A zeroed block of 16 frames where that many are wanted and there, else one frame.
fn take_block(wanted: u64) -> Option<(Pfn, u64)> {
    if wanted >= AROUND
        && let Some(pfn) = frame::alloc_zeroed(AROUND_ORDER, For::Program)
    {
        return Some((pfn, AROUND));
    }
    frame::alloc_zeroed(0, For::Program).map(|pfn| (pfn, 1))
}

fn file_entry(
    area: &Area,
    inode: &dyn Inode,
    index: u64,
    writable: bool,
    copy: bool,
) -> Result<Entry, Denied> {
    let page = inode.map_page(index, writable)?;
    if copy {
        let pfn = copy_frame(page.as_ptr() as u64).ok_or(Denied::OutOfMemory)?;
        return Ok(Entry::new(
            pfn.phys(),
            FRAME | PRIVATE | page_permissions(area, true),
        ));
    }
    Ok(match page {
        PageRef::Memory(page) => {
            let pfn = frame_of(page.as_ptr());
            frame::get(pfn);
            Entry::new(pfn.phys(), FRAME | page_permissions(area, writable))
        }
        PageRef::Image(bytes) => Entry::new(
            virt_to_phys(bytes.as_ptr() as u64),
            page_permissions(area, false),
        ),
    })
}

/// The physical address of 2 MiB of a file that lie in the image in one aligned piece.
fn huge_image_page(inode: &dyn Inode, first: u64) -> Option<u64> {
    let image_page = |index| match inode.map_page(index, false) {
        Ok(PageRef::Image(bytes)) => Some(bytes.as_ptr() as u64),
        _ => None,
    };
    let start = image_page(first)?;
    let last = image_page(first + HUGE_PAGE / PAGE - 1)?;
    (start % HUGE_PAGE == 0 && last == start + HUGE_PAGE - PAGE).then(|| virt_to_phys(start))
}

/// 2 MiB of frames with a copy of a file's pages, if there are as many of both.
fn huge_copy(inode: &dyn Inode, first: u64) -> Option<Pfn> {
    let (block, _) = frame::alloc(HUGE_ORDER, For::Program)?;
    for i in 0..HUGE_PAGE / PAGE {
        let Ok(page) = inode.map_page(first + i, false) else {
            frame::put_block(block, HUGE_ORDER);
            return None;
        };
        super::user::copy_page(block.virt() + i * PAGE, page.as_ptr() as u64);
    }
    Some(block)
}

/// Access to a space that is not the active one (the first program's, while it is loaded).
impl AddressSpace {
    /// Makes the pages of a range present, for writing.
    pub fn prefill(&self, range: Range<u64>) -> Result<(), Errno> {
        let mut page = page_down(range.start);
        while page < range.end {
            self.fault(page, Access::Write).map_err(|_| Errno::ENOMEM)?;
            page += PAGE;
        }
        Ok(())
    }

    /// Writes into the space.
    pub fn copy_in(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let at = address + done as u64;
            let here = ((PAGE - at % PAGE) as usize).min(bytes.len() - done);
            self.fault_unless_writable(at)?;
            let inner = self.lock();
            let (entry, huge) = inner.table.get(at).ok_or(Errno::EFAULT)?;
            // The space's own threads may have changed it meanwhile.
            if !entry.is_present() || !entry.is_writable() {
                continue;
            }
            let mask = if huge { HUGE_PAGE - 1 } else { PAGE - 1 };
            let place = super::layout::phys_to_virt((entry.phys() & !mask) + (at & mask));
            super::user::write_direct(place, bytes.get(done..done + here).ok_or(Errno::EFAULT)?);
            done += here;
        }
        Ok(())
    }

    /// Reads from the space; answers how many bytes were there.
    pub fn read_range(&self, address: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while done < into.len() {
            let at = address + done as u64;
            let here = ((PAGE - at % PAGE) as usize).min(into.len() - done);
            if !self.is_ready(page_down(at), Access::Read) && self.fault(at, Access::Read).is_err()
            {
                break;
            }
            let inner = self.lock();
            let (Some((entry, huge)), Some(part)) =
                (inner.table.get(at), into.get_mut(done..done + here))
            else {
                break;
            };
            let mask = if huge { HUGE_PAGE - 1 } else { PAGE - 1 };
            super::user::read_direct(
                super::layout::phys_to_virt((entry.phys() & !mask) + (at & mask)),
                part,
            );
            done += here;
        }
        done
    }

    /// Zeroes a range.
    pub fn zero(&self, address: u64, len: u64) -> Result<(), Errno> {
        const ZEROS: [u8; 512] = [0; 512];
        let mut at = address;
        while at < address + len {
            let here = (address + len - at).min(512) as usize;
            self.copy_in(at, ZEROS.get(..here).unwrap_or(&ZEROS))?;
            at += here as u64;
        }
        Ok(())
    }

    fn fault_unless_writable(&self, address: u64) -> Result<(), Errno> {
        if self.is_ready(page_down(address), Access::Write) {
            return Ok(());
        }
        self.fault(address, Access::Write)
            .map_err(|_| Errno::ENOMEM)
    }
}
