//! The calls that came after futex(2): flags of their own, 64-bit values, waiting on several words at once.

use super::futex::check;
use crate::kernel::{Clock, FutexWord, Kernel};
use crate::sys::time::monotonic_deadline;
use crate::user::UserPtr;
use alloc::vec::Vec;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, FutexWaitv, SysResult, Timespec};

/// The only size that Linux has so far.
const SIZE_U32: u32 = raw::FUTEX2_SIZE_U32;
const SIZE_MASK: u32 = raw::FUTEX2_SIZE_MASK;
const PRIVATE: u32 = raw::FUTEX2_PRIVATE;

/// A word with its flags, which are EINVAL for other sizes, and for `FUTEX2_NUMA`, which came later.
fn word_of(addr: u64, flags: u32) -> Result<FutexWord, Errno> {
    if flags & !(SIZE_MASK | PRIVATE) != 0 || flags & SIZE_MASK != SIZE_U32 {
        return Err(Errno::EINVAL);
    }
    Ok(FutexWord {
        addr,
        private: flags & PRIVATE != 0,
    })
}

/// A value or mask for a word of 32 bits.
fn fits(value: u64) -> Result<u32, Errno> {
    u32::try_from(value).map_err(|_| Errno::EINVAL)
}

/// The timeout is a point in time of one of two clocks.
fn deadline<K: Kernel>(
    k: &K,
    timeout: UserPtr<Timespec>,
    clockid: u32,
) -> Result<Option<u64>, Errno> {
    if timeout.is_null() {
        return Ok(None);
    }
    let clock = match clockid {
        raw::CLOCK_REALTIME => Clock::Realtime,
        raw::CLOCK_MONOTONIC => Clock::Monotonic,
        _ => return Err(Errno::EINVAL),
    };
    let time = timeout.read(k)?.to_ns()?;
    monotonic_deadline(k, clock, time).map(Some)
}

/// `count` entries of an array of `struct futex_waitv`.
fn read_words<K: Kernel>(
    k: &K,
    waiters: UserPtr<FutexWaitv>,
    count: usize,
) -> Result<Vec<(FutexWord, u32)>, Errno> {
    let mut words = Vec::with_capacity(count);
    for index in 0..count {
        let entry = waiters.at(index).read(k)?;
        let word = word_of(entry.uaddr, entry.flags)?;
        if entry.reserved != 0 {
            return Err(Errno::EINVAL);
        }
        words.push((word, fits(entry.val)?));
    }
    Ok(words)
}

/// futex_waitv(2)
pub fn futex_waitv<K: Kernel>(
    k: &K,
    waiters: UserPtr<FutexWaitv>,
    nr: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clockid: u32,
) -> SysResult {
    if flags != 0 || nr == 0 || nr > raw::FUTEX_WAITV_MAX || waiters.is_null() {
        return Err(Errno::EINVAL);
    }
    let deadline = deadline(k, timeout, clockid)?;
    let words = read_words(k, waiters, nr as usize)?;
    for (word, _) in &words {
        check(k, *word)?;
    }
    k.futex_wait_many(&words, deadline)
}

/// futex_wait(2)
pub fn futex_wait<K: Kernel>(
    k: &K,
    uaddr: u64,
    val: u64,
    mask: u64,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clockid: u32,
) -> SysResult {
    let word = word_of(uaddr, flags)?;
    let (expected, bitset) = (fits(val)?, fits(mask)?);
    let deadline = deadline(k, timeout, clockid)?;
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    check(k, word)?;
    // The deadline is a point in time: the call can be made again as it is.
    k.futex_wait(word, expected, bitset, deadline).map(|()| 0)
}

/// futex_wake(2)
pub fn futex_wake<K: Kernel>(k: &K, uaddr: u64, mask: u64, nr: i32, flags: u32) -> SysResult {
    let word = word_of(uaddr, flags)?;
    let bitset = fits(mask)?;
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    check(k, word)?;
    if nr == 0 {
        return Ok(0);
    }
    // As Linux: asking for fewer than none wakes one.
    k.futex_wake(word, u32::try_from(nr).unwrap_or(1), bitset)
}

/// futex_requeue(2): from the first word of the array to the second.
pub fn futex_requeue<K: Kernel>(
    k: &K,
    waiters: UserPtr<FutexWaitv>,
    flags: u32,
    nr_wake: i32,
    nr_requeue: i32,
) -> SysResult {
    if flags != 0 || waiters.is_null() {
        return Err(Errno::EINVAL);
    }
    let words = read_words(k, waiters, 2)?;
    let &[(from, expected), (to, _)] = words.as_slice() else {
        return Err(Errno::EINVAL);
    };
    let count = |number: i32| u32::try_from(number).map_err(|_| Errno::EINVAL);
    let (wake, limit) = (count(nr_wake)?, count(nr_requeue)?);
    check(k, from)?;
    check(k, to)?;
    let (woken, moved) = k.futex_requeue(from, to, wake, limit, Some(expected))?;
    Ok(woken + moved)
}
