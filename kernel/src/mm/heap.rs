//! The kernel's heap: size classes carved from frames. From one page upwards an allocation is a block of frames, so a
//! page-aligned, page-sized allocation **is** a frame in the direct map; memory files rely on that to be mapped.
#![allow(unsafe_code)]

use super::frame::{self, For, Pfn};
use super::layout::{PAGE, virt_to_phys};
use crate::faults::{self, Kind};
use crate::rank::{self, Ranked};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU64, Ordering};

const CLASSES: [usize; 14] = [
    16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
];
/// Frames taken at a time for small objects: 16 KiB.
const REFILL_ORDER: u8 = 2;

/// Page-aligned allocations of one page that are alive.
static SINGLE_PAGES: AtomicU64 = AtomicU64::new(0);

/// Pages that hold data of files in memory, tmpfs's and memfd's: they are what is allocated so.
#[must_use]
pub fn file_pages() -> u64 {
    SINGLE_PAGES.load(Ordering::Relaxed)
}

fn is_page(layout: Layout) -> bool {
    layout.size() == PAGE as usize && layout.align() == PAGE as usize
}

fn fails(layout: Layout) -> bool {
    faults::strikes(Kind::Heap) || (is_page(layout) && faults::strikes(Kind::Frame))
}

/// The block of frames that an allocation got, counted.
fn block(layout: Layout, got: Option<Pfn>) -> *mut u8 {
    let Some(pfn) = got else { return null_mut() };
    SINGLE_PAGES.fetch_add(u64::from(is_page(layout)), Ordering::Relaxed);
    pfn.virt() as *mut u8
}

struct Heap {
    free: Ranked<[*mut u8; CLASSES.len()], { rank::HEAP }>,
}

// SAFETY: the lists are only reached through the lock.
unsafe impl Sync for Heap {}
// SAFETY: as above.
unsafe impl Send for Heap {}

#[global_allocator]
static HEAP: Heap = Heap {
    free: Ranked::new([null_mut(); CLASSES.len()]),
};

fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size().max(if layout.align() > 16 {
        layout.align().next_power_of_two()
    } else {
        0
    });
    let size = if layout.align() > 16 {
        size.next_power_of_two()
    } else {
        size
    };
    CLASSES
        .iter()
        .position(|&class| class >= size && class.is_multiple_of(layout.align()))
}

fn order_of(layout: Layout) -> u8 {
    let pages = layout.size().max(layout.align()).div_ceil(PAGE as usize);
    pages.next_power_of_two().ilog2() as u8
}

// SAFETY: blocks are handed out once until freed; classes keep the alignment of 16 or of their power of two.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails(layout) {
            return null_mut();
        }
        let Some(class) = class_of(layout) else {
            let order = order_of(layout);
            return if order > frame::MAX_ORDER {
                null_mut()
            } else {
                block(layout, frame::alloc(order, For::Kernel).map(|(pfn, _)| pfn))
            };
        };
        let mut free = self.free.lock();
        if free[class].is_null() {
            let Some((pfn, _)) = frame::alloc(REFILL_ORDER, For::Kernel) else {
                return null_mut();
            };
            free[class] = carve(pfn, CLASSES[class]);
        }
        let block = free[class];
        // SAFETY: a free block's first word is the next free block.
        free[class] = unsafe { *block.cast::<*mut u8>() };
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class_of(layout).is_none() {
            if fails(layout) {
                return null_mut();
            }
            let order = order_of(layout);
            return if order > frame::MAX_ORDER {
                null_mut()
            } else {
                block(layout, frame::alloc_zeroed(order, For::Kernel))
            };
        }
        // SAFETY: as for `alloc`; the block has room for `layout`.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                core::ptr::write_bytes(block, 0, layout.size());
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class_of(layout) {
            Some(class) => {
                let mut free = self.free.lock();
                // SAFETY: the block is the caller's to give back and at least 16 bytes long.
                unsafe { *block.cast::<*mut u8>() = free[class] };
                free[class] = block;
            }
            None => {
                SINGLE_PAGES.fetch_sub(u64::from(is_page(layout)), Ordering::Relaxed);
                frame::put_block(Pfn::of(virt_to_phys(block as u64)), order_of(layout));
            }
        }
    }
}

/// Links the blocks of a new chunk; the first one is returned.
fn carve(pfn: Pfn, size: usize) -> *mut u8 {
    let start = pfn.virt() as usize;
    let count = ((PAGE as usize) << REFILL_ORDER) / size;
    let mut next = null_mut();
    for i in (0..count).rev() {
        let block = (start + i * size) as *mut *mut u8;
        // SAFETY: inside the chunk that was just allocated.
        unsafe { *block = next };
        next = block.cast();
    }
    next
}
