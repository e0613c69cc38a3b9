//! futex_waitv(2): one thread in several queues.

use super::{ANY, Waiter, queue_up, withdraw};
use crate::task::wait::wait;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;
use syscall_shim::kernel::{FutexWord, Woken};

/// Sleeps while each word holds what is expected of it, until one is woken; answers which, the last if they are several.
pub fn wait_many(words: &[(FutexWord, u32)], deadline: Option<u64>) -> Result<usize, Errno> {
    let mut waiters = Vec::with_capacity(words.len());
    for &(word, expected) in words {
        match queue_up(word, expected, ANY, None) {
            Ok(waiter) => waiters.push(waiter),
            Err(errno) => return withdraw_all(&waiters).ok_or(errno),
        }
    }
    let any = || waiters.iter().any(|waiter| waiter.is_woken());
    let outcome = wait(&[], deadline, &mut || any());
    // One that was woken counts, whatever else has happened.
    withdraw_all(&waiters).ok_or(match outcome {
        Ok(Woken::TimedOut) => Errno::ETIMEDOUT,
        Ok(Woken::Ready) => Errno::EAGAIN,
        Err(errno) => errno,
    })
}

/// Leaves all queues; answers which waiter had been woken.
fn withdraw_all(waiters: &[Arc<Waiter>]) -> Option<usize> {
    let mut woken = None;
    for (at, waiter) in waiters.iter().enumerate() {
        if !withdraw(waiter) {
            woken = Some(at);
        }
    }
    woken
}
