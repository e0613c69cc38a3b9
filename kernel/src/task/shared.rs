//! What processes can have in common: an address space (`CLONE_VM`), descriptors (`CLONE_FILES`).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A process's hold on it. References alone would not tell when the last process has gone: threads that have ended, and /proc,
/// keep some for a while.
pub struct Shared<T> {
    value: Arc<T>,
    processes: Arc<AtomicUsize>,
}

impl<T> Shared<T> {
    #[must_use]
    pub fn new(value: Arc<T>) -> Self {
        Self {
            value,
            processes: Arc::new(AtomicUsize::new(1)),
        }
    }

    #[must_use]
    pub fn get(&self) -> &Arc<T> {
        &self.value
    }

    /// For one process more.
    #[must_use]
    pub fn share(&self) -> Self {
        self.processes.fetch_add(1, Ordering::Relaxed);
        Self {
            value: self.value.clone(),
            processes: self.processes.clone(),
        }
    }

    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.processes.load(Ordering::Acquire) > 1
    }

    /// A process gives it up: whether it was the last one. Once for each process.
    #[must_use]
    pub fn leave(&self) -> bool {
        self.processes.fetch_sub(1, Ordering::AcqRel) == 1
    }
}
