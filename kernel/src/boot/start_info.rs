//! `hvm_start_info`: the memory map, the command line, the run-time configuration (PVH, Xen's `arch-x86/hvm/start_info.h`).
#![allow(unsafe_code)]

use crate::mm::layout::{BOOT_MAPPED, phys_to_virt};

const MAGIC: u32 = 0x336e_c578;
const RAM: u32 = 1;
const MAX_RANGES: usize = 8;
/// Bytes of an entry of the module list, and of the memory map.
const MODULE_LEN: u64 = 32;
const MEMORY_MAP_ENTRY: u64 = 24;

/// More modules than one mean nothing to this kernel, but monitors may load them.
const MAX_MODULES: u32 = 4;
const MAX_HANDED: usize = 4 + MAX_MODULES as usize;

/// What the monitor handed over.
pub struct StartInfo {
    pub cmdline: &'static [u8],
    pub config: &'static [u8],
    pub ram: [(u64, u64); MAX_RANGES],
    /// Where all of this lies, ascending: not for the allocator. Unused entries are empty.
    pub handed: [(u64, u64); MAX_HANDED],
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
        self.image
            .iter()
            .any(|&(start, end)| (start..end).contains(&phys))
    }
}

/// Bytes of boot-time physical memory.
fn bytes(phys: u64, len: u64) -> Option<&'static [u8]> {
    let end = phys.checked_add(len)?;
    // SAFETY: below 4 GiB the boot tables map everything; the monitor's tables are never written to.
    (end <= BOOT_MAPPED).then(|| unsafe {
        core::slice::from_raw_parts(phys_to_virt(phys) as *const u8, len as usize)
    })
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..at + 8)?
        .try_into()
        .ok()
        .map(u64::from_le_bytes)
}

impl StartInfo {
    /// Reads the structure at physical address `at`.
    pub fn read(at: u64) -> Option<Self> {
        let info = bytes(at, 56)?;
        if u32_at(info, 0)? != MAGIC {
            return None;
        }
        if u32_at(info, 4)? < 1 {
            return None;
        }
        let modules = Some(u32_at(info, 12)?).filter(|&count| count <= MAX_MODULES)?;
        let (module_list, memory_map) = (u64_at(info, 16)?, u64_at(info, 40)?);
        let ram = memory_ranges(memory_map, u32_at(info, 48)?)?;
        let cmdline_at = u64_at(info, 24)?;
        let cmdline = cmdline(cmdline_at);

        let list_len = u64::from(modules) * MODULE_LEN;
        let list = bytes(module_list, list_len)?;
        let mut config: &[u8] = &[];
        let mut handed = [(0, 0); MAX_HANDED];
        handed[0] = (at, at + 56);
        handed[1] = (
            memory_map,
            memory_map + u64::from(u32_at(info, 48)?) * MEMORY_MAP_ENTRY,
        );
        handed[2] = (cmdline_at, cmdline_at + cmdline.len() as u64);
        handed[3] = (module_list, module_list + list_len);
        for (i, module) in list.chunks_exact(MODULE_LEN as usize).enumerate() {
            let (start, len) = (u64_at(module, 0)?, u64_at(module, 8)?);
            let content = bytes(start, len)?;
            if i == 0 {
                config = content;
            }
            handed[4 + i] = (start, start + len);
        }
        handed.sort_unstable();
        Some(Self {
            cmdline,
            config,
            ram,
            handed,
        })
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
    let table = bytes(at, u64::from(count.min(128)) * MEMORY_MAP_ENTRY)?;
    let mut ranges = [(0, 0); MAX_RANGES];
    let usable = table
        .chunks_exact(MEMORY_MAP_ENTRY as usize)
        .filter(|entry| u32_at(entry, 16) == Some(RAM));
    for (slot, entry) in ranges.iter_mut().zip(usable) {
        let start = u64_at(entry, 0)?;
        *slot = (start, start.checked_add(u64_at(entry, 8)?)?);
    }
    Some(ranges)
}
