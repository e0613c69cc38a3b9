//! Patched code: applying the image's plans to executable mappings, and translating program counters.

use super::frame::{self, For, Pfn};
use super::gaps::Wanted;
use super::layout::{PAGE, USER_START, is_user_range, page_down, phys_to_virt};
use super::map::{Area, Backing, OnFork};
use super::paging::{Entry, FRAME, PRESENT, PRIVATE};
use super::patched::{self, Key, Patched};
use super::space::{Inner, page_permissions};
use super::user;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_abi::{Errno, Prot};
use loader::patch::{self, CodeMemory, Counts, Mapping, MemoryFault, PatchMap};
use vfs::Inode;

/// How far a trampoline may be from the code: a `jmp rel32` reaches 2 GiB, less some room for the sizes themselves.
const REACH: u64 = (2 << 30) - (64 << 20);

/// Sites patched and left since boot, for the statistics.
pub static PATCHED: AtomicU32 = AtomicU32::new(0);
pub static SKIPPED: AtomicU32 = AtomicU32::new(0);

/// What has been patched in an address space.
#[derive(Clone, Default)]
pub struct Patches {
    modules: Vec<Module>,
}

#[derive(Clone)]
struct Module {
    code: Range<u64>,
    trampolines: Range<u64>,
    map: PatchMap,
    /// The pages that hold patched code.
    pages: Vec<u64>,
}

impl Patches {
    #[must_use]
    pub fn visible_pc(&self, pc: u64) -> Option<u64> {
        let holds =
            |module: &&Module| module.trampolines.contains(&pc) || module.code.contains(&pc);
        self.modules
            .iter()
            .filter(holds)
            .find_map(|module| module.map.visible_pc(pc))
    }

    #[must_use]
    pub fn resume_pc(&self, pc: u64) -> Option<u64> {
        self.modules
            .iter()
            .find(|module| module.code.contains(&pc))?
            .map
            .resume_pc(pc)
    }

    /// The pages of `range` that hold patched code.
    pub fn pages_in(&self, range: &Range<u64>) -> impl Iterator<Item = u64> {
        let patched = self.modules.iter().filter(|module| !module.map.is_empty());
        let pages = patched.flat_map(|module| &module.pages).copied();
        pages.filter(|page| range.contains(page))
    }

    /// Whether the plan was applied to all of `range` already.
    fn cover(&self, range: &Range<u64>) -> bool {
        let holds = |code: &Range<u64>| code.start <= range.start && range.end <= code.end;
        self.modules.iter().any(|module| holds(&module.code))
    }

    /// All code in `range` is unmapped. Its trampolines stay mapped (a thread may be in one) but are no longer translated.
    pub fn forget(&mut self, range: &Range<u64>) {
        self.modules
            .retain(|module| module.code.start < range.start || module.code.end > range.end);
    }
}

/// Reads and writes code through the direct map, whatever its protection.
struct Code<'a>(&'a Inner);

impl Code<'_> {
    /// The direct-map address of a program address.
    fn locate(&self, address: u64) -> Result<u64, MemoryFault> {
        let (entry, huge) = self
            .0
            .table
            .get(address)
            .filter(|(entry, _)| entry.is_present())
            .ok_or(MemoryFault)?;
        let mask = if huge {
            super::layout::HUGE_PAGE - 1
        } else {
            PAGE - 1
        };
        Ok(phys_to_virt((entry.phys() & !mask) + (address & mask)))
    }

    /// Calls `with` with each run of bytes inside one page: its place, and where it lies in the whole.
    fn runs(
        &self,
        address: u64,
        len: usize,
        mut with: impl FnMut(u64, Range<usize>),
    ) -> Result<(), MemoryFault> {
        let mut done = 0;
        while done < len {
            let at = address + done as u64;
            let here = ((PAGE - at % PAGE) as usize).min(len - done);
            with(self.locate(at)?, done..done + here);
            done += here;
        }
        Ok(())
    }
}

impl CodeMemory for Code<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryFault> {
        self.runs(address, buffer.len(), |place, part| {
            user::read_direct(place, &mut buffer[part])
        })
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        self.runs(address, bytes.len(), |_, _| ())?;
        self.runs(address, bytes.len(), |place, part| {
            user::write_direct(place, &bytes[part])
        })
    }
}

impl Inner {
    /// Patches an executable mapping of a file of the image for which there is a plan. A mapping that cannot be patched
    /// is left as it is: its sites take the trap.
    pub fn apply_patches(&mut self, area: &Area) -> Result<(), Errno> {
        let Backing::File { file, offset } = &area.backing else {
            return Ok(());
        };
        if file.shared || area.prot.contains(Prot::PROT_WRITE) {
            return Ok(());
        }
        // It was executable before.
        if self.patches.cover(&area.range()) {
            return Ok(());
        }
        // Inodes of the image have their nid as number. What was written since fails the records' checks.
        if file.inode.metadata().dev != crate::boot::ROOT_DEV {
            return Ok(());
        }
        let inode = file.inode.clone();
        let key = Key {
            nid: inode.ino(),
            offset: *offset,
            len: area.len(),
        };
        if let Some(patched) = patched::find(key)
            && self.use_patched(area, &*inode, &patched)?
        {
            return Ok(());
        }
        self.patch_anew(area, &*inode, key)
    }

    /// Maps code that was patched before. Answers false where it does not fit.
    fn use_patched(
        &mut self,
        area: &Area,
        inode: &dyn Inode,
        patched: &Patched,
    ) -> Result<bool, Errno> {
        let Some(at) = self.find_trampolines(area, patched.trampolines_len()) else {
            return Ok(false);
        };
        // What the space has of its own already may differ from the file.
        let untouched = patched
            .code(area.start)
            .all(|(page, _)| self.table.get(page).is_none());
        if !untouched || !patched.fits(area, at, inode) {
            return Ok(false);
        }
        let map = patched.map_at(area.start)?;
        let bits = FRAME | PRIVATE | page_permissions(area, false);
        let mut pages = Vec::new();
        for (page, pfn) in patched.code(area.start) {
            self.share_frame(page, pfn, bits)?;
            pages.push(page);
        }
        let places = (at..).step_by(PAGE as usize);
        for (page, pfn) in places.zip(patched.trampolines()) {
            self.share_frame(page, *pfn, FRAME | PRIVATE | PRESENT)?;
        }
        let trampolines = at..at + patched.trampolines_len();
        self.insert_trampolines(trampolines.clone());
        self.note_module(area, trampolines, (map, patched.counts), pages);
        Ok(true)
    }

    fn share_frame(&mut self, page: u64, pfn: Pfn, bits: u64) -> Result<(), Errno> {
        self.table.set(page, Entry::new(pfn.phys(), bits))?;
        frame::get(pfn);
        self.resident += 1;
        Ok(())
    }

    fn patch_anew(&mut self, area: &Area, inode: &dyn Inode, key: Key) -> Result<(), Errno> {
        let Some(sites) = crate::boot::image()
            .plans()
            .map(|plans| plans.sites(key.nid))
        else {
            return Ok(());
        };
        let mapping = Mapping {
            vaddr: area.start,
            file_offset: key.offset,
            len: key.len,
        };
        let sites = sites.within(&mapping.file_range());
        if sites.is_empty() {
            return Ok(());
        }
        let pages = patch::pages_touched(&sites, &mapping).map_err(|_| Errno::ENOMEM)?;
        // Of what the space has changed already nothing is kept.
        let sources: Option<Vec<u64>> = pages
            .iter()
            .map(|&page| {
                let is_own = self
                    .table
                    .get(page)
                    .is_some_and(|(entry, _)| entry.is_frame());
                let index = (key.offset + (page - area.start)) / PAGE;
                patched::image_page(inode, index).filter(|_| !is_own)
            })
            .collect();
        for &page in &pages {
            self.make_own(area, page).map_err(|_| Errno::ENOMEM)?;
        }
        let Some(trampolines) = self.map_trampolines(area, patch::trampoline_size(&sites) + 16)?
        else {
            SKIPPED.fetch_add(sites.len() as u32, Ordering::Relaxed);
            return Ok(());
        };
        let room = patch::Area {
            vaddr: trampolines.start,
            len: trampolines.end - trampolines.start,
        };
        let applied =
            patch::apply(&sites, &mapping, &room, &mut Code(self)).map_err(|_| Errno::ENOMEM)?;
        if let Some(sources) = sources {
            self.keep_patched(
                area,
                (&pages, &sources),
                trampolines.clone(),
                (key, &applied),
            )?;
        }
        self.note_module(area, trampolines, (applied.map, applied.counts), pages);
        Ok(())
    }

    /// For the next program.
    fn keep_patched(
        &self,
        area: &Area,
        (pages, sources): (&[u64], &[u64]),
        trampolines: Range<u64>,
        (key, applied): (Key, &patch::Applied),
    ) -> Result<(), Errno> {
        let frame_of = |page| {
            let (entry, huge) = self.table.get(page)?;
            (entry.is_frame() && entry.is_private() && !huge).then(|| entry.pfn())
        };
        let places = trampolines.clone().step_by(PAGE as usize);
        let Some(frames) = places.map(frame_of).collect::<Option<Vec<Pfn>>>() else {
            return Ok(());
        };
        let map = applied.map.at(area.start).map_err(|_| Errno::ENOMEM)?;
        let patched = Patched::new(
            key,
            (area, pages, sources),
            (trampolines.start, frames),
            (map, applied.counts),
            frame_of,
        );
        patched.into_iter().for_each(patched::keep);
        Ok(())
    }

    fn note_module(
        &mut self,
        area: &Area,
        trampolines: Range<u64>,
        (map, counts): (PatchMap, Counts),
        pages: Vec<u64>,
    ) {
        PATCHED.fetch_add(counts.total_patched(), Ordering::Relaxed);
        SKIPPED.fetch_add(counts.total_skipped(), Ordering::Relaxed);
        self.patches.modules.push(Module {
            code: area.range(),
            trampolines,
            map,
            pages,
        });
    }

    /// Where trampolines within reach of `area` can be.
    fn find_trampolines(&mut self, area: &Area, len: u64) -> Option<u64> {
        let below = self
            .areas
            .find_gap_below(page_down(area.start), Wanted::pages(len))
            .filter(|&at| at + REACH > area.end);
        let place = below.or_else(|| {
            let reachable = area.end..(area.start + REACH).min(super::layout::USER_END);
            self.areas.find_gap_above(reachable, len)
        });
        place.filter(|&at| at >= USER_START && is_user_range(at, len))
    }

    /// Executable memory within reach of `area`; none if there is no room.
    fn map_trampolines(&mut self, area: &Area, len: u64) -> Result<Option<Range<u64>>, Errno> {
        let len = super::layout::page_up(len);
        let Some(start) = self.find_trampolines(area, len) else {
            return Ok(None);
        };
        for page in (start..start + len).step_by(PAGE as usize) {
            let pfn = frame::alloc_zeroed(0, For::Program).ok_or(Errno::ENOMEM)?;
            self.table
                .set(page, Entry::new(pfn.phys(), FRAME | PRIVATE | PRESENT))?;
            self.resident += 1;
        }
        self.insert_trampolines(start..start + len);
        Ok(Some(start..start + len))
    }

    fn insert_trampolines(&mut self, range: Range<u64>) {
        self.areas.insert(Area {
            start: range.start,
            end: range.end,
            prot: Prot::PROT_READ | Prot::PROT_EXEC,
            backing: Backing::Named("[compat]"),
            stack: false,
            on_fork: OnFork::Keep,
            locked: false,
            sealed: false,
        });
    }
}
