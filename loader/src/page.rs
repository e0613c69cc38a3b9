//! Page arithmetic and the limits of the user address space.

use core::ops::Range;

/// The base page; larger pages are the kernel's own affair.
pub const PAGE_SIZE: u64 = 4096;

/// The lowest address a program may ask for: Linux's default `vm.mmap_min_addr`.
pub const USER_START: u64 = 0x1_0000;

/// One past the highest user address (`TASK_SIZE_MAX` with 4-level paging).
pub const USER_END: u64 = 0x7fff_ffff_f000;

/// The PML4 slot that belongs to the kernel in every address space.
pub const KERNEL_SLOT: Range<u64> = 0x6600_0000_0000..0x6680_0000_0000;

/// Rounds down to a page boundary.
pub const fn page_down(addr: u64) -> u64 {
    addr & !(PAGE_SIZE - 1)
}

/// Rounds up to a page boundary; `None` past the end of the address space.
pub const fn page_up(addr: u64) -> Option<u64> {
    match addr.checked_add(PAGE_SIZE - 1) {
        Some(sum) => Some(page_down(sum)),
        None => None,
    }
}

/// The offset within the page.
pub const fn page_offset(addr: u64) -> u64 {
    addr & (PAGE_SIZE - 1)
}

/// Whether two half-open ranges share an address.
pub const fn overlaps(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}
