//! The mappings of a process: maps, smaps and their sum.
use super::source::MapEntry;
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

/// What smaps says below each mapping, and smaps_rollup once for all. Which pages are shared or dirty is not kept.
fn sizes(out: &mut Text, resident: u64, anonymous: bool) {
    let rows = [
        ("Rss", resident),
        ("Pss", resident),
        ("Shared_Clean", 0),
        ("Shared_Dirty", 0),
        ("Private_Clean", if anonymous { 0 } else { resident }),
        ("Private_Dirty", if anonymous { resident } else { 0 }),
        ("Referenced", resident),
        ("Anonymous", if anonymous { resident } else { 0 }),
        ("LazyFree", 0),
        ("AnonHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", 0),
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
        sizes(out, entry.resident, entry.ino == 0);
        put!(out, "THPeligible:    0\n");
    })
}

pub(super) fn smaps_rollup(context: &Context, out: &mut Text) -> Result<()> {
    let (mut first, mut last, mut resident) = (0, 0, 0);
    context.source.maps(context.pid, &mut |entry| {
        first = if last == 0 { entry.start } else { first };
        last = entry.end;
        resident += entry.resident;
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
    sizes(out, resident, true);
    Ok(())
}
