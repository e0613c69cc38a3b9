//! Mutexes with priority inheritance, `FUTEX_LOCK_PI`: the word holds the owner's tid, and the kernel hands it from owner to
//! owner. All threads have one priority, so there is nothing to inherit; what is left is the order of arrival.

use super::{
    Bucket, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, Key, Leaving, Queue, Waiter, table,
    withdraw,
};
use crate::mm::user;
use crate::percpu;
use crate::task::thread::Thread;
use alloc::sync::Arc;
use linux_abi::Errno;
use syscall_shim::kernel::{FutexWord, Woken};

/// What a look at the mutex came to.
enum Attempt {
    Owned,
    Queued(Arc<Waiter>),
}

/// Makes the caller the owner of the mutex, after all who came before it.
pub fn lock_pi(futex: FutexWord, try_only: bool, deadline: Option<u64>) -> Result<(), Errno> {
    let Attempt::Queued(waiter) = attempt(futex, try_only)? else {
        return Ok(());
    };
    match crate::task::wait::wait(&[], deadline, &mut || waiter.is_woken()) {
        Ok(Woken::Ready) => Ok(()),
        // Handed over after all.
        _ if !withdraw(&waiter) => Ok(()),
        Ok(Woken::TimedOut) => Err(Errno::ETIMEDOUT),
        // A mutex is not given up for a signal: after its handler the call is made again.
        Err(_) => Err(Errno::ERESTARTNOINTR),
    }
}

/// Takes a free mutex; queues for one that is not.
fn attempt(futex: FutexWord, try_only: bool) -> Result<Attempt, Errno> {
    let thread = percpu::current().arc().ok_or(Errno::ESRCH)?;
    let tid = thread.tid as u32;
    let mutex = futex.addr;
    let key = Key::of(futex);
    let bucket = &table()[key.bucket()];
    let mut waiters = bucket.waiters.lock();
    loop {
        let value = user::load(mutex)?;
        let owner = value & FUTEX_TID_MASK;
        if owner == tid {
            return Err(Errno::EDEADLK);
        }
        if owner == 0 {
            let new = tid | (value & FUTEX_OWNER_DIED) | waiting_flag(&waiters, key);
            if replace(mutex, value, new)? {
                return Ok(Attempt::Owned);
            }
            continue;
        }
        if try_only {
            return Err(Errno::EAGAIN);
        }
        if Thread::find(owner as i32).is_none() {
            return Err(Errno::ESRCH);
        }
        if replace(mutex, value, value | FUTEX_WAITERS)? {
            break;
        }
    }
    let waiter = Waiter::new(thread, key, 0, None);
    waiters.push(waiter.clone());
    bucket.set_count(&waiters);
    Ok(Attempt::Queued(waiter))
}

pub(super) fn replace(mutex: u64, old: u32, new: u32) -> Result<bool, Errno> {
    Ok(user::compare_exchange(mutex, old, new)? == old)
}

fn is_waiting(waiter: &Waiter, key: Key) -> bool {
    waiter.wants_mutex() && *waiter.key.lock() == key
}

pub(super) fn waiting_flag(waiters: &Queue<'_>, key: Key) -> u32 {
    if waiters.iter().any(|waiter| is_waiting(waiter, key)) {
        FUTEX_WAITERS
    } else {
        0
    }
}

/// Gives the mutex up, to the thread that has waited longest if there is one.
pub fn unlock_pi(futex: FutexWord) -> Result<(), Errno> {
    if user::load(futex.addr)? & FUTEX_TID_MASK != percpu::current().tid as u32 {
        return Err(Errno::EPERM);
    }
    give(futex.addr, Key::of(futex), 0)
}

/// Gives a mutex whose owner has ended to the next one, with `flags` in the word.
pub fn hand_over(address: u64, flags: u32) -> Result<(), Errno> {
    give(
        address,
        Key::of(FutexWord {
            addr: address,
            private: false,
        }),
        flags,
    )
}

fn give(mutex: u64, key: Key, flags: u32) -> Result<(), Errno> {
    let bucket: &Bucket = &table()[key.bucket()];
    let mut leaving = Leaving::default();
    let mut waiters = bucket.waiters.lock();
    let next = waiters.iter().position(|waiter| is_waiting(waiter, key));
    let next = next.map(|at| waiters.remove(at));
    // Only the owner and, with the queue locked, the kernel change a mutex that is owned.
    let new = next.as_ref().map_or(flags, |next| {
        next.thread.tid as u32 | flags | waiting_flag(&waiters, key)
    });
    let stored = store(mutex, new);
    if let Some(next) = next {
        leaving.add(next);
    }
    bucket.set_count(&waiters);
    stored
}

fn store(mutex: u64, new: u32) -> Result<(), Errno> {
    let mut old = user::load(mutex)?;
    while !replace(mutex, old, new)? {
        old = user::load(mutex)?;
    }
    Ok(())
}
