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

    /// The same, for one that was added by [`WaitList::add_exclusive`]. Answers whether somebody will look now, so that no
    /// further one need be told.
    fn wake_exclusive(&self, events: u32) -> bool {
        self.wake(events);
        true
    }
}

struct Waiter {
    wake: Weak<dyn Wake>,
    exclusive: bool,
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
        self.put(waiter, false);
    }

    /// Adds a waiter of which only so many are told as it takes for one to look.
    pub fn add_exclusive(&self, waiter: &Arc<dyn Wake>) {
        self.put(waiter, true);
    }

    fn put(&self, waiter: &Arc<dyn Wake>, exclusive: bool) {
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

    /// Tells everyone, of those that are exclusive until one looks. The list is copied first, so that a waiter may add or
    /// remove itself meanwhile.
    pub fn notify(&self, events: u32) {
        let (first, others, exclusive) = {
            let mut waiters = self.waiters.lock();
            if let [only] = waiters.as_slice()
                && let Some(waiter) = only.wake.upgrade()
            {
                let exclusive = only.exclusive;
                drop(waiters);
                return tell(&*waiter, events, exclusive);
            }
            waiters.retain(|waiter| waiter.wake.strong_count() > 0);
            let alive = |exclusive| {
                let of_kind = waiters
                    .iter()
                    .filter(move |waiter| waiter.exclusive == exclusive);
                of_kind.filter_map(|waiter| waiter.wake.upgrade())
            };
            // Few waiters are the common case, and the first needs no allocation.
            let mut ordinary = alive(false);
            (
                ordinary.next(),
                ordinary.collect::<Vec<_>>(),
                alive(true).collect::<Vec<_>>(),
            )
        };
        for waiter in first.into_iter().chain(others) {
            waiter.wake(events);
        }
        for waiter in exclusive {
            if waiter.wake_exclusive(events) {
                break;
            }
        }
    }
}

fn tell(waiter: &dyn Wake, events: u32, exclusive: bool) {
    if exclusive {
        waiter.wake_exclusive(events);
    } else {
        waiter.wake(events);
    }
}
