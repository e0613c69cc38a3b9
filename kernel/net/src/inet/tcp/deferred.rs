//! `TCP_DEFER_ACCEPT`: a connection joins the queue when its client has sent something.
use super::link::Link;
use super::listener::Listener;
use alloc::sync::{Arc, Weak};
use spin::Mutex;
use vfs::{Host, Wake, poll};

pub(super) const MONOTONIC: u32 = 1;
pub(super) const SECOND: u64 = 1_000_000_000;

/// A connection that waits for its first byte.
pub(crate) struct Deferred {
    this: Weak<Self>,
    listener: Weak<Listener>,
    link: Mutex<Option<Link>>,
    host: Arc<dyn Host>,
    deadline: u64,
}

impl Deferred {
    pub(crate) fn new(
        listener: Weak<Listener>,
        link: Link,
        seconds: usize,
        host: &Arc<dyn Host>,
    ) -> Arc<Self> {
        let deadline = host.clock(MONOTONIC) + seconds as u64 * SECOND;
        let deferred = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            listener,
            link: Mutex::new(Some(link.clone())),
            host: host.clone(),
            deadline,
        });
        let waker: Arc<dyn Wake> = deferred.clone();
        link.events().add(&waker);
        host.wake_at(MONOTONIC, deadline, Arc::downgrade(&waker));
        deferred
    }

    /// Ends the wait if it is over.
    pub(crate) fn look(&self) {
        let link = self.link.lock().clone();
        let is_over = link.is_some_and(|link| {
            link.poll() & (poll::IN | poll::HUP) != 0 || self.host.clock(MONOTONIC) >= self.deadline
        });
        if is_over && let Some(listener) = self.listener.upgrade() {
            listener.end_deferral(self);
        }
    }

    /// The connection, once.
    pub(crate) fn take(&self) -> Option<Link> {
        let link = self.link.lock().take()?;
        if let Some(this) = self.this.upgrade() {
            let waker: Arc<dyn Wake> = this;
            link.events().remove(&waker);
        }
        Some(link)
    }
}

impl Wake for Deferred {
    fn wake(&self, _events: u32) {
        self.look();
    }
}
