//! Page tables of one address space. They are plain memory to ring 3; only CR3 and TLB flushes need the gate.
#![allow(unsafe_code)]

use super::frame::{self, For, Pfn};
use super::layout::{HUGE_PAGE, KERNEL_SLOT, PAGE};
use super::tlb;
use crate::faults::{self, Kind};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Mutex;

pub const PRESENT: u64 = 1;
pub const WRITABLE: u64 = 1 << 1;
pub const USER: u64 = 1 << 2;
pub const UNCACHED: u64 = 0x18;
/// Accessed and Dirty are preset: setting them costs a hypervisor that shadows page tables a fault each.
pub const ACCESSED: u64 = 1 << 5;
pub const DIRTY: u64 = 1 << 6;
pub const HUGE: u64 = 1 << 7;
/// Ours: the entry holds a reference on a frame of the allocator (not the image, not a device).
pub const FRAME: u64 = 1 << 10;
/// Ours: the frame is a private mapping's own, anonymous memory or a copy of a file's page. Forked spaces share it until one writes.
pub const PRIVATE: u64 = 1 << 9;
pub const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// A leaf entry: a page, present or (for `PROT_NONE`) kept without being present.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry(pub u64);

impl Entry {
    #[must_use]
    pub fn new(phys: u64, flags: u64) -> Self {
        Self(phys | flags | USER | ACCESSED | DIRTY)
    }
    #[must_use]
    pub fn phys(self) -> u64 {
        self.0 & ADDRESS
    }
    #[must_use]
    pub fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }
    #[must_use]
    pub fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }
    #[must_use]
    pub fn is_frame(self) -> bool {
        self.0 & FRAME != 0
    }
    #[must_use]
    pub fn is_private(self) -> bool {
        self.0 & PRIVATE != 0
    }
    /// The same page, not to be written.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self(self.0 & !WRITABLE)
    }
    /// The same page as a private mapping's own.
    #[must_use]
    pub fn made_private(self) -> Self {
        Self(self.0 | PRIVATE)
    }
    #[must_use]
    pub fn pfn(self) -> Pfn {
        Pfn::of(self.phys())
    }
    /// Where the page lies in the direct map.
    #[must_use]
    pub fn virt(self) -> u64 {
        self.pfn().virt()
    }
    /// Another page with the same permissions.
    #[must_use]
    pub fn renamed(self, pfn: Pfn) -> Self {
        Self(self.0 & !ADDRESS | pfn.phys())
    }
    /// The same page with other permission bits (PRESENT, WRITABLE, NO_EXECUTE).
    #[must_use]
    pub fn with(self, permissions: u64) -> Self {
        Self(self.0 & !(PRESENT | WRITABLE | NO_EXECUTE) | permissions)
    }
}

/// Tables of all address spaces.
static TABLES: AtomicU64 = AtomicU64::new(0);

/// How many page tables there are, each a page.
#[must_use]
pub fn tables() -> u64 {
    TABLES.load(Ordering::Relaxed)
}

fn new_table() -> Result<Pfn, NoMemory> {
    if faults::strikes(Kind::Frame) {
        return Err(NoMemory);
    }
    let pfn = frame::alloc_zeroed(0, For::Kernel).ok_or(NoMemory)?;
    TABLES.fetch_add(1, Ordering::Relaxed);
    Ok(pfn)
}

fn free_table(pfn: Pfn) {
    TABLES.fetch_sub(1, Ordering::Relaxed);
    frame::put(pfn);
}

/// Lowest tables without entries, to be used as such again.
static EMPTY: Mutex<([Pfn; EMPTIES], usize)> = Mutex::new(([Pfn(0); EMPTIES], 0));
const EMPTIES: usize = 64;

fn new_lowest_table() -> Result<Pfn, NoMemory> {
    let kept = {
        let mut empty = EMPTY.lock();
        let (tables, count) = &mut *empty;
        count.checked_sub(1).and_then(|last| {
            *count = last;
            tables.get(last).copied()
        })
    };
    match kept {
        Some(pfn) => Ok(pfn),
        None => new_table(),
    }
}

fn free_lowest_table(pfn: Pfn) {
    {
        let mut empty = EMPTY.lock();
        let (tables, count) = &mut *empty;
        if let Some(slot) = tables.get_mut(*count) {
            *slot = pfn;
            *count += 1;
            return;
        }
    }
    free_table(pfn);
}

/// No memory for a page table.
#[derive(Debug)]
pub struct NoMemory;

/// A page-table root and the tables of the program's part below it. The kernel's slot is shared and not owned.
pub struct PageTable {
    root: Pfn,
}

type Table = [u64; 512];

fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level)) as usize & 511
}

/// The table that an entry refers to.
fn table<'a>(entry: u64) -> &'a mut Table {
    // SAFETY: entries of upper levels hold frames that this address space owns (or the shared kernel tables, which are
    // only changed through `map_kernel`); `PageTable`'s methods take `&mut self` and hold one such reference at a time
    // per level.
    unsafe { &mut *(Pfn::of(entry & ADDRESS).virt() as *mut Table) }
}

/// Tables of spaces that are gone, empty, for the next ones: to fill them anew costs a hypervisor that shadows page tables much
/// more than to see the lowest ones change, and a child needs the same as the one before it.
static SPARE: Mutex<[Option<Pfn>; SPARES]> = Mutex::new([None; SPARES]);
const SPARES: usize = 4;
/// Larger trees are given back.
const SPARE_TABLES: usize = 48;

impl PageTable {
    /// A program's tables that were used before, with the kernel's slot and without pages.
    #[must_use]
    pub fn take_spare() -> Option<Self> {
        let root = SPARE.lock().iter_mut().find_map(Option::take)?;
        Some(Self { root })
    }

    /// Keeps the tables, if there is room and they are few. All leaf entries must be gone.
    fn keep_spare(&self) -> bool {
        if count_tables(self.root.phys(), 3) > SPARE_TABLES {
            return false;
        }
        let mut spare = SPARE.lock();
        let slot = spare.iter_mut().find(|slot| slot.is_none());
        slot.map(|slot| *slot = Some(self.root)).is_some()
    }

    /// A root with the kernel's slot in it and nothing else.
    pub fn new(kernel_entry: u64) -> Result<Self, NoMemory> {
        let root = new_table()?;
        table(root.phys())[KERNEL_SLOT] = kernel_entry;
        Ok(Self { root })
    }

    /// What CR3 takes.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.root.phys()
    }

    /// The upper-level entry of the kernel's slot, for another root.
    #[must_use]
    pub fn kernel_entry(&self) -> u64 {
        table(self.root.phys())[KERNEL_SLOT]
    }

    /// The leaf entry for `address` and whether it is a huge one.
    #[must_use]
    pub fn get(&self, address: u64) -> Option<(Entry, bool)> {
        let mut entry = self.root.phys();
        for level in [3, 2, 1] {
            entry = table(entry)[index(address, level)];
            if entry == 0 {
                return None;
            }
            if level == 1 && entry & HUGE != 0 {
                return Some((Entry(entry), true));
            }
        }
        let leaf = table(entry)[index(address, 0)];
        (leaf != 0).then_some((Entry(leaf), false))
    }

    /// The table of `level` (0: page table, 1: page directory) that covers `address`, made if need be.
    fn lower_table(&mut self, address: u64, level: u32) -> Result<&mut Table, NoMemory> {
        let mut entry = self.root.phys();
        for at in (level + 1..4).rev() {
            let slot = &mut table(entry)[index(address, at)];
            if *slot == 0 {
                let new = if at == 1 {
                    new_lowest_table()?
                } else {
                    new_table()?
                };
                *slot = new.phys() | PRESENT | WRITABLE | USER | ACCESSED;
            } else if at == 1 && *slot & HUGE != 0 {
                split(slot)?;
            }
            entry = *slot;
        }
        Ok(table(entry))
    }

    /// Sets the 4 KiB entry for `address`; the old one must have been taken care of.
    pub fn set(&mut self, address: u64, entry: Entry) -> Result<(), NoMemory> {
        self.lower_table(address, 0)?[index(address, 0)] = entry.0;
        Ok(())
    }

    /// Sets entries for consecutive pages from `address` on, as `make(i)` gives them; pages that have an entry keep it.
    pub fn fill(
        &mut self,
        address: u64,
        pages: u64,
        mut make: impl FnMut(u64) -> Option<Entry>,
    ) -> Result<(), NoMemory> {
        let mut at = 0;
        while at < pages {
            let va = address + at * PAGE;
            let first = index(va, 0);
            let run = (512 - first as u64).min(pages - at);
            let entries = self.lower_table(va, 0)?;
            for (i, slot) in entries[first..first + run as usize].iter_mut().enumerate() {
                if *slot == 0 {
                    match make(at + i as u64) {
                        Some(entry) => *slot = entry.0,
                        None => return Ok(()),
                    }
                }
            }
            at += run;
        }
        Ok(())
    }

    /// Sets the 2 MiB entry for `address` (aligned). Answers false if something smaller is mapped there.
    pub fn set_huge(&mut self, address: u64, entry: Entry) -> Result<bool, NoMemory> {
        let root = self.root();
        let slot = &mut self.lower_table(address, 1)?[index(address, 1)];
        if *slot != 0 {
            if *slot & HUGE != 0 || table(*slot).iter().any(|&e| e != 0) {
                return Ok(false);
            }
            let unused = Pfn::of(*slot & ADDRESS);
            *slot = 0;
            tlb::forget_tables(root);
            free_lowest_table(unused);
        }
        *slot = entry.0 | HUGE;
        Ok(true)
    }

    /// Whether no page of the 2 MiB around `address` has an entry.
    #[must_use]
    pub fn is_huge_free(&self, address: u64) -> bool {
        let mut entry = self.root.phys();
        for level in [3, 2, 1] {
            entry = table(entry)[index(address, level)];
            if entry == 0 {
                return true;
            }
        }
        entry & HUGE == 0 && table(entry).iter().all(|&e| e == 0)
    }

    /// Calls `change(address, entry, huge)` for every leaf entry in `range` (page aligned) and stores what it answers. Huge entries
    /// that the range covers in part are split first.
    pub fn change(
        &mut self,
        range: Range<u64>,
        change: &mut dyn FnMut(u64, Entry, bool) -> Entry,
    ) -> Result<(), NoMemory> {
        change_level(table(self.root.phys()), 3, 0, &range, change)
    }

    /// Calls `look(address, entry, huge)` for every leaf entry of the program's part, ascending. It only reads: a hypervisor that
    /// shadows page tables keeps them write-protected, and the first write to each is an exit.
    pub fn visit(&self, look: &mut dyn FnMut(u64, Entry, bool)) {
        visit_level(table(self.root.phys()), 3, 0, look);
    }

    /// Gives back the tables of the program's part. All leaf entries must be gone.
    fn free_tables(&mut self) {
        for (slot, entry) in table(self.root.phys()).iter().enumerate() {
            if *entry != 0 && slot != KERNEL_SLOT {
                free_level(*entry, 2);
            }
        }
        free_table(self.root);
    }

    /// Maps one page of the kernel's slot (stacks).
    pub fn map_kernel(&mut self, address: u64, entry: Entry) -> Result<(), NoMemory> {
        self.set(address, entry)
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        if !self.keep_spare() {
            self.free_tables();
        }
    }
}

/// Tables of the program's part, this one included.
fn count_tables(entry: u64, level: u32) -> usize {
    if level == 0 {
        return 1;
    }
    let is_kernels = |at: usize| level == 3 && at == KERNEL_SLOT;
    let lower = table(entry)
        .iter()
        .enumerate()
        .filter(|&(at, &lower)| lower != 0 && !is_kernels(at));
    1 + lower
        .map(|(_, &lower)| count_tables(lower, level - 1))
        .sum::<usize>()
}

fn free_level(entry: u64, level: u32) {
    let pfn = Pfn::of(entry & ADDRESS);
    if level == 0 {
        return free_lowest_table(pfn);
    }
    table(entry)
        .iter()
        .filter(|&&e| e != 0 && e & HUGE == 0)
        .for_each(|&e| free_level(e, level - 1));
    free_table(pfn);
}

fn split(slot: &mut u64) -> Result<(), NoMemory> {
    let old = *slot;
    let new = new_table()?;
    for (i, leaf) in table(new.phys()).iter_mut().enumerate() {
        *leaf = (old & !HUGE) + i as u64 * PAGE;
    }
    *slot = new.phys() | PRESENT | WRITABLE | USER | ACCESSED;
    Ok(())
}

fn visit_level(entries: &Table, level: u32, base: u64, look: &mut dyn FnMut(u64, Entry, bool)) {
    for (i, &entry) in entries.iter().enumerate() {
        let start = base + i as u64 * (PAGE << (9 * level));
        if entry == 0 || (level == 3 && i == KERNEL_SLOT) {
            continue;
        }
        let huge = level == 1 && entry & HUGE != 0;
        if level == 0 || huge {
            look(start, Entry(entry), huge);
        } else {
            visit_level(table(entry), level - 1, start, look);
        }
    }
}

fn change_level(
    table_: &mut Table,
    level: u32,
    base: u64,
    range: &Range<u64>,
    change: &mut dyn FnMut(u64, Entry, bool) -> Entry,
) -> Result<(), NoMemory> {
    let size = PAGE << (9 * level);
    let first = range.start.saturating_sub(base) / size;
    let last = (range.end - base).div_ceil(size).min(512);
    for i in first..last {
        let slot = &mut table_[i as usize];
        let start = base + i * size;
        if *slot == 0 || (level == 3 && i as usize == KERNEL_SLOT) {
            continue;
        }
        if level == 0
            || (level == 1
                && *slot & HUGE != 0
                && range.start <= start
                && range.end >= start + HUGE_PAGE)
        {
            let mut new = change(start, Entry(*slot), level == 1).0;
            if level == 1 && new != 0 {
                new |= HUGE;
            }
            // See `visit`: a write that changes nothing is not free.
            if *slot != new {
                *slot = new;
            }
            continue;
        }
        if level == 1 && *slot & HUGE != 0 {
            split(slot)?;
        }
        let clipped = range.start.max(start)..range.end.min(start + size);
        change_level(table(*slot), level - 1, start, &clipped, change)?;
    }
    Ok(())
}
