//! What the `virtio-drivers` crate needs of the kernel: memory that devices can reach, which is all of the direct map.
#![allow(unsafe_code)]

use crate::mm::frame::{self, For, Pfn};
use crate::mm::layout::{phys_to_virt, virt_to_phys};
use core::ptr::NonNull;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

pub struct DirectMap;

fn order_of(pages: usize) -> u8 {
    pages.next_power_of_two().trailing_zeros() as u8
}

// SAFETY: blocks come from the frame allocator, which hands each out once and zeroed; physical and virtual addresses
// differ by the direct map's offset alone.
unsafe impl Hal for DirectMap {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        match frame::alloc_zeroed(order_of(pages), For::Kernel) {
            Some(pfn) => (
                pfn.phys(),
                NonNull::new(pfn.virt() as *mut u8).unwrap_or(NonNull::dangling()),
            ),
            // The crate takes the address 0 for "no memory".
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(phys: PhysAddr, _virt: NonNull<u8>, pages: usize) -> i32 {
        frame::put_block(Pfn::of(phys), order_of(pages));
        0
    }

    unsafe fn mmio_phys_to_virt(phys: PhysAddr, _size: usize) -> NonNull<u8> {
        NonNull::new(phys_to_virt(phys) as *mut u8).unwrap_or(NonNull::dangling())
    }

    /// Buffers must lie in the direct map: kernel stacks do not.
    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        virt_to_phys(buffer.as_ptr().cast::<u8>() as u64)
    }

    unsafe fn unshare(_phys: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// A block of zeroed pages that is never freed, for a device's buffers. None: out of memory.
pub fn dma_block(pages: usize) -> Option<&'static mut [u8]> {
    let pfn = frame::alloc_zeroed(order_of(pages), For::Kernel)?;
    // SAFETY: the block was just allocated, lies in the direct map and is never given back.
    Some(unsafe {
        core::slice::from_raw_parts_mut(
            pfn.virt() as *mut u8,
            pages * crate::mm::layout::PAGE as usize,
        )
    })
}
