//! The program's memory, as the kernel copies to and from it. The kernel lives in the same address space, so a copy is
//! a copy; what can go wrong is a page that is not there, which `copy_user` (entry.s) survives.
#![allow(unsafe_code)]

use super::fault::Access;
use super::layout::{PAGE, is_user_range};
use crate::task;
use core::ptr::addr_of;
use core::sync::atomic::AtomicU8;
use linux_abi::Errno;

unsafe extern "C" {
    fn copy_user(dst: *mut u8, src: *const u8, len: usize) -> u32;
    fn load_user(address: *const u32, value: *mut u32) -> u32;
    fn exchange_user(address: *mut u32, expected: u32, new: u32, old: *mut u32) -> u32;
    static copy_user_end: u8;
    static copy_user_fault: u8;
}

/// Where a fault at `rip` resumes, if it is inside `copy_user` or its neighbours.
#[must_use]
pub fn fixup(rip: u64) -> Option<u64> {
    let inside = (copy_user as *const () as u64..addr_of!(copy_user_end) as u64).contains(&rip);
    inside.then_some(addr_of!(copy_user_fault) as u64)
}

/// Copies in; EFAULT if any byte cannot be read.
pub fn read(address: u64, into: &mut [u8]) -> Result<(), Errno> {
    if !is_user_range(address, into.len() as u64) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the destination is ours; the source is the program's range, where faults are handled.
    let done = unsafe { copy_user(into.as_mut_ptr(), address as *const u8, into.len()) };
    if done == 1 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Copies out; EFAULT if any byte cannot be written.
pub fn write(address: u64, from: &[u8]) -> Result<(), Errno> {
    if !is_user_range(address, from.len() as u64) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the source is ours; the destination is the program's range, where faults are handled.
    let done = unsafe { copy_user(address as *mut u8, from.as_ptr(), from.len()) };
    if done == 1 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// A word that the program changes at the same time: its value. EINVAL if it is not aligned, EFAULT if it cannot be read.
pub fn load(address: u64) -> Result<u32, Errno> {
    let mut value = 0;
    check_word(address)?;
    // SAFETY: the result is ours; the source is the program's, where faults are handled.
    let done = unsafe { load_user(address as *const u32, &mut value) };
    if done == 1 {
        Ok(value)
    } else {
        Err(Errno::EFAULT)
    }
}

/// Changes such a word from `expected` to `new`, at once; answers what it was, which is `expected` if it was changed.
pub fn compare_exchange(address: u64, expected: u32, new: u32) -> Result<u32, Errno> {
    let mut old = 0;
    check_word(address)?;
    // SAFETY: the result is ours; the word is the program's, where faults are handled.
    let done = unsafe { exchange_user(address as *mut u32, expected, new, &mut old) };
    if done == 1 {
        Ok(old)
    } else {
        Err(Errno::EFAULT)
    }
}

fn check_word(address: u64) -> Result<(), Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if is_user_range(address, 4) {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// How many bytes from `address` on can be accessed, up to `len`; makes them present.
#[must_use]
pub fn prepare(address: u64, len: u64, access: Access) -> u64 {
    if !is_user_range(address, len) {
        let first = is_user_range(address, 1);
        return if first {
            prepare(address, PAGE.min(len) - address % PAGE, access)
        } else {
            0
        };
    }
    task::current_space().prepare(address, len, access)
}

/// Copies one page between direct-map addresses.
pub fn copy_page(to: u64, from: u64) {
    // SAFETY: both are whole pages in the direct map; `to` was just allocated.
    unsafe { core::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, PAGE as usize) };
}

/// Reads bytes at a direct-map address that the page tables gave.
pub fn read_direct(from: u64, into: &mut [u8]) {
    // SAFETY: a run inside one mapped page; the program's races are its own.
    unsafe { core::ptr::copy_nonoverlapping(from as *const u8, into.as_mut_ptr(), into.len()) };
}

/// Writes bytes at a direct-map address that the page tables gave.
pub fn write_direct(to: u64, bytes: &[u8]) {
    // SAFETY: as for `read_direct`.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
}

/// Zeroes a range; EFAULT if any byte cannot be written.
pub fn zero(address: u64, len: usize) -> Result<(), Errno> {
    // Of a kind that may change, so that it is made at the start and takes no room in the image.
    static ZEROS: [AtomicU8; PAGE as usize] = [const { AtomicU8::new(0) }; PAGE as usize];
    // SAFETY: nothing else knows the static, so nothing writes to it.
    let zeros = unsafe { core::slice::from_raw_parts(ZEROS.as_ptr().cast::<u8>(), ZEROS.len()) };
    let mut done = 0;
    while done < len {
        let here = (len - done).min(zeros.len());
        write(
            address.wrapping_add(done as u64),
            zeros.get(..here).unwrap_or(zeros),
        )?;
        done += here;
    }
    Ok(())
}
