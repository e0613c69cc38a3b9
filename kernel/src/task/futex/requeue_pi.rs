//! `FUTEX_WAIT_REQUEUE_PI` and `FUTEX_CMP_REQUEUE_PI`: waiting for a condition whose mutex inherits priorities. Who is woken owns
//! the mutex: the wake-up hands it over if it is free, and else moves the waiter to the mutex's queue.

use super::pi::{replace, waiting_flag};
use super::{
    ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, Key, Leaving, Queue, Waiter, lock_two,
    queue_up, table, withdraw,
};
use crate::mm::user;
use crate::task::thread::Thread;
use crate::task::wait::wait;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_abi::Errno;
use syscall_shim::kernel::{FutexWord, Woken};

/// Sleeps while the condition's word holds `expected`, until the caller owns the mutex.
pub fn wait_requeue_pi(
    condition: FutexWord,
    expected: u32,
    deadline: Option<u64>,
    mutex: FutexWord,
) -> Result<(), Errno> {
    user::load(mutex.addr)?;
    let mutex = Key::of(mutex);
    if Key::of(condition) == mutex {
        return Err(Errno::EINVAL);
    }
    let waiter = queue_up(condition, expected, ANY, Some(mutex))?;
    match wait(&[], deadline, &mut || waiter.is_woken()) {
        Ok(Woken::Ready) => Ok(()),
        _ if !withdraw(&waiter) => Ok(()),
        Ok(Woken::TimedOut) => Err(Errno::ETIMEDOUT),
        // Made again the call would wait for a condition that has come.
        Err(_) if waiter.wants_mutex() => Err(Errno::EAGAIN),
        Err(_) => Err(Errno::ERESTARTNOINTR),
    }
}

/// Gives the mutex to one who waits for the condition, if it is free, and has up to `limit` more (one more, if it is not) queue
/// for it. Answers how many these are together.
pub fn requeue_pi(
    condition: FutexWord,
    mutex: FutexWord,
    limit: usize,
    expected: u32,
) -> Result<usize, Errno> {
    user::load(condition.addr)?;
    user::load(mutex.addr)?;
    let (from, to) = (Key::of(condition), Key::of(mutex));
    if from == to {
        return Err(Errno::EINVAL);
    }
    let (source, target) = (from.bucket(), to.bucket());
    let mut leaving = Leaving::default();
    let (mut waiters, mut others) = lock_two(source, target);
    if user::load(condition.addr)? != expected {
        return Err(Errno::EAGAIN);
    }
    let chosen = choose(&waiters, from, to, limit.saturating_add(1))?;
    if chosen.is_empty() {
        return Ok(0);
    }
    let queue = others.as_ref().unwrap_or(&waiters);
    let owns = assign(mutex.addr, &chosen, waiting_flag(queue, to))?;
    waiters.retain(|waiter| !chosen.iter().any(|one| Arc::ptr_eq(one, waiter)));
    let mut rest = chosen.iter();
    if owns && let Some(first) = rest.next() {
        leaving.add(first.clone());
    }
    let moved = rest.cloned().inspect(|waiter| {
        waiter.bitset.store(0, Ordering::Relaxed);
        *waiter.key.lock() = to;
    });
    match &mut others {
        Some(others) => {
            others.extend(moved);
            table()[target].set_count(others);
        }
        None => waiters.extend(moved),
    }
    table()[source].set_count(&waiters);
    Ok(chosen.len())
}

/// The first `count` that wait for the condition. EINVAL if one wants another mutex, or none.
fn choose(
    waiters: &Queue<'_>,
    from: Key,
    to: Key,
    count: usize,
) -> Result<Vec<Arc<Waiter>>, Errno> {
    let mut chosen = Vec::new();
    for waiter in waiters.iter().filter(|waiter| *waiter.key.lock() == from) {
        if chosen.len() == count {
            break;
        }
        if waiter.wants_mutex() || waiter.mutex != Some(to) {
            return Err(Errno::EINVAL);
        }
        chosen.push(waiter.clone());
    }
    Ok(chosen)
}

/// Makes the first of `chosen` the owner of a free mutex; marks one that is not free as waited for. Answers whether it was free.
fn assign(mutex: u64, chosen: &[Arc<Waiter>], waiting: u32) -> Result<bool, Errno> {
    let Some(first) = chosen.first() else {
        return Ok(false);
    };
    loop {
        let value = user::load(mutex)?;
        let owner = value & FUTEX_TID_MASK;
        let new = if owner == 0 {
            let more = if chosen.len() > 1 { FUTEX_WAITERS } else { 0 };
            first.thread.tid as u32 | (value & FUTEX_OWNER_DIED) | waiting | more
        } else {
            if chosen.iter().any(|one| one.thread.tid as u32 == owner) {
                return Err(Errno::EDEADLK);
            }
            if Thread::find(owner as i32).is_none() {
                return Err(Errno::ESRCH);
            }
            value | FUTEX_WAITERS
        };
        if replace(mutex, value, new)? {
            return Ok(owner == 0);
        }
    }
}
