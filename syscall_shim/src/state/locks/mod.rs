//! File locks: those of flock(2), and the record locks of fcntl(2).

mod records;
mod whole;

pub use records::{RecordLock, RecordOwner};

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use records::Record;
use spin::Mutex;
use vfs::{File, WaitList};
use whole::Whole;

/// Device and inode number.
type Key = (u64, u64);

fn key(file: &File) -> Key {
    let metadata = file.metadata();
    (metadata.dev, metadata.ino)
}

/// The locks of all files.
#[derive(Default)]
pub struct FileLocks {
    whole: Mutex<BTreeMap<Key, Vec<Whole>>>,
    records: Mutex<BTreeMap<Key, Vec<Record>>>,
    /// How many files have record locks, so that close(2) need not look.
    record_files: AtomicUsize,
    waiters: WaitList,
}

impl FileLocks {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            whole: Mutex::new(BTreeMap::new()),
            records: Mutex::new(BTreeMap::new()),
            record_files: AtomicUsize::new(0),
            waiters: WaitList::new(),
        }
    }

    /// Told when a lock is given up; not when an open file description ends, which nobody announces.
    #[must_use]
    pub fn wait_list(&self) -> &WaitList {
        &self.waiters
    }

    /// flock(2): takes the lock, or converts the one held; false if another description is in the way. A conversion
    /// that fails has lost the old lock, as on Linux.
    pub fn try_lock(&self, file: &Arc<File>, exclusive: bool) -> bool {
        let (taken, given_up) = {
            let mut locks = self.whole.lock();
            let held = locks.entry(key(file)).or_default();
            let given_up = whole::release(held, file);
            (whole::take(held, file, exclusive), given_up)
        };
        if given_up {
            self.waiters.notify(u32::MAX);
        }
        taken
    }

    /// flock(2) `LOCK_UN`.
    pub fn unlock(&self, file: &Arc<File>) {
        {
            let mut locks = self.whole.lock();
            let key = key(file);
            if let Some(held) = locks.get_mut(&key) {
                whole::release(held, file);
                if held.is_empty() {
                    locks.remove(&key);
                }
            }
        }
        self.waiters.notify(u32::MAX);
    }

    /// fcntl(2) `F_SETLK`: false if somebody else's lock is in the way.
    pub fn try_record(&self, file: &File, owner: &RecordOwner, lock: RecordLock) -> bool {
        {
            let mut files = self.records.lock();
            let held = files.entry(key(file)).or_default();
            if records::conflict(held, owner, &lock).is_some() {
                return false;
            }
            records::put(held, owner, &lock, true);
            self.record_files.store(files.len(), Relaxed);
        }
        self.waiters.notify(u32::MAX);
        true
    }

    /// fcntl(2) `F_UNLCK`.
    pub fn unlock_record(&self, file: &File, owner: &RecordOwner, lock: RecordLock) {
        {
            let mut files = self.records.lock();
            let key = key(file);
            if let Some(held) = files.get_mut(&key) {
                records::put(held, owner, &lock, false);
                if held.is_empty() {
                    files.remove(&key);
                }
            }
            self.record_files.store(files.len(), Relaxed);
        }
        self.waiters.notify(u32::MAX);
    }

    /// fcntl(2) `F_GETLK`: the first lock that is in the way, and whose it is.
    #[must_use]
    pub fn conflict(
        &self,
        file: &File,
        owner: &RecordOwner,
        lock: &RecordLock,
    ) -> Option<(RecordLock, RecordOwner)> {
        let files = self.records.lock();
        records::conflict(files.get(&key(file))?, owner, lock)
    }

    /// A process has ended: its record locks go, and an open file description may have gone with it.
    pub fn process_ended(&self, pid: i32) {
        let owner = RecordOwner::Process(pid);
        {
            let mut files = self.records.lock();
            files.retain(|_, held| {
                records::put(held, &owner, &RecordLock::WHOLE, false);
                !held.is_empty()
            });
            self.record_files.store(files.len(), Relaxed);
        }
        self.waiters.notify(u32::MAX);
    }

    /// A process has closed a descriptor of `file`: its record locks on that file go, whichever descriptor took them.
    pub fn closed(&self, file: &File, pid: i32) {
        if self.record_files.load(Relaxed) > 0 {
            self.unlock_record(file, &RecordOwner::Process(pid), RecordLock::WHOLE);
        }
    }
}
