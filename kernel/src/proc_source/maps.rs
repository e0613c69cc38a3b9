//! The mappings of a process, and what they hold.

use crate::mm::frame;
use crate::mm::layout::{HUGE_PAGE, PAGE};
use crate::mm::map::{Area, Backing};
use crate::mm::paging::Entry;
use crate::mm::space::{AddressSpace, Inner};
use crate::task::Process;
use alloc::vec::Vec;
use linux_abi::Prot;
use vfs::{MapEntry, MemoryUse, Place, Residence};

/// Emits every mapping.
pub fn list(process: &Process, emit: &mut dyn FnMut(&MapEntry<'_>)) {
    let (brk_start, stack_top) = {
        let exec = process.exec.lock();
        (exec.brk_start, exec.stack_top)
    };
    let root = process.fs().root();
    for (area, resident) in areas(&process.space()) {
        let file = area.backing.file();
        let name = name(&area, &root, brk_start, stack_top);
        emit(&MapEntry {
            start: area.start,
            end: area.end,
            read: area.prot.contains(Prot::PROT_READ),
            write: area.prot.contains(Prot::PROT_WRITE),
            execute: area.prot.contains(Prot::PROT_EXEC),
            shared: area.backing.is_shared(),
            offset: file.map_or(0, |(_, offset)| offset),
            dev: file.map_or(0, |(file, _)| file.inode.metadata().dev),
            ino: file.map_or(0, |(file, _)| file.inode.ino()),
            name: &name,
            resident,
            locked: area.locked,
        });
    }
}

/// The mappings and what of them is in memory: copies, so that nothing is locked while paths are made of them.
pub fn areas(space: &AddressSpace) -> Vec<(Area, Residence)> {
    let mut areas = Vec::new();
    each(space, &mut |area, resident| {
        areas.push((area.clone(), resident));
    });
    areas
}

/// Each mapping and what of it is in memory. Allocates nothing.
fn each(space: &AddressSpace, emit: &mut dyn FnMut(&Area, Residence)) {
    let inner = space.lock();
    let Inner { areas, table, .. } = &*inner;
    let mut rest = areas.iter().map(|area| (area, Residence::default()));
    let mut at = rest.next();
    table.visit(&mut |address, entry, huge| {
        while let Some((area, resident)) = at.take_if(|(area, _)| area.end <= address) {
            emit(area, resident);
            at = rest.next();
        }
        if let Some((area, resident)) = &mut at {
            count(area, entry, huge, resident);
        }
    });
    at.into_iter()
        .chain(rest)
        .for_each(|(area, resident)| emit(area, resident));
}

/// The mappings that hold most, by what they hold; none are zeros. Allocates nothing.
pub fn largest<const COUNT: usize>(space: &AddressSpace) -> [(u64, u64); COUNT] {
    let mut found = [(0, 0); COUNT];
    each(space, &mut |area, resident| {
        let mut one = (resident.total(), area.start);
        for slot in &mut found {
            if one.0 > slot.0 {
                core::mem::swap(slot, &mut one);
            }
        }
    });
    found
}

fn count(area: &Area, entry: Entry, huge: bool, resident: &mut Residence) {
    let bytes = if huge { HUGE_PAGE } else { PAGE };
    match (area.backing.is_shared(), entry.is_frame()) {
        (true, _) => resident.shared += bytes,
        (false, true) if entry.is_private() => resident.anonymous += bytes,
        _ => resident.file += bytes,
    }
    resident.huge += if huge { bytes } else { 0 };
}

/// The path of its file, or what the mapping is for.
fn name(area: &Area, root: &Place, brk_start: u64, stack_top: u64) -> Vec<u8> {
    match area.backing.file() {
        Some((file, _)) => file.place.as_ref().map_or_else(
            || b"/dev/zero (deleted)".to_vec(),
            |place| place.path(root).into_link_text(),
        ),
        None => special_name(area, brk_start, stack_top).as_bytes().to_vec(),
    }
}

/// The name of the mapping at `address`.
pub fn name_at(process: &Process, address: u64) -> Vec<u8> {
    let area = process.space().lock().areas.find(address).cloned();
    let exec = process.exec.lock();
    let (brk_start, stack_top) = (exec.brk_start, exec.stack_top);
    drop(exec);
    area.map_or_else(Vec::new, |area| {
        name(&area, &process.fs().root(), brk_start, stack_top)
    })
}

fn special_name(area: &Area, brk_start: u64, stack_top: u64) -> &'static str {
    match area.backing {
        Backing::Named(name) => name,
        _ if area.range().contains(&brk_start) => "[heap]",
        _ if stack_top > area.start && stack_top <= area.end => "[stack]",
        _ => "",
    }
}

/// Bytes of the space's anonymous memory, of what forked spaces have in common a part each.
pub fn own_share(space: &AddressSpace) -> u64 {
    let mut sum = 0;
    space.lock().table.visit(&mut |_, entry, huge| {
        if entry.is_private() {
            let size = if huge { HUGE_PAGE } else { PAGE };
            sum += size / u64::from(frame::holders(entry.pfn()).max(1));
        }
    });
    sum
}

/// The sizes that /proc/pid/status tells.
pub fn memory_use(process: &Process) -> MemoryUse {
    if process.live_threads().is_empty() {
        return MemoryUse::default(); // nobody has waited for it
    }
    let exe = process.exec.lock().exe.clone();
    let mut total = MemoryUse::default();
    let mut held = Residence::default();
    for (area, resident) in areas(&process.space()) {
        held += resident;
        let len = area.len();
        total.size += len;
        total.locked += if area.locked { len } else { 0 };
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
    let resident = held.total();
    MemoryUse {
        size_peak: total.size,
        resident,
        // What is mapped of files as they lie in the image is not counted as it comes and goes.
        resident_peak: resident.max(process.space().lock().peak() * PAGE + held.file),
        resident_anonymous: held.anonymous,
        resident_file: held.file,
        resident_shared: held.shared,
        ..total
    }
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
    let space = process.space();
    let inner = space.lock();
    let mut own = inner
        .areas
        .iter()
        .filter(|area| is_of(area, exe.as_ref()) && take(area));
    let Some(first) = own.next() else {
        return (0, 0);
    };
    (first.start, own.last().unwrap_or(first).end)
}
