//! `hvm_start_info`: the memory map, the command line, the run-time configuration (PVH, Xen's `arch-x86/hvm/start_info.h`).
#![allow(unsafe_code)]

use crate::mm::layout::phys_to_virt;

const MAGIC: u32 = 0x336e_c578;
const RAM: u32 = 1;
/// The boot page tables map this much.
const BOOT_MAPPED: u64 = 4 << 30;
const MAX_RANGES: usize = 8;

/// What the monitor handed over. All of it lies in memory that the allocator never takes.
pub struct StartInfo {
    pub cmdline: &'static [u8],
    pub config: &'static [u8],
    pub ram: [(u64, u64); MAX_RANGES],
}

/// RAM and the image's segments in it.
pub struct MemoryMap {
    /// End of the highest RAM range.
    pub top: u64,
    /// Ranges that hold image segments: mapped read-only, not allocated.
    pub image: [(u64, u64); 2],
}

impl MemoryMap {
    /// Whether the 2 MiB at `phys` belong to the image.
    #[must_use]
    pub fn is_image(&self, phys: u64) -> bool {
        self.image.iter().any(|&(start, end)| (start..end).contains(&phys))
    }
}

/// Bytes of boot-time physical memory.
fn bytes(phys: u64, len: u64) -> Option<&'static [u8]> {
    let end = phys.checked_add(len)?;
    // SAFETY: below 4 GiB the boot tables map everything; the monitor's tables are never written to.
    (end <= BOOT_MAPPED).then(|| unsafe { core::slice::from_raw_parts(phys_to_virt(phys) as *const u8, len as usize) })
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

impl StartInfo {
    /// Reads the structure at physical address `at`.
    pub fn read(at: u64) -> Option<Self> {
        let info = bytes(at, 56)?;
        if u32_at(info, 0)? != MAGIC {
            return None;
        }
        let modules = u32_at(info, 12)?;
        let module = bytes(u64_at(info, 16)?, 32).filter(|_| modules > 0);
        let config = module.and_then(|module| bytes(u64_at(module, 0)?, u64_at(module, 8)?));
        let version = u32_at(info, 4)?;
        if version < 1 {
            return None;
        }
        let ram = memory_ranges(u64_at(info, 40)?, u32_at(info, 48)?)?;
        Some(Self { cmdline: cmdline(u64_at(info, 24)?), config: config.unwrap_or(&[]), ram })
    }
}

fn cmdline(at: u64) -> &'static [u8] {
    if at == 0 {
        return &[];
    }
    let text = bytes(at, 4096).unwrap_or(&[]);
    text.split(|&b| b == 0).next().unwrap_or(&[])
}

fn memory_ranges(at: u64, count: u32) -> Option<[(u64, u64); MAX_RANGES]> {
    let table = bytes(at, u64::from(count.min(128)) * 24)?;
    let mut ranges = [(0, 0); MAX_RANGES];
    let usable = table.chunks_exact(24).filter(|entry| u32_at(entry, 16) == Some(RAM));
    for (slot, entry) in ranges.iter_mut().zip(usable) {
        let start = u64_at(entry, 0)?;
        *slot = (start, start.checked_add(u64_at(entry, 8)?)?);
    }
    Some(ranges)
}
