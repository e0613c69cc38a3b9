//! flock(2).
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use vfs::File;

/// A lock on a whole file. It belongs to an open file description and ends with it.
pub(super) struct Whole {
    by: Weak<File>,
    exclusive: bool,
}

/// Drops the lock of `file`, and those whose descriptions are gone. Whether there was any.
pub(super) fn release(held: &mut Vec<Whole>, file: &Arc<File>) -> bool {
    let before = held.len();
    held.retain(|lock| lock.by.strong_count() > 0 && lock.by.as_ptr() != Arc::as_ptr(file));
    held.len() < before
}

pub(super) fn take(held: &mut Vec<Whole>, file: &Arc<File>, exclusive: bool) -> bool {
    if held.iter().any(|lock| exclusive || lock.exclusive) {
        return false;
    }
    held.push(Whole {
        by: Arc::downgrade(file),
        exclusive,
    });
    true
}
