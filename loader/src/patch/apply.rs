//! Patches one executable mapping.

use super::claims::Claims;
use super::encode::{self, FILLER};
use super::map::PatchMap;
use super::shape::{JUMP_SIZE, MAX_WINDOW, Shape, Technique, is_padding};
use super::{Counts, Sites, Skip};
use crate::page::{PAGE_SIZE, page_down};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

/// Access to code, whatever its protection. Windows may straddle two pages.
pub trait CodeMemory {
    /// Fills `buf` with the bytes at `vaddr`.
    fn read(&self, vaddr: u64, buf: &mut [u8]) -> Result<(), MemoryFault>;

    /// Writes all of `bytes` at `vaddr`, or nothing. At most 64 bytes at a time.
    fn write(&mut self, vaddr: u64, bytes: &[u8]) -> Result<(), MemoryFault>;
}

/// Bytes could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryFault;

/// No memory for the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

impl From<TryReserveError> for OutOfMemory {
    fn from(_: TryReserveError) -> Self {
        OutOfMemory
    }
}

/// An executable mapping of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    pub vaddr: u64,
    pub file_offset: u64,
    pub len: u64,
}

impl Mapping {
    /// The file offsets that are mapped.
    pub fn file_range(&self) -> Range<u64> {
        self.file_offset..self.file_offset.saturating_add(self.len)
    }

    /// Where a range of the file is mapped; `None` unless all of it is.
    fn locate(&self, range: &Range<u64>) -> Option<u64> {
        let file = self.file_range();
        let inside = file.start <= range.start && range.end <= file.end;
        let vaddr = self
            .vaddr
            .checked_add(range.start.checked_sub(file.start)?)?;
        vaddr.checked_add(range.end.checked_sub(range.start)?)?;
        inside.then_some(vaddr)
    }
}

/// Memory for trampolines: writable through [`CodeMemory`], executable for the program, within 2 GiB of the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub vaddr: u64,
    pub len: u64,
}

/// What [`apply`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub map: PatchMap,
    pub counts: Counts,
}

/// An upper bound of the trampoline area that the sites need.
pub fn trampoline_size(sites: &Sites<'_>) -> u64 {
    let sizes = sites.iter().filter_map(|record| Shape::new(&record).ok());
    sizes.fold(0, |sum, shape| {
        sum.saturating_add(encode::trampoline_size(&shape) as u64)
    })
}

/// The virtual addresses of the pages of `mapping` that patching may write to; sorted, each once.
pub fn pages_touched(sites: &Sites<'_>, mapping: &Mapping) -> Result<Vec<u64>, OutOfMemory> {
    let mut pages = Vec::new();
    for record in sites.within(&mapping.file_range()).iter() {
        let Ok(shape) = Shape::new(&record) else {
            continue;
        };
        for range in [Some(shape.window()), shape.pad_range()]
            .into_iter()
            .flatten()
        {
            let Some(vaddr) = mapping.locate(&range) else {
                continue;
            };
            let last = vaddr.saturating_add((range.end - range.start).saturating_sub(1));
            pages.try_reserve(2)?;
            pages.push(page_down(vaddr));
            // A window is shorter than a page: it touches two at most.
            pages.push(page_down(last));
        }
    }
    pages.sort_unstable();
    pages.dedup();
    Ok(pages)
}

/// Applies the records that lie in `mapping`. Trampolines fill `area` from its start, rounded up to 16.
pub fn apply<M: CodeMemory>(
    sites: &Sites<'_>,
    mapping: &Mapping,
    area: &Area,
    memory: &mut M,
) -> Result<Applied, OutOfMemory> {
    let sites = sites.within(&mapping.file_range());
    let start = area
        .vaddr
        .checked_next_multiple_of(encode::ALIGN as u64)
        .unwrap_or(u64::MAX);
    let mut patcher = Patcher {
        mapping,
        area_end: area.vaddr.saturating_add(area.len),
        cursor: start,
        last_site: None,
        claims: Claims::with_room_for(sites.len().saturating_mul(2))?,
        map: PatchMap::new(mapping.vaddr, start, sites.len())?,
        memory,
    };
    let mut counts = Counts::default();
    for record in sites.iter() {
        counts.add(Shape::new(&record).and_then(|shape| patcher.patch(&shape)));
    }
    patcher.fill_page();
    Ok(Applied {
        map: patcher.map,
        counts,
    })
}

struct Patcher<'a, M> {
    mapping: &'a Mapping,
    area_end: u64,
    cursor: u64,
    last_site: Option<u64>,
    claims: Claims,
    map: PatchMap,
    memory: &'a mut M,
}

impl<M: CodeMemory> Patcher<'_, M> {
    fn patch(&mut self, shape: &Shape) -> Result<Technique, Skip> {
        // The map is searched by bisection: unsorted records would be lost in it.
        if self.last_site.is_some_and(|last| last >= shape.site) {
            return Err(Skip::Malformed);
        }
        let window_at = self
            .mapping
            .locate(&shape.window())
            .ok_or(Skip::OutOfRange)?;
        let pad = shape.pad_range();
        let pad_at = match &pad {
            Some(range) => Some(self.mapping.locate(range).ok_or(Skip::OutOfRange)?),
            None => None,
        };
        if [Some(shape.window()), pad.clone()]
            .iter()
            .flatten()
            .any(|range| !self.claims.is_free(range))
        {
            return Err(Skip::Overlap);
        }
        self.write_patch(shape, window_at, pad_at)?;
        self.last_site = Some(shape.site);
        self.claims.take(shape.window());
        if let Some(range) = pad {
            self.claims.take(range);
        }
        Ok(shape.technique)
    }

    /// Encodes everything before it writes anything, and writes the bytes that the program runs through last.
    fn write_patch(
        &mut self,
        shape: &Shape,
        window_at: u64,
        pad_at: Option<u64>,
    ) -> Result<(), Skip> {
        let mut buf = [0; MAX_WINDOW];
        let window = self.read_window(shape, window_at, &mut buf)?;
        let old_pad = pad_at.map(|addr| self.read_pad(addr)).transpose()?;

        let site = window_at.saturating_add(shape.head.into());
        let trampoline = encode::trampoline(shape, window, site, self.cursor)?;
        let end = self
            .cursor
            .checked_add(trampoline.bytes().len() as u64)
            .ok_or(Skip::AreaFull)?;
        if end > self.area_end {
            return Err(Skip::AreaFull);
        }
        if !self.map.fits(site, self.cursor) {
            return Err(Skip::OutOfReach);
        }
        let new_window = encode::window(shape, window_at, self.cursor)?;
        let new_pad = pad_at
            .map(|addr| encode::pad(addr, self.cursor))
            .transpose()?;

        self.write(self.cursor, trampoline.bytes())?;
        if let (Some(addr), Some(code)) = (pad_at, &new_pad) {
            self.write(addr, code.bytes())?;
        }
        if let Err(skip) = self.write(window_at, new_window.bytes()) {
            if let (Some(addr), Some(old)) = (pad_at, old_pad) {
                self.write(addr, &old)?;
            }
            return Err(skip);
        }
        self.map.push(shape, site, self.cursor..end);
        self.cursor = end;
        Ok(())
    }

    fn read_window<'b>(
        &self,
        shape: &Shape,
        addr: u64,
        buf: &'b mut [u8; MAX_WINDOW],
    ) -> Result<&'b [u8], Skip> {
        let range = shape.window();
        let window = buf
            .get_mut(..(range.end - range.start) as usize)
            .ok_or(Skip::Malformed)?;
        self.memory
            .read(addr, window)
            .map_err(|MemoryFault| Skip::Memory)?;
        if shape.matches(window) {
            Ok(window)
        } else {
            Err(Skip::Mismatch)
        }
    }

    fn read_pad(&self, addr: u64) -> Result<[u8; JUMP_SIZE as usize], Skip> {
        let mut bytes = [0; JUMP_SIZE as usize];
        self.memory
            .read(addr, &mut bytes)
            .map_err(|MemoryFault| Skip::Memory)?;
        if is_padding(&bytes) {
            Ok(bytes)
        } else {
            Err(Skip::Mismatch)
        }
    }

    fn write(&mut self, addr: u64, bytes: &[u8]) -> Result<(), Skip> {
        self.memory
            .write(addr, bytes)
            .map_err(|MemoryFault| Skip::Memory)
    }

    /// Fills the rest of the last page with `int3`.
    fn fill_page(&mut self) {
        while !self.cursor.is_multiple_of(PAGE_SIZE)
            && self.area_end.saturating_sub(self.cursor) >= FILLER.len() as u64
        {
            if self.write(self.cursor, &FILLER).is_err() {
                return;
            }
            self.cursor = self.cursor.saturating_add(FILLER.len() as u64);
        }
    }
}
