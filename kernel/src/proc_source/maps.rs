//! The mappings of a process, and what they hold.

use crate::mm::frame;
use crate::mm::layout::{PAGE, USER_END};
use crate::mm::map::{Area, Backing};
use crate::mm::space::AddressSpace;
use crate::task::Process;
use alloc::vec::Vec;
use linux_abi::Prot;
use vfs::{MapEntry, MemoryUse, Place};

/// Pages of a huge page.
const HUGE: u64 = 512;

/// Bytes in memory, by kind.
#[derive(Default)]
pub struct Resident {
    pub anonymous: u64,
    /// Pages of files, mapped as they lie in the image or in a file system.
    pub file: u64,
    /// Of shared mappings.
    pub shared: u64,
}

/// Emits every mapping.
pub fn list(process: &Process, emit: &mut dyn FnMut(&MapEntry<'_>)) {
    let (brk_start, stack_top) = {
        let exec = process.exec.lock();
        (exec.brk_start, exec.stack_top)
    };
    let root = process.fs.root();
    for area in areas(&process.space) {
        let (file, offset) = match &area.backing {
            Backing::File { file, offset } => (Some(file), *offset),
            Backing::Anonymous | Backing::Named(_) => (None, 0),
        };
        let name = match file {
            Some(file) => file.place.as_ref().map_or_else(
                || b"/dev/zero (deleted)".to_vec(),
                |place| place.path(&root).into_link_text(),
            ),
            None => special_name(&area, brk_start, stack_top)
                .as_bytes()
                .to_vec(),
        };
        emit(&MapEntry {
            start: area.start,
            end: area.end,
            read: area.prot.contains(Prot::PROT_READ),
            write: area.prot.contains(Prot::PROT_WRITE),
            execute: area.prot.contains(Prot::PROT_EXEC),
            shared: area.backing.is_shared(),
            offset,
            dev: file.map_or(0, |file| file.inode.metadata().dev),
            ino: file.map_or(0, |file| file.inode.ino()),
            name: &name,
            resident: 0,
        });
    }
}

/// A copy, so that nothing is locked while paths are made of it.
fn areas(space: &AddressSpace) -> Vec<Area> {
    space.lock().areas.iter().cloned().collect()
}

fn special_name(area: &Area, brk_start: u64, stack_top: u64) -> &'static str {
    match area.backing {
        Backing::Named(name) => name,
        _ if area.range().contains(&brk_start) => "[heap]",
        _ if stack_top > area.start && stack_top <= area.end => "[stack]",
        _ => "",
    }
}

/// What the space holds in memory.
pub fn usage(space: &AddressSpace) -> Resident {
    let mut resident = Resident::default();
    let mut inner = space.lock();
    let shared: Vec<_> = inner
        .areas
        .iter()
        .filter(|area| area.backing.is_shared())
        .map(Area::range)
        .collect();
    let mut shared = shared.iter().peekable();
    // Changes nothing: it is the way to visit what is there. Whole entries only, so nothing is split and nothing can fail.
    let _ = inner
        .table
        .change(0..USER_END + PAGE, &mut |address, entry, huge| {
            while shared.next_if(|range| range.end <= address).is_some() {}
            let bytes = if huge { HUGE * PAGE } else { PAGE };
            let in_shared = shared.peek().is_some_and(|range| range.contains(&address));
            match (entry.is_frame(), in_shared) {
                (_, true) => resident.shared += bytes,
                (true, false) if huge || frame::is_exclusive(entry.pfn()) => {
                    resident.anonymous += bytes
                }
                _ => resident.file += bytes,
            }
            entry
        });
    resident
}

/// The sizes that /proc/pid/status tells.
pub fn memory_use(process: &Process) -> MemoryUse {
    let exe = process.exec.lock().exe.clone();
    let held = usage(&process.space);
    let resident = held.anonymous + held.file + held.shared;
    let mut total = MemoryUse {
        resident,
        resident_peak: resident,
        resident_anonymous: held.anonymous,
        resident_file: held.file,
        resident_shared: held.shared,
        ..MemoryUse::default()
    };
    for area in areas(&process.space) {
        let len = area.len();
        total.size += len;
        let (write, execute) = (
            area.prot.contains(Prot::PROT_WRITE),
            area.prot.contains(Prot::PROT_EXEC),
        );
        match &area.backing {
            _ if area.stack => total.stack += len,
            _ if write && !area.backing.is_shared() => total.data += len,
            Backing::File { .. } if execute && is_of(&area, exe.as_ref()) => total.text += len,
            Backing::File { .. } if execute => total.libraries += len,
            _ => {}
        }
    }
    total.size_peak = total.size;
    total
}

/// Whether the mapping is of the program's own file.
pub fn is_of(area: &Area, exe: Option<&Place>) -> bool {
    match (&area.backing, exe) {
        (Backing::File { file, .. }, Some(exe)) => {
            file.place.as_ref().is_some_and(|place| place.same(exe))
        }
        _ => false,
    }
}

/// Where the program's own mappings that `take` accepts begin and end; zeros if there are none.
pub fn extent(process: &Process, take: impl Fn(&Area) -> bool) -> (u64, u64) {
    let exe = process.exec.lock().exe.clone();
    let inner = process.space.lock();
    let mut own = inner
        .areas
        .iter()
        .filter(|area| is_of(area, exe.as_ref()) && take(area));
    let Some(first) = own.next() else {
        return (0, 0);
    };
    (first.start, own.last().unwrap_or(first).end)
}
