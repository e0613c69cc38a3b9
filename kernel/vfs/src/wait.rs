//! Readiness: who wants to hear about a change, and telling them.
//!
//! Nothing in this crate blocks. An operation that cannot go on answers `EAGAIN`; the kernel then registers the
//! thread with the object's [`WaitList`], looks again, and sleeps. So a wake-up between the look and the sleep is
//! never lost.
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use spin::Mutex;

/// Somebody who can be told that an object's state may have changed: a thread, or an epoll instance.
pub trait Wake: Send + Sync {
    /// Called with no lock of the notifying object held. Must not block and may be called spuriously.
    /// `events` is the set of POLL* bits that changed.
    fn wake(&self, events: u32);

    /// A file that stood for the object has been closed for good. Matters to who watches files rather than objects.
    fn file_closed(&self) {}
}

/// The set of parties waiting on one object.
#[derive(Default)]
pub struct WaitList {
    waiters: Mutex<Vec<Weak<dyn Wake>>>,
}

impl WaitList {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            waiters: Mutex::new(Vec::new()),
        }
    }

    /// Adds a waiter. It stays until `remove`d or dropped.
    pub fn add(&self, waiter: &Arc<dyn Wake>) {
        let mut waiters = self.waiters.lock();
        if waiters.len() == waiters.capacity() {
            // Rather than grow, forget who has gone without saying so.
            waiters.retain(|known| known.strong_count() > 0);
        }
        waiters.push(Arc::downgrade(waiter));
    }

    /// Removes one registration of `waiter`.
    pub fn remove(&self, waiter: &Arc<dyn Wake>) {
        let target = Arc::downgrade(waiter);
        let mut waiters = self.waiters.lock();
        if let Some(at) = waiters.iter().position(|w| w.ptr_eq(&target)) {
            waiters.swap_remove(at);
        }
    }

    /// Tells everyone that a file of the object is closed.
    pub fn file_closed(&self) {
        let alive: Vec<_> = {
            let waiters = self.waiters.lock();
            waiters.iter().filter_map(Weak::upgrade).collect()
        };
        alive.iter().for_each(|waiter| waiter.file_closed());
    }

    /// Tells everyone. The list is copied first, so that a waiter may add or remove itself meanwhile.
    pub fn notify(&self, events: u32) {
        let (first, others) = {
            let mut waiters = self.waiters.lock();
            waiters.retain(|waiter| waiter.strong_count() > 0);
            // One waiter is the common case, and needs no allocation.
            let mut alive = waiters.iter().filter_map(Weak::upgrade);
            (alive.next(), alive.collect::<Vec<_>>())
        };
        for waiter in first.into_iter().chain(others) {
            waiter.wake(events);
        }
    }
}
