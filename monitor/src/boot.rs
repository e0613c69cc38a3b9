//! What the PVH protocol passes to the kernel: start information, memory map, modules, command line.

use linux_loader::loader::elf::start_info::{
    hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info,
};
use vm_memory::{ByteValued, Bytes, GuestAddress};

use crate::error::{Error, Result};
use crate::layout::{
    COMMAND_LINE, COMMAND_LINE_MAX, CONFIG, CONFIG_MAX, MEMORY_MAP, MODULE_LIST, PAGE, START_INFO,
};
use crate::memory::{GuestMemory, RamSizes};

const START_MAGIC: u32 = 0x336e_c578;
const MEMMAP_RAM: u32 = 1;

/// Writes everything but the command line, which is only known when the machine is about to start.
pub fn write_tables(
    memory: &GuestMemory,
    sizes: RamSizes,
    image_end: u64,
    config: &[u8],
) -> Result<()> {
    let config_at = place_config(sizes, image_end, config)?;
    memory.write_slice(config, GuestAddress(config_at))?;
    let module = hvm_modlist_entry {
        paddr: config_at,
        size: config.len() as u64,
        ..Default::default()
    };
    write(memory, MODULE_LIST, module.as_slice())?;

    let mut entries = 0;
    for (i, (addr, size)) in sizes.ranges().enumerate() {
        let entry = hvm_memmap_table_entry {
            addr,
            size,
            type_: MEMMAP_RAM,
            reserved: 0,
        };
        write(
            memory,
            MEMORY_MAP + (i * size_of::<hvm_memmap_table_entry>()) as u64,
            entry.as_slice(),
        )?;
        entries += 1;
    }
    let info = hvm_start_info {
        magic: START_MAGIC,
        version: 1,
        nr_modules: 1,
        modlist_paddr: MODULE_LIST,
        cmdline_paddr: COMMAND_LINE,
        memmap_paddr: MEMORY_MAP,
        memmap_entries: entries,
        ..Default::default()
    };
    write(memory, START_INFO, info.as_slice())
}

/// Writes the command line, NUL-terminated.
pub fn write_command_line(memory: &GuestMemory, line: &str) -> Result<()> {
    if line.len() >= COMMAND_LINE_MAX {
        return Err(Error::ConfigTooBig(line.len()));
    }
    write(memory, COMMAND_LINE, line.as_bytes())?;
    write(memory, COMMAND_LINE + line.len() as u64, &[0])
}

fn write(memory: &GuestMemory, at: u64, bytes: &[u8]) -> Result<()> {
    Ok(memory.write_slice(bytes, GuestAddress(at))?)
}

/// Below the first megabyte if it fits, else in the last pages of low memory.
fn place_config(sizes: RamSizes, image_end: u64, config: &[u8]) -> Result<u64> {
    let len = config.len() as u64;
    if len <= CONFIG_MAX {
        return Ok(CONFIG);
    }
    let at = sizes
        .low
        .checked_sub(len.next_multiple_of(PAGE))
        .filter(|at| *at >= image_end);
    at.ok_or(Error::ConfigTooBig(config.len()))
}
