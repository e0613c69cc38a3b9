//! Guest RAM: one reservation of anonymous memory (two when the machine has more than 3 GiB), with the image's
//! read-only segments mapped over it privately from the file. So one memory slot covers all.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use vm_memory::mmap::{MmapRegion, MmapRegionBuilder};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap, GuestRegionMmap};

use crate::error::{Error, Result};
use crate::image::{Image, ImageFile, Segment};
use crate::layout::{HIGH_RAM, HUGE_PAGE, LOW_RAM_MAX, PAGE};

/// The bytes are shared with a running guest: only volatile access, through `vm-memory`.
pub type GuestMemory = GuestMemoryMmap<()>;

const PROT: i32 = libc::PROT_READ | libc::PROT_WRITE;
const FLAGS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

/// Sizes of the two ranges of RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RamSizes {
    pub low: u64,
    pub high: u64,
}

impl RamSizes {
    /// What the image maps from its file comes on top of `anonymous`.
    pub fn new(anonymous: u64, image: &Image) -> Result<Self> {
        let mapped: u64 = image
            .segments
            .iter()
            .filter(|s| s.mappable())
            .map(|s| s.mem_size.next_multiple_of(HUGE_PAGE))
            .sum();
        let total = anonymous
            .saturating_add(mapped)
            .checked_next_multiple_of(HUGE_PAGE)
            .unwrap_or(u64::MAX - (HUGE_PAGE - 1));
        let sizes = Self {
            low: total.min(LOW_RAM_MAX),
            high: total.saturating_sub(LOW_RAM_MAX),
        };
        let need = image.segments.iter().map(Segment::end).max().unwrap_or(0);
        if need > sizes.low {
            return Err(Error::TooSmall {
                need: need.div_ceil(1 << 20),
                have: sizes.low >> 20,
            });
        }
        Ok(sizes)
    }

    /// Start and length of each range.
    pub fn ranges(self) -> impl Iterator<Item = (u64, u64)> {
        [(0, self.low), (HIGH_RAM, self.high)]
            .into_iter()
            .filter(|(_, len)| *len != 0)
    }
}

/// Reserves RAM, with what the image maps from its file.
pub fn reserve(image: &Image, sizes: RamSizes, from: &ImageFile) -> Result<GuestMemory> {
    let mut regions = Vec::new();
    for (start, len) in sizes.ranges() {
        let region = reserve_range(len)?;
        if start == 0 {
            keep_small(&region);
            for segment in image.segments.iter().filter(|s| s.mappable()) {
                map_segment(&region, segment, &from.file)?;
            }
        }
        let region = GuestRegionMmap::new(region, GuestAddress(start)).ok_or(Error::Reserve {
            size: len,
            source: io::ErrorKind::InvalidInput.into(),
        })?;
        regions.push(region);
    }
    Ok(GuestMemory::from_regions(regions)?)
}

/// Brings the rest of the image into RAM.
pub fn copy(memory: &GuestMemory, image: &Image, from: &ImageFile) -> Result<()> {
    let mut rest = image.segments.iter().filter(|s| !s.mappable());
    rest.try_for_each(|segment| copy_segment(memory, segment, &from.file))
}

/// Anonymous memory, aligned so that a huge page of the guest can be one of the host.
fn reserve_range(len: u64) -> Result<MmapRegion<()>> {
    let failed = |source| Error::Reserve { size: len, source };
    let size = usize::try_from(len)
        .ok()
        .and_then(|len| len.checked_add(HUGE_PAGE as usize));
    let size = size.ok_or_else(|| failed(io::ErrorKind::OutOfMemory.into()))?;
    // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that exists.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), size, PROT, FLAGS, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(failed(io::Error::last_os_error()));
    }
    let skip = base.align_offset(HUGE_PAGE as usize);
    let len = size - HUGE_PAGE as usize;
    // SAFETY: `skip` is less than the extra huge page, so `start..start + len` lies inside the mapping.
    let start = unsafe { base.cast::<u8>().add(skip) };
    // SAFETY: the range is inside our own mapping; advice does not change what it holds. Without huge pages it only runs slower.
    unsafe { libc::madvise(start.cast(), len, libc::MADV_HUGEPAGE) };
    // SAFETY: the range is mapped with these very flags, and stays so until the process ends.
    let builder = unsafe { MmapRegionBuilder::new(len).with_raw_mmap_pointer(start) };
    builder
        .with_mmap_prot(PROT)
        .with_mmap_flags(FLAGS)
        .build()
        .map_err(|e| failed(io::Error::other(e)))
}

/// Only a few pages below the kernel are ever used: no huge page for them, which would have to be cleared.
fn keep_small(region: &MmapRegion<()>) {
    let len = region.size().min(HUGE_PAGE as usize);
    // SAFETY: the range is inside our own mapping; advice does not change what it holds.
    unsafe { libc::madvise(region.as_ptr().cast(), len, libc::MADV_NOHUGEPAGE) };
}

/// The file's pages take the place of the reserved ones.
fn map_segment(region: &MmapRegion<()>, segment: &Segment, file: &File) -> Result<()> {
    let len = segment.mem_size.next_multiple_of(PAGE) as usize;
    let at = segment.paddr as usize;
    if at.checked_add(len).is_none_or(|end| end > region.size()) {
        return Err(Error::MapImage(io::ErrorKind::InvalidInput.into()));
    }
    // SAFETY: the range was just checked to lie inside the region, which nothing uses yet.
    let target = unsafe { region.as_ptr().add(at) };
    // SAFETY: replaces pages of the region only; offset and address are page-aligned (`Segment::mappable`).
    let got = unsafe {
        libc::mmap(
            target.cast(),
            len,
            PROT,
            libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE,
            file.as_raw_fd(),
            segment.file_offset as libc::off_t,
        )
    };
    if got == libc::MAP_FAILED {
        return Err(Error::MapImage(io::Error::last_os_error()));
    }
    // A file system that can brings the file into memory in huge pages then, if it is not there; the guest faults once for each.
    // SAFETY: the range was just mapped; advice does not change what it holds.
    unsafe { libc::madvise(target.cast(), len, libc::MADV_HUGEPAGE) };
    Ok(())
}

fn copy_segment(memory: &GuestMemory, segment: &Segment, file: &File) -> Result<()> {
    let mut reader = FileAt {
        file,
        offset: segment.file_offset,
    };
    let len = segment.file_size as usize;
    memory
        .read_exact_volatile_from(GuestAddress(segment.paddr), &mut reader, len)
        .map_err(|e| match e {
            vm_memory::GuestMemoryError::IOError(e) => Error::ReadImage(e),
            other => Error::GuestMemory(other),
        })
}

/// Reads a file from an offset on, without a file position that others could move.
struct FileAt<'a> {
    file: &'a File,
    offset: u64,
}

impl vm_memory::ReadVolatile for FileAt<'_> {
    fn read_volatile<B: vm_memory::bitmap::BitmapSlice>(
        &mut self,
        buf: &mut vm_memory::VolatileSlice<'_, B>,
    ) -> std::result::Result<usize, vm_memory::VolatileMemoryError> {
        let target = buf.ptr_guard_mut();
        // SAFETY: the guard holds `len` writable bytes of guest memory; the system call is the only writer to them now.
        let got = unsafe {
            libc::pread(
                self.file.as_raw_fd(),
                target.as_ptr().cast(),
                target.len(),
                self.offset as libc::off_t,
            )
        };
        let got = usize::try_from(got)
            .map_err(|_| vm_memory::VolatileMemoryError::IOError(io::Error::last_os_error()))?;
        self.offset += got as u64;
        Ok(got)
    }
}
