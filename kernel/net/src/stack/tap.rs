//! Seeing all frames, as packet sockets do.
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Somebody who sees all frames. Called with the stack's lock held: it may keep the frame, and wake nobody but by `Tap::wake`.
pub trait Tap: Send + Sync {
    fn frame(&self, frame: &[u8], outgoing: bool);

    /// Frames have been seen; called without a lock.
    fn wake(&self);
}

#[derive(Default)]
pub struct Taps {
    all: Vec<Weak<dyn Tap>>,
    has_seen: bool,
}

impl Taps {
    pub fn add(&mut self, tap: &Arc<dyn Tap>) {
        self.all.push(Arc::downgrade(tap));
    }

    pub fn see(&mut self, frame: &[u8], outgoing: bool) {
        if self.all.is_empty() {
            return;
        }
        self.all.retain(|tap| {
            let Some(tap) = tap.upgrade() else {
                return false;
            };
            tap.frame(frame, outgoing);
            true
        });
        self.has_seen = true;
    }

    /// Whom to wake.
    pub fn news(&mut self) -> Vec<Weak<dyn Tap>> {
        if core::mem::take(&mut self.has_seen) {
            self.all.clone()
        } else {
            Vec::new()
        }
    }
}
