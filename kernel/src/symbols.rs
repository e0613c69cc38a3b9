//! Names for addresses in a crash report: the mapped file and the offset in it, and the nearest dynamic symbol.

use crate::mm::map::{Area, Backing};
use crate::mm::space::AddressSpace;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use vfs::{InodeRef, SliceSink};

const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
const SECTION_HEADER: usize = 64;
const SYMBOL: usize = 24;
/// Larger tables are not searched: a report should not take the rest of memory.
const MAX_TABLE: u64 = 8 << 20;

/// `symbol+0x12 (/lib/libc.so.6+0x3456)`, as far as it is known.
pub fn describe(space: &Arc<AddressSpace>, address: u64) -> String {
    let area = space.lock().areas.find(address).cloned();
    let Some(area) = area else {
        return format!("{address:#x} (not mapped)");
    };
    let Backing::File { file, offset } = &area.backing else {
        return format!("{address:#x} ({})", kind(&area));
    };
    let at = offset + (address - area.start);
    let path = file
        .place
        .as_ref()
        .map(|place| String::from_utf8_lossy(&place.path(place).bytes).into_owned());
    let path = file
        .place
        .as_ref()
        .and_then(root_path)
        .or(path)
        .unwrap_or_default();
    match symbol(&file.inode, at) {
        Some((name, past)) => format!("{name}+{past:#x} ({path}+{at:#x})"),
        None => format!("{path}+{at:#x}"),
    }
}

/// A path as the first process sees it.
pub fn root_path(place: &vfs::Place) -> Option<String> {
    let root = crate::task::entry::init_process()?.fs().root();
    Some(String::from_utf8_lossy(&place.path(&root).bytes).into_owned())
}

fn kind(area: &Area) -> &'static str {
    match area.backing {
        Backing::Named(name) => name,
        _ if area.stack => "stack",
        _ => "anonymous memory",
    }
}

fn read(inode: &InodeRef, at: u64, len: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len.min(MAX_TABLE)).ok()?];
    let got = inode.read_at(at, &mut SliceSink::new(&mut bytes)).ok()?;
    bytes.truncate(got);
    Some(bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..at + 8)?
        .try_into()
        .ok()
        .map(u64::from_le_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)
}

/// The function that holds file offset `at`, and how far into it that is.
fn symbol(inode: &InodeRef, at: u64) -> Option<(String, u64)> {
    let header = read(inode, 0, 64)?;
    let vaddr = to_vaddr(inode, &header, at)?;
    let count = u64::from(half(&header, 60)? & 0xffff);
    let sections = read(inode, word(&header, 40)?, count * SECTION_HEADER as u64)?;
    let tables = |kind| {
        sections
            .chunks_exact(SECTION_HEADER)
            .find(move |section| half(section, 4) == Some(kind))
    };
    let table = tables(SHT_SYMTAB).or_else(|| tables(SHT_DYNSYM))?;
    let strings = sections
        .chunks_exact(SECTION_HEADER)
        .nth(half(table, 40)? as usize)?;
    let symbols = read(inode, word(table, 24)?, word(table, 32)?)?;
    let best = symbols
        .chunks_exact(SYMBOL)
        .filter(|symbol| {
            symbol
                .get(4)
                .is_some_and(|info| matches!(info & 15, 2 | 10))
        })
        .filter_map(|symbol| Some((word(symbol, 8)?, half(symbol, 0)?)))
        .filter(|(value, _)| *value <= vaddr)
        .max_by_key(|(value, _)| *value)?;
    let name = read(inode, word(strings, 24)? + u64::from(best.1), 256)?;
    let name = name.split(|&b| b == 0).next()?;
    Some((String::from_utf8_lossy(name).into_owned(), vaddr - best.0))
}

/// The address, as the file counts, of a file offset.
fn to_vaddr(inode: &InodeRef, header: &[u8], at: u64) -> Option<u64> {
    let count = u64::from(half(header, 56)? & 0xffff);
    let programs = read(inode, word(header, 32)?, count * 56)?;
    programs
        .chunks_exact(56)
        .filter(|p| half(p, 0) == Some(1))
        .find_map(|p| {
            let (offset, vaddr, size) = (word(p, 8)?, word(p, 16)?, word(p, 32)?);
            (offset..offset.checked_add(size)?)
                .contains(&at)
                .then(|| vaddr.wrapping_add(at - offset))
        })
}
