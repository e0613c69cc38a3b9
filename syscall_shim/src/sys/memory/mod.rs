//! Memory: mmap(2) and its relatives.

mod advise;
mod brk;
mod lock;
mod map;
mod numa;
mod protect;
mod remap;

pub use advise::{madvise, mincore, msync};
pub use brk::brk;
pub use lock::{mlock, mlock2, mlockall, munlock, munlockall};
pub use map::{mmap, munmap};
pub use numa::{
    get_mempolicy, mbind, migrate_pages, move_pages, set_mempolicy, set_mempolicy_home_node,
};
pub use protect::{mprotect, mseal, pkey_alloc, pkey_free, pkey_mprotect};
pub use remap::{mremap, remap_file_pages};

use linux_abi::{Errno, PAGE_SIZE, USER_END};

const PAGE: u64 = PAGE_SIZE as u64;

const fn is_aligned(addr: u64) -> bool {
    addr.is_multiple_of(PAGE)
}

/// `len` rounded up to whole pages; none if that overflows.
const fn pages(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(PAGE)
}

/// A range that starts on a page: rounded up, and wholly in the program's half. EINVAL for the alignment, `beyond` for
/// a range that no program can have.
fn range(addr: u64, len: u64, beyond: Errno) -> Result<u64, Errno> {
    if !is_aligned(addr) {
        return Err(Errno::EINVAL);
    }
    let len = pages(len).ok_or(beyond)?;
    if addr.checked_add(len).is_none_or(|end| end > USER_END) {
        Err(beyond)
    } else {
        Ok(len)
    }
}

#[cfg(test)]
mod tests;
