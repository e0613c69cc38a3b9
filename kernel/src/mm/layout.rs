//! Addresses. See ARCHITECTURE.md, "Address space".

pub const PAGE: u64 = 4096;
pub const HUGE_PAGE: u64 = 2 << 20;
/// The boot page tables map this much of the direct map.
pub const BOOT_MAPPED: u64 = 4 << 30;

/// Guest-physical memory as the kernel sees it.
const DIRECT_MAP: u64 = 0x6600_0000_0000;
/// Kernel stacks, each below a guard page.
pub const STACKS: u64 = 0x6640_0000_0000;
/// The PML4 slot of all kernel mappings.
pub const KERNEL_SLOT: usize = 204;
pub const KERNEL_START: u64 = DIRECT_MAP;
pub const KERNEL_END: u64 = 0x6680_0000_0000;
/// First address above the program's part.
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// Lowest address that a mapping may have (vm.mmap_min_addr).
pub const USER_START: u64 = 0x1_0000;

#[must_use]
pub const fn phys_to_virt(phys: u64) -> u64 {
    DIRECT_MAP + phys
}

/// The physical address behind a direct-map address.
#[must_use]
pub const fn virt_to_phys(virt: u64) -> u64 {
    virt - DIRECT_MAP
}

#[must_use]
pub const fn page_down(address: u64) -> u64 {
    address & !(PAGE - 1)
}

/// Saturates instead of wrapping, so that a range check afterwards still fails.
#[must_use]
pub const fn page_up(address: u64) -> u64 {
    page_down(address.saturating_add(PAGE - 1))
}

/// Whether `[start, start + len)` can belong to the program: inside its part and clear of the kernel's slot.
#[must_use]
pub const fn is_user_range(start: u64, len: u64) -> bool {
    match start.checked_add(len) {
        Some(end) => end <= USER_END && (end <= KERNEL_START || start >= KERNEL_END),
        None => false,
    }
}
