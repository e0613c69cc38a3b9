//! Readiness: who wants to hear about a change, and telling them.
//!
//! Nothing in this crate blocks. An operation that cannot go on answers `EAGAIN`; the kernel then registers the
//! thread with the object's [`WaitList`], looks again, and sleeps. So a wake-up between the look and the sleep is
//! never lost.
use crate::types::poll;
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

    /// The same, for one that was added by [`WaitList::add_exclusive`]. Answers whether somebody will look now, so that no
    /// further one need be told.
    fn wake_exclusive(&self, events: u32) -> bool {
        self.wake(events);
        true
    }
}

struct Waiter {
    wake: Weak<dyn Wake>,
    /// Of an exclusive one the events of which it is told; none: it is not exclusive, and told of all.
    exclusive: Option<u32>,
}

/// The set of parties waiting on one object.
#[derive(Default)]
pub struct WaitList {
    waiters: Mutex<Vec<Waiter>>,
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
        self.put(waiter, None);
    }

    /// Adds a waiter of which only so many are told as it takes for one to look.
    pub fn add_exclusive(&self, waiter: &Arc<dyn Wake>) {
        self.put(waiter, Some(u32::MAX));
    }

    /// The same for one to whom only some of the events matter: who reads a pipe does not look where there is room.
    pub fn add_exclusive_for(&self, waiter: &Arc<dyn Wake>, events: u32) {
        self.put(waiter, Some(events));
    }

    fn put(&self, waiter: &Arc<dyn Wake>, exclusive: Option<u32>) {
        let mut waiters = self.waiters.lock();
        if waiters.len() == waiters.capacity() {
            // Rather than grow, forget who has gone without saying so.
            waiters.retain(|known| known.wake.strong_count() > 0);
        }
        let wake = Arc::downgrade(waiter);
        waiters.push(Waiter { wake, exclusive });
    }

    /// Removes one registration of `waiter`.
    pub fn remove(&self, waiter: &Arc<dyn Wake>) {
        let target = Arc::downgrade(waiter);
        let mut waiters = self.waiters.lock();
        if let Some(at) = waiters.iter().position(|known| known.wake.ptr_eq(&target)) {
            // In order: of the exclusive ones the first is told.
            waiters.remove(at);
        }
    }

    /// Tells everyone that a file of the object is closed.
    pub fn file_closed(&self) {
        let alive: Vec<_> = {
            let waiters = self.waiters.lock();
            waiters
                .iter()
                .filter_map(|waiter| waiter.wake.upgrade())
                .collect()
        };
        alive.iter().for_each(|waiter| waiter.file_closed());
    }

    /// Whether nobody would be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiters.lock().is_empty()
    }

    /// Tells everyone, of those that are exclusive until one looks; a hang-up concerns all of them. The list is copied first, so
    /// that a waiter may add or remove itself meanwhile.
    pub fn notify(&self, events: u32) {
        let (first, others, exclusive) = {
            let mut waiters = self.waiters.lock();
            if let [only] = waiters.as_slice()
                && let Some(waiter) = only.wake.upgrade()
            {
                let (exclusive, wanted) = (only.exclusive.is_some(), only.wants(events));
                drop(waiters);
                if wanted {
                    tell(&*waiter, events, exclusive);
                }
                return;
            }
            waiters.retain(|waiter| waiter.wake.strong_count() > 0);
            // Few waiters are the common case, and the first needs no allocation.
            let mut ordinary = waiters
                .iter()
                .filter(|waiter| waiter.exclusive.is_none())
                .filter_map(|waiter| waiter.wake.upgrade());
            let exclusive = waiters.iter().find_map(|waiter| waiter.upgrade_for(events));
            (ordinary.next(), ordinary.collect::<Vec<_>>(), exclusive)
        };
        for waiter in first.into_iter().chain(others) {
            waiter.wake(events);
        }
        let Some(exclusive) = exclusive else { return };
        let to_all = events & (poll::HUP | poll::ERR) != 0;
        if exclusive.wake_exclusive(events) && !to_all {
            return;
        }
        let rest: Vec<_> = {
            let waiters = self.waiters.lock();
            let wanting = waiters
                .iter()
                .filter_map(|waiter| waiter.upgrade_for(events));
            wanting
                .filter(|waiter| !Arc::ptr_eq(waiter, &exclusive))
                .collect()
        };
        for waiter in rest {
            if waiter.wake_exclusive(events) && !to_all {
                return;
            }
        }
    }
}

impl Waiter {
    fn wants(&self, events: u32) -> bool {
        self.exclusive
            .is_none_or(|wants| events == 0 || wants & events != 0)
    }

    /// An exclusive one that is to hear of the events.
    fn upgrade_for(&self, events: u32) -> Option<Arc<dyn Wake>> {
        let told = self.exclusive.is_some() && self.wants(events);
        told.then(|| self.wake.upgrade())?
    }
}

fn tell(waiter: &dyn Wake, events: u32, exclusive: bool) {
    if exclusive {
        waiter.wake_exclusive(events);
    } else {
        waiter.wake(events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Wake for Counter {
        fn wake(&self, _events: u32) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn of_exclusive_waiters_one_is_told_of_what_it_wants() {
        let list = WaitList::new();
        let counters: [Arc<Counter>; 4] = Default::default();
        let wakers = counters.clone().map(|counter| -> Arc<dyn Wake> { counter });
        let [writer, reader, other, ordinary] = &wakers;
        list.add_exclusive_for(writer, poll::OUT);
        list.add_exclusive_for(reader, poll::IN);
        list.add_exclusive_for(other, poll::IN);
        list.add(ordinary);
        let counts = || counters.each_ref().map(|counter| counter.0.load(Relaxed));
        list.notify(poll::IN);
        assert_eq!(counts(), [0, 1, 0, 1]);
        list.notify(poll::OUT);
        assert_eq!(counts(), [1, 1, 0, 2]);
        // The end concerns all.
        list.notify(poll::HUP | poll::IN | poll::OUT);
        assert_eq!(counts(), [2, 2, 1, 3]);
        list.remove(reader);
        list.notify(poll::IN);
        assert_eq!(counts(), [2, 2, 2, 4]);
    }
}
