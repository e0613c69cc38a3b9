//! Pages of file data, shared between the file systems and the mappings of programs.
//!
//! This is the one module of the crate with `unsafe`: a mapped page is written by the program while the kernel copies
//! from or to it, which safe references cannot express.
#![allow(unsafe_code)]
use crate::Result;
use crate::io::{Sink, Source};
use alloc::alloc::{Layout, alloc_zeroed};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::sync::atomic::AtomicU32;
use linux_abi::Errno;

pub const PAGE_SIZE: usize = 4096;

#[repr(C, align(4096))]
struct PageBuf(UnsafeCell<[u8; PAGE_SIZE]>);

/// One page of file data. The buffer is one page-aligned allocation, so that the kernel finds its frame.
pub struct Page(Box<PageBuf>);

// SAFETY: the bytes are only touched by the copies below, which make no reference that outlives them. A race between
// such a copy and the program's own stores is the program's race, as on Linux; bytes have no invalid values.
unsafe impl Sync for Page {}
// SAFETY: as above; the buffer has no thread affinity.
unsafe impl Send for Page {}

impl Page {
    /// A page of zeros, or `ENOMEM`.
    pub fn zeroed() -> Result<Arc<Self>> {
        let layout = Layout::new::<PageBuf>();
        // SAFETY: the layout is not of size zero.
        let fresh = unsafe { alloc_zeroed(layout) }.cast::<PageBuf>();
        if fresh.is_null() {
            return Err(Errno::ENOMEM);
        }
        // SAFETY: just allocated with the layout of a `PageBuf`, whose bytes may all be zero.
        Ok(Arc::new(Self(unsafe { Box::from_raw(fresh) })))
    }

    /// Where the page is; page-aligned. For the kernel, which maps it.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.0.0.get().cast()
    }

    fn range(&self, from: usize, len: usize) -> Result<*mut u8> {
        match from.checked_add(len) {
            // SAFETY: `from + len` is within the page.
            Some(end) if end <= PAGE_SIZE => Ok(unsafe { self.as_ptr().add(from) }),
            _ => Err(Errno::EFAULT),
        }
    }

    /// Copies `len` bytes from offset `from` out.
    pub fn read(&self, from: usize, len: usize, sink: &mut dyn Sink) -> Result<()> {
        let at = self.range(from, len)?;
        // SAFETY: in bounds by `range`; the slice lives for the copy only, see `Sync` above.
        sink.put(unsafe { core::slice::from_raw_parts(at, len) })
    }

    /// Copies `len` bytes in at offset `from`.
    pub fn write(&self, from: usize, len: usize, source: &mut dyn Source) -> Result<()> {
        let at = self.range(from, len)?;
        // SAFETY: in bounds by `range`; the slice lives for the copy only, see `Sync` above.
        source.take(unsafe { core::slice::from_raw_parts_mut(at, len) })
    }

    /// Copies `bytes` in at offset `from`; what does not fit is left out.
    pub fn store(&self, from: usize, bytes: &[u8]) {
        let len = bytes.len().min(PAGE_SIZE.saturating_sub(from));
        if let Ok(at) = self.range(from, len) {
            // SAFETY: `at..at+len` is in bounds by `range`, and `bytes` has at least `len`; they cannot overlap, for
            // nobody holds a reference into a page.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at, len) }
        }
    }

    /// The 32-bit word at byte `at`, which the program may change at any time. None if it is not one of the page's.
    #[must_use]
    pub fn word(&self, at: usize) -> Option<&AtomicU32> {
        if !at.is_multiple_of(align_of::<AtomicU32>()) {
            return None;
        }
        let at = self.range(at, size_of::<AtomicU32>()).ok()?;
        // SAFETY: in bounds by `range` and aligned, for the page is. The word lives as long as `self`, and all bytes are
        // a value. Who else touches it does so by atomics of its own or in the program, see `Sync` above.
        Some(unsafe { AtomicU32::from_ptr(at.cast()) })
    }

    /// Zeroes `from..to`.
    pub fn clear(&self, from: usize, to: usize) {
        let len = to.saturating_sub(from);
        if let Ok(at) = self.range(from, len) {
            // SAFETY: in bounds by `range`.
            unsafe { core::ptr::write_bytes(at, 0, len) }
        }
    }
}

/// A page for a mapping.
#[derive(Clone)]
pub enum PageRef {
    /// A page of an in-memory file. The mapping keeps it alive.
    Memory(Arc<Page>),
    /// A page of the mounted image: page-aligned, 4096 bytes, never to be mapped writable.
    Image(&'static [u8]),
}

impl PageRef {
    /// Where the page is.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        match self {
            Self::Memory(page) => page.as_ptr(),
            Self::Image(bytes) => bytes.as_ptr(),
        }
    }
}
