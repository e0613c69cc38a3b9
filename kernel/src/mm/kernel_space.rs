//! The kernel's slot: the direct map with the right permissions, and kernel stacks.
#![allow(unsafe_code)]

use super::frame::{self, For, Pfn};
use super::layout::{HUGE_PAGE, PAGE, STACKS, phys_to_virt, virt_to_phys};
use super::paging::{Entry, FRAME, NO_EXECUTE, NoMemory, PRESENT, PageTable, UNCACHED, WRITABLE};
use crate::boot::MemoryMap;
use crate::rank::{self, Ranked};
use alloc::vec::Vec;
use spin::Once;

/// Pages of a kernel stack; the page below stays unmapped.
pub const STACK_PAGES: u64 = 8;

unsafe extern "C" {
    static kernel_start: u8;
    static kernel_text_end: u8;
    static kernel_rodata_end: u8;
    static kernel_end: u8;
}

/// Physical end of the kernel's own segments.
#[must_use]
pub fn kernel_end_phys() -> u64 {
    virt_to_phys(&raw const kernel_end as u64)
}

struct KernelSpace {
    table: Ranked<PageTable, { rank::KERNEL_TABLE }>,
    entry: u64,
    root: u64,
    stacks: Ranked<Stacks, { rank::KERNEL_STACKS }>,
}

#[derive(Default)]
struct Stacks {
    next: u64,
    free: Vec<u64>,
}

static SPACE: Once<KernelSpace> = Once::new();

/// Builds the direct map: text read-execute, read-only data and the image's segments read-only, everything else read-write,
/// nothing but text executable; then switches to it.
pub fn init(map: &MemoryMap) -> Result<(), NoMemory> {
    let mut table = PageTable::new(0)?;
    let text = virt_to_phys(&raw const kernel_start as u64);
    let rodata = virt_to_phys(&raw const kernel_text_end as u64);
    let data = virt_to_phys(&raw const kernel_rodata_end as u64);
    let split_end = kernel_end_phys().next_multiple_of(HUGE_PAGE);
    let permissions = |phys: u64| match phys {
        p if p < text => WRITABLE | NO_EXECUTE,
        p if p < rodata => 0,
        p if p < data => NO_EXECUTE,
        _ => WRITABLE | NO_EXECUTE,
    };
    table.fill(phys_to_virt(0), split_end / PAGE, |i| {
        Some(Entry::new(i * PAGE, PRESENT | permissions(i * PAGE)))
    })?;
    for phys in (split_end..map.top.next_multiple_of(HUGE_PAGE)).step_by(HUGE_PAGE as usize) {
        let write = if map.is_image(phys) { 0 } else { WRITABLE };
        table.set_huge(
            phys_to_virt(phys),
            Entry::new(phys, PRESENT | NO_EXECUTE | write),
        )?;
    }
    for phys in (0xfea0_0000..0x1_0000_0000u64).step_by(HUGE_PAGE as usize) {
        table.set_huge(
            phys_to_virt(phys),
            Entry::new(phys, PRESENT | NO_EXECUTE | WRITABLE | UNCACHED),
        )?;
    }
    // Reserve the stacks' upper table now, so that every address space shares it through the slot's one entry.
    table.fill(STACKS, 1, |_| None)?;
    // SAFETY: the table maps the kernel exactly as the boot tables do, with narrower permissions.
    unsafe { crate::gate::load_cr3(table.root()) };
    let (entry, root) = (table.kernel_entry(), table.root());
    SPACE.call_once(|| KernelSpace {
        table: Ranked::new(table),
        entry,
        root,
        stacks: Ranked::new(Stacks::default()),
    });
    Ok(())
}

fn space() -> Result<&'static KernelSpace, NoMemory> {
    SPACE.get().ok_or(NoMemory)
}

/// CR3 without a program.
pub fn root() -> Result<u64, NoMemory> {
    Ok(space()?.root)
}

/// A page table for a program, with the kernel in it.
pub fn new_page_table() -> Result<PageTable, NoMemory> {
    match PageTable::take_spare() {
        Some(table) => Ok(table),
        None => PageTable::new(space()?.entry),
    }
}

/// A kernel stack with a guard page below.
pub struct KernelStack {
    top: u64,
}

impl KernelStack {
    pub fn new() -> Result<Self, NoMemory> {
        let space = space()?;
        let mut stacks = space.stacks.lock();
        if let Some(top) = stacks.free.pop() {
            return Ok(Self { top });
        }
        let bottom = STACKS + stacks.next * (STACK_PAGES + 1) * PAGE + PAGE;
        let mut table = space.table.lock();
        for i in 0..STACK_PAGES {
            let (pfn, _) = frame::alloc(0, For::Program).ok_or(NoMemory)?;
            table.map_kernel(
                bottom + i * PAGE,
                Entry::new(pfn.phys(), PRESENT | WRITABLE | NO_EXECUTE | FRAME),
            )?;
        }
        stacks.next += 1;
        Ok(Self {
            top: bottom + STACK_PAGES * PAGE,
        })
    }

    /// Bytes of all stacks, those in reserve too.
    #[must_use]
    pub fn bytes() -> u64 {
        space().map_or(0, |space| space.stacks.lock().next * STACK_PAGES * PAGE)
    }

    #[must_use]
    pub fn top(&self) -> u64 {
        self.top
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        if let Ok(space) = space() {
            space.stacks.lock().free.push(self.top);
        }
    }
}

/// Whether `address` is the guard page of a kernel stack.
#[must_use]
pub fn is_guard_page(address: u64) -> bool {
    address
        .checked_sub(STACKS)
        .is_some_and(|at| (at / PAGE).is_multiple_of(STACK_PAGES + 1))
}

/// The frame behind a page-aligned direct-map address.
#[must_use]
pub fn frame_of(page: *const u8) -> Pfn {
    Pfn::of(virt_to_phys(page as u64))
}
