//! The pages of one file: those in memory, and what the image has beneath them.
use super::MemFs;
use crate::Result;
use crate::erofs::Extents;
use crate::page::{PAGE_SIZE, Page, PageRef};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use linux_abi::Errno;

const PAGE: u64 = PAGE_SIZE as u64;

/// A stretch of file data that one copy can serve.
pub(super) enum Run {
    /// `len` bytes of a page, from offset `from`.
    Page {
        page: Arc<Page>,
        from: usize,
        len: usize,
    },
    Image(&'static [u8]),
    Zeros(usize),
}

impl Run {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Page { len, .. } | Self::Zeros(len) => *len,
            Self::Image(bytes) => bytes.len(),
        }
    }
}

/// The data of a file. Sizes and offsets are below 2^63.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) size: u64,
    /// Pages in memory. None is a hole punched into image data.
    map: BTreeMap<u64, Option<Arc<Page>>>,
    /// How many of `map` are pages, for the budget.
    held: u64,
    image: Extents,
    /// Below this the image's data shows where `map` has nothing; only ever shrinks.
    image_end: u64,
    image_size: u64,
}

impl Pages {
    pub(super) fn backed(image: Extents, size: u64) -> Self {
        Self {
            size,
            image,
            image_end: size,
            image_size: size,
            ..Self::default()
        }
    }

    /// Units of 512 bytes, for `st_blocks`.
    pub(super) fn blocks(&self) -> u64 {
        let backed = self.image_end.div_ceil(PAGE);
        let covered = if backed == 0 {
            0
        } else {
            self.map.range(..backed).count() as u64
        };
        (self.held + backed - covered) * 8
    }

    /// The data at `offset`, which is below `end`, as one run that does not pass `end`; `end` is at most the size.
    pub(super) fn run(&self, offset: u64, end: u64) -> Run {
        let index = offset / PAGE;
        let from = (offset % PAGE) as usize;
        let in_page = to_usize(end - offset).min(PAGE_SIZE - from);
        if !self.map.is_empty() {
            match self.map.get(&index) {
                Some(Some(page)) => {
                    return Run::Page {
                        page: page.clone(),
                        from,
                        len: in_page,
                    };
                }
                Some(None) => return Run::Zeros(in_page),
                None => {}
            }
        }
        // Up to the next page in memory, it is all image or all hole.
        let next = self
            .map
            .range(index + 1..)
            .next()
            .map_or(end, |(&at, _)| end.min(at * PAGE));
        if offset < self.image_end {
            let bytes = self.image.bytes(offset, next.min(self.image_end));
            if !bytes.is_empty() {
                return Run::Image(bytes);
            }
        }
        Run::Zeros(to_usize(next - offset))
    }

    /// Fills a new page with what now shows at `index`.
    fn copy_of(&self, index: u64) -> Result<Arc<Page>> {
        let start = index * PAGE;
        let page = Page::zeroed()?;
        let end = self.image_end.min(start + PAGE);
        let mut at = start;
        while at < end {
            let bytes = self.image.bytes(at, end);
            if bytes.is_empty() {
                break;
            }
            page.store((at - start) as usize, bytes);
            at += bytes.len() as u64;
        }
        Ok(page)
    }

    fn insert(
        &mut self,
        fs: &MemFs,
        index: u64,
        make: impl FnOnce(&Self) -> Result<Arc<Page>>,
    ) -> Result<Arc<Page>> {
        fs.take_pages(1)?;
        let page = make(self).inspect_err(|_| fs.give_back(1))?;
        self.map.insert(index, Some(page.clone()));
        self.held += 1;
        Ok(page)
    }

    /// The page at `index`, to be written. The flag says that it took the place of an image page, which mappings may
    /// still show. (A hole is never mapped: see `readable`.)
    pub(super) fn writable(&mut self, fs: &MemFs, index: u64) -> Result<(Arc<Page>, bool)> {
        match self.map.get(&index) {
            Some(Some(page)) => Ok((page.clone(), false)),
            Some(None) => Ok((self.insert(fs, index, |_| Page::zeroed())?, false)),
            None => Ok((
                self.insert(fs, index, |pages| pages.copy_of(index))?,
                index * PAGE < self.image_end,
            )),
        }
    }

    /// The page at `index` for a mapping that does not write.
    pub(super) fn readable(&mut self, fs: &MemFs, index: u64) -> Result<PageRef> {
        if let Some(Some(page)) = self.map.get(&index) {
            return Ok(PageRef::Memory(page.clone()));
        }
        let hole = self.map.contains_key(&index);
        let whole = (index + 1) * PAGE <= self.image_end || self.image_end == self.image_size;
        if !hole
            && whole
            && index * PAGE < self.image_end
            && let Some(page) = self.image.page(index)
        {
            return Ok(PageRef::Image(page));
        }
        // The tail of an image file, which has no page of its own, or a hole: it gets one, so that what is written
        // later shows in the mapping.
        self.writable(fs, index)
            .map(|(page, _)| PageRef::Memory(page))
    }

    /// Sets the size. Shrinking drops pages and what the image had beyond; growing shows zeros.
    pub(super) fn resize(&mut self, fs: &MemFs, size: u64) {
        if size > self.size {
            self.clear_tail(self.size);
        } else {
            self.remove(fs, size.div_ceil(PAGE), u64::MAX);
            self.image_end = self.image_end.min(size);
            self.clear_tail(size);
        }
        self.size = size;
    }

    /// Zeroes the rest of the page that `from` lies in: stores through mappings may have left something there.
    pub(super) fn clear_tail(&self, from: u64) {
        if let Some(Some(page)) = self.map.get(&(from / PAGE)) {
            page.clear((from % PAGE) as usize, PAGE_SIZE);
        }
    }

    /// Drops the pages of `first..end` from memory.
    fn remove(&mut self, fs: &MemFs, first: u64, end: u64) {
        let indices: alloc::vec::Vec<u64> = self
            .map
            .range(first..end)
            .map(|(&index, _)| index)
            .collect();
        let mut freed = 0;
        for index in indices {
            if let Some(Some(_)) = self.map.remove(&index) {
                freed += 1;
            }
        }
        self.held -= freed;
        fs.give_back(freed);
    }

    /// Makes `from..to` read as zeros, keeping the size (`FALLOC_FL_PUNCH_HOLE`).
    pub(super) fn punch(&mut self, fs: &MemFs, from: u64, to: u64) -> Result<()> {
        let to = to.min(self.size.next_multiple_of(PAGE));
        if from >= to {
            return Ok(());
        }
        let (first, end) = (from.div_ceil(PAGE), to / PAGE);
        if first > end {
            return self.zero_within(fs, from / PAGE, from % PAGE, to - from);
        }
        if !from.is_multiple_of(PAGE) {
            self.zero_within(fs, from / PAGE, from % PAGE, PAGE - from % PAGE)?;
        }
        if !to.is_multiple_of(PAGE) {
            self.zero_within(fs, to / PAGE, 0, to % PAGE)?;
        }
        self.remove(fs, first, end);
        let backed_end = end.min(self.image_end.div_ceil(PAGE));
        for index in first..backed_end {
            self.map.insert(index, None);
        }
        Ok(())
    }

    fn zero_within(&mut self, fs: &MemFs, index: u64, from: u64, len: u64) -> Result<()> {
        let shows_data = match self.map.get(&index) {
            Some(entry) => entry.is_some(),
            None => index * PAGE < self.image_end,
        };
        if shows_data {
            let (page, _) = self.writable(fs, index)?;
            page.clear(from as usize, (from + len) as usize);
        }
        Ok(())
    }

    /// Makes room for all of `from..to` (plain fallocate(2)).
    pub(super) fn reserve(&mut self, fs: &MemFs, from: u64, to: u64) -> Result<()> {
        let (first, end) = (from / PAGE, to.div_ceil(PAGE));
        let backed_end = self.image_end.div_ceil(PAGE);
        let missing = (end - first).saturating_sub(self.map.range(first..end).count() as u64);
        if missing.saturating_sub(backed_end) > fs.statfs().blocks_free {
            return Err(Errno::ENOSPC);
        }
        for index in first..end {
            let hole = match self.map.get(&index) {
                Some(entry) => entry.is_none(),
                None => index >= backed_end,
            };
            if hole {
                self.writable(fs, index)?;
            }
        }
        Ok(())
    }

    /// Whether page `index` holds data rather than a hole.
    fn has_data(&self, index: u64) -> bool {
        match self.map.get(&index) {
            Some(entry) => entry.is_some(),
            None => index * PAGE < self.image_end,
        }
    }

    /// The first data, or hole, at or after `offset`. The end of the file counts as a hole.
    pub(super) fn seek_data(&self, offset: u64, hole: bool) -> Result<u64> {
        if offset >= self.size {
            return Err(Errno::ENXIO);
        }
        let mut index = offset / PAGE;
        let end = self.size.div_ceil(PAGE);
        let backed_end = self.image_end.div_ceil(PAGE);
        while index < end && self.has_data(index) == hole {
            index = if hole || index < backed_end {
                index + 1
            } else {
                // Over a hole of a sparse file in one step.
                self.map
                    .range(index + 1..)
                    .find(|(_, page)| page.is_some())
                    .map_or(end, |(&at, _)| at)
            };
        }
        let found = (index * PAGE).max(offset).min(self.size);
        if found >= self.size && !hole {
            Err(Errno::ENXIO)
        } else {
            Ok(found)
        }
    }

    /// Drops everything: the file is gone.
    pub(super) fn release(&mut self, fs: &MemFs) {
        fs.give_back(self.held);
        self.held = 0;
        self.map.clear();
    }
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
