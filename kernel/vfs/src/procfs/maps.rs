//! The mappings of a process: maps, smaps and their sum.
use super::source::{MapEntry, Residence};
use crate::Result;
use crate::pseudo::{Context, Text, put};

pub(super) fn maps(context: &Context, out: &mut Text) -> Result<()> {
    context
        .source
        .maps(context.pid, &mut |entry| map_line(entry, out))
}

/// The column at which the name stands.
const NAME_COLUMN: usize = 73;

fn map_line(entry: &MapEntry<'_>, out: &mut Text) {
    let start = out.0.len();
    let flag = |on: bool, letter: char| if on { letter } else { '-' };
    let (read, write, execute) = (
        flag(entry.read, 'r'),
        flag(entry.write, 'w'),
        flag(entry.execute, 'x'),
    );
    let shared = if entry.shared { 's' } else { 'p' };
    put!(
        out,
        "{:08x}-{:08x} {read}{write}{execute}{shared} {:08x} ",
        entry.start,
        entry.end,
        entry.offset
    );
    put!(
        out,
        "{:02x}:{:02x} {} ",
        entry.dev >> 8,
        entry.dev & 0xff,
        entry.ino
    );
    if !entry.name.is_empty() {
        let width = out.0.len() - start;
        out.0.resize(start + width.max(NAME_COLUMN), b' ');
        for &byte in entry.name {
            match byte {
                b'\n' => out.0.extend_from_slice(b"\\012"),
                _ => out.0.push(byte),
            }
        }
    }
    out.0.push(b'\n');
}

/// What smaps says below each mapping, and smaps_rollup once for all. No page is shared with another process; which pages
/// of shared mappings are dirty is not kept.
fn sizes(out: &mut Text, resident: &Residence, locked: u64) {
    let rows = [
        ("Rss", resident.total()),
        ("Pss", resident.total()),
        ("Shared_Clean", 0),
        ("Shared_Dirty", 0),
        ("Private_Clean", resident.file),
        ("Private_Dirty", resident.anonymous + resident.shared),
        ("Referenced", resident.total()),
        ("Anonymous", resident.anonymous),
        ("LazyFree", 0),
        ("AnonHugePages", resident.huge.min(resident.anonymous)),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", locked),
    ];
    for (name, bytes) in rows {
        put!(
            out,
            "{:<16}{:>8} kB\n",
            alloc::format!("{name}:"),
            bytes / 1024
        );
    }
}

/// What is locked and in memory.
fn locked(entry: &MapEntry<'_>) -> u64 {
    if entry.locked {
        entry.resident.total()
    } else {
        0
    }
}

pub(super) fn smaps(context: &Context, out: &mut Text) -> Result<()> {
    context.source.maps(context.pid, &mut |entry| {
        map_line(entry, out);
        put!(
            out,
            "Size:           {:>8} kB\n",
            (entry.end - entry.start) / 1024
        );
        put!(
            out,
            "KernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
        );
        sizes(out, &entry.resident, locked(entry));
        put!(out, "THPeligible:    0\n");
    })
}

pub(super) fn smaps_rollup(context: &Context, out: &mut Text) -> Result<()> {
    let (mut first, mut last) = (0, 0);
    let (mut resident, mut all_locked) = (Residence::default(), 0);
    context.source.maps(context.pid, &mut |entry| {
        first = if last == 0 { entry.start } else { first };
        last = entry.end;
        resident += entry.resident;
        all_locked += locked(entry);
    })?;
    map_line(
        &MapEntry {
            start: first,
            end: last,
            name: b"[rollup]",
            ..MapEntry::default()
        },
        out,
    );
    sizes(out, &resident, all_locked);
    Ok(())
}
