//! Reading and writing the data of a node.
use super::MemFs;
use super::pages::{Pages, Run};
use crate::Result;
use crate::inode::Mapper;
use crate::io::{Sink, Source};
use crate::page::{PAGE_SIZE, PageRef};
use alloc::sync::Weak;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use linux_abi::Errno;
use linux_abi::raw::general::{
    F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE,
    FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE,
};
use spin::Mutex;

const PAGE: u64 = PAGE_SIZE as u64;
/// The end of the largest possible file.
const SIZE_MAX: u64 = i64::MAX as u64;
pub(super) const F_SEAL_EXEC: u32 = 0x20;
const KNOWN_SEALS: u32 =
    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC;

/// The data of a regular file.
pub(super) struct FileData {
    /// Taken for moments only, never while user memory is touched: a fault on a mapping of this very file needs it.
    pages: Mutex<Pages>,
    /// Held over a whole write, truncation or allocation, so that they do not mix.
    writing: Mutex<()>,
    seals: AtomicU32,
    mappers: Mutex<Vec<Weak<dyn Mapper>>>,
}

impl FileData {
    pub(super) fn new(pages: Pages) -> Self {
        Self {
            pages: Mutex::new(pages),
            writing: Mutex::new(()),
            seals: AtomicU32::new(F_SEAL_SEAL),
            mappers: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.pages.lock().size
    }

    /// Size and `st_blocks`.
    pub(super) fn size_and_blocks(&self) -> (u64, u64) {
        let pages = self.pages.lock();
        (pages.size, pages.blocks())
    }

    pub(super) fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        let wanted = sink.remaining() as u64;
        let mut at = offset;
        loop {
            let run = {
                let pages = self.pages.lock();
                let end = offset.saturating_add(wanted).min(pages.size);
                if at >= end {
                    break;
                }
                pages.run(at, end)
            };
            let put = match &run {
                Run::Page { page, from, len } => page.read(*from, *len, sink),
                Run::Image(bytes) => sink.put(bytes),
                Run::Zeros(count) => sink.put_zeros(*count),
            };
            match put {
                Ok(()) => at += run.len() as u64,
                // What was copied before the bad page counts.
                Err(_) if at > offset => break,
                Err(error) => return Err(error),
            }
        }
        Ok(usize::try_from(at - offset.min(at)).unwrap_or(usize::MAX))
    }

    /// Writes at `offset`, or at the end if none is given.
    pub(super) fn write(
        &self,
        fs: &MemFs,
        offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Result<Written> {
        let _writing = self.writing.lock();
        let seals = self.seals.load(Relaxed);
        if source.remaining() > 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let size = self.size();
        let start = offset.unwrap_or(size);
        let end = write_end(start, source.remaining() as u64, size, seals)?;
        if end > size {
            self.pages.lock().clear_tail(size);
        }
        let mut written = Written {
            count: 0,
            end: start,
            replaced: None,
        };
        let outcome = self.write_pages(fs, end, source, &mut written);
        if written.end > size.max(start) {
            self.pages.lock().size = written.end;
        }
        match outcome {
            Err(error) if written.end == start => Err(error),
            // A part was written; the error shows itself at the next call.
            _ => {
                written.count = usize::try_from(written.end - start).unwrap_or(usize::MAX);
                Ok(written)
            }
        }
    }

    fn write_pages(
        &self,
        fs: &MemFs,
        end: u64,
        source: &mut dyn Source,
        written: &mut Written,
    ) -> Result<()> {
        while written.end < end {
            let index = written.end / PAGE;
            let from = (written.end % PAGE) as usize;
            let len =
                (PAGE_SIZE - from).min(usize::try_from(end - written.end).unwrap_or(usize::MAX));
            let (page, new) = self.pages.lock().writable(fs, index)?;
            if new {
                let first = written.replaced.as_ref().map_or(index, |range| range.start);
                written.replaced = Some(first..index + 1);
            }
            page.write(from, len, source)?;
            written.end += len as u64;
        }
        Ok(())
    }

    /// Sets the size. Answers the pages that mappings must let go of.
    pub(super) fn truncate(&self, fs: &MemFs, size: u64) -> Result<Option<Range<u64>>> {
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        let _writing = self.writing.lock();
        let mut pages = self.pages.lock();
        let seals = self.seals.load(Relaxed);
        let sealed = (size < pages.size && seals & F_SEAL_SHRINK != 0)
            || (size > pages.size && seals & F_SEAL_GROW != 0);
        if sealed {
            return Err(Errno::EPERM);
        }
        let shrunk = (size < pages.size).then(|| size / PAGE..pages.size.div_ceil(PAGE));
        pages.resize(fs, size);
        Ok(shrunk)
    }

    /// fallocate(2). Answers the pages that mappings must let go of.
    pub(super) fn fallocate(
        &self,
        fs: &MemFs,
        mode: u32,
        offset: u64,
        len: u64,
    ) -> Result<Option<Range<u64>>> {
        let end = offset
            .checked_add(len)
            .filter(|&end| end <= SIZE_MAX)
            .ok_or(Errno::EFBIG)?;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let keep = mode & FALLOC_FL_KEEP_SIZE != 0;
        let _writing = self.writing.lock();
        let mut pages = self.pages.lock();
        let seals = self.seals.load(Relaxed);
        let zeroes = match mode & !FALLOC_FL_KEEP_SIZE {
            0 => false,
            FALLOC_FL_PUNCH_HOLE if keep => true,
            FALLOC_FL_ZERO_RANGE => true,
            _ => return Err(Errno::EOPNOTSUPP),
        };
        let grows = !keep && end > pages.size;
        if (grows && seals & F_SEAL_GROW != 0)
            || (zeroes && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) != 0)
        {
            return Err(Errno::EPERM);
        }
        if zeroes {
            pages.punch(fs, offset, end)?;
        } else {
            pages.reserve(fs, offset, end)?;
        }
        if grows {
            pages.resize(fs, end);
        }
        Ok(zeroes.then(|| offset / PAGE..end.div_ceil(PAGE)))
    }

    pub(super) fn seek_data(&self, offset: u64, hole: bool) -> Result<u64> {
        self.pages.lock().seek_data(offset, hole)
    }

    /// A page for a mapping.
    pub(super) fn map_page(&self, fs: &MemFs, index: u64, write: bool) -> Result<PageRef> {
        let mut pages = self.pages.lock();
        if index >= pages.size.div_ceil(PAGE) {
            return Err(Errno::ENXIO);
        }
        if write {
            return pages
                .writable(fs, index)
                .map(|(page, _)| PageRef::Memory(page));
        }
        pages.readable(fs, index)
    }

    pub(super) fn seals(&self) -> u32 {
        self.seals.load(Relaxed)
    }

    pub(super) fn set_seals(&self, seals: u32) {
        self.seals.store(seals, Relaxed);
    }

    /// `F_ADD_SEALS`. Whether writable shared mappings forbid `F_SEAL_WRITE` is for the kernel to say.
    pub(super) fn add_seals(&self, seals: u32) -> Result<()> {
        if seals & !KNOWN_SEALS != 0 {
            return Err(Errno::EINVAL);
        }
        let _writing = self.writing.lock();
        if self.seals.load(Relaxed) & F_SEAL_SEAL != 0 {
            return Err(Errno::EPERM);
        }
        self.seals.fetch_or(seals, Relaxed);
        Ok(())
    }

    pub(super) fn add_mapper(&self, mapper: Weak<dyn Mapper>) {
        let mut mappers = self.mappers.lock();
        mappers.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&mapper));
        mappers.push(mapper);
    }

    /// Tells the mappings to let go of pages. No lock is held meanwhile.
    pub(super) fn invalidate(
        &self,
        dev: u64,
        ino: u64,
        range: Option<Range<u64>>,
        truncated: bool,
    ) {
        let Some(range) = range else { return };
        let mappers: Vec<_> = self
            .mappers
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for mapper in mappers {
            mapper.invalidate(dev, ino, range.clone(), truncated);
        }
    }

    pub(super) fn release(&self, fs: &MemFs) {
        self.pages.lock().release(fs);
    }
}

/// Where a write that wants `len` bytes may end.
fn write_end(start: u64, len: u64, size: u64, seals: u32) -> Result<u64> {
    if len == 0 {
        return Ok(start);
    }
    if start >= SIZE_MAX {
        return Err(Errno::EFBIG);
    }
    let end = start.saturating_add(len).min(SIZE_MAX);
    if end <= size || seals & F_SEAL_GROW == 0 {
        return Ok(end);
    }
    if start < size {
        Ok(size)
    } else {
        Err(Errno::EPERM)
    }
}

/// What a write did.
pub(super) struct Written {
    pub(super) count: usize,
    /// The offset after the last byte written.
    pub(super) end: u64,
    /// Pages that are no longer the image's.
    pub(super) replaced: Option<Range<u64>>,
}
