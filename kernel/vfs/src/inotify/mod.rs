//! inotify(7): a file that reads what happens to others.
mod queue;

pub(crate) use queue::MAX_QUEUED_EVENTS;

use crate::Result;
use crate::file::File;
use crate::inode::InodeRef;
use crate::io::{Sink, UserMemory};
use crate::notify::{self, Event, Key, Observer};
use crate::ops::FileOps;
use crate::types::poll;
use crate::wait::WaitList;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use linux_abi::Errno;
use linux_abi::raw::general::{
    IN_ALL_EVENTS, IN_DELETE_SELF, IN_EXCL_UNLINK, IN_IGNORED, IN_ISDIR, IN_MASK_ADD,
    IN_MASK_CREATE, IN_MOVE_SELF, IN_ONESHOT, O_CLOEXEC, O_NONBLOCK, O_RDONLY,
};
use linux_abi::raw::ioctl::FIONREAD;
use queue::Queue;
use spin::Mutex;

/// /proc/sys/fs/inotify/max_user_instances
pub(crate) const MAX_USER_INSTANCES: usize = 128;
/// /proc/sys/fs/inotify/max_user_watches
pub(crate) const MAX_USER_WATCHES: usize = 65536;

/// How many there are of each; the machine has one user.
static INSTANCES: AtomicUsize = AtomicUsize::new(0);
static WATCHES: AtomicUsize = AtomicUsize::new(0);

struct Watch {
    key: Key,
    /// Events, `IN_ONESHOT`, `IN_EXCL_UNLINK`
    mask: u32,
}

#[derive(Default)]
struct State {
    watches: BTreeMap<i32, Watch>,
    by_key: BTreeMap<Key, i32>,
    /// The watch descriptor given out last; they are not used again before all have been.
    last_wd: i32,
    queue: Queue,
}

pub struct Inotify {
    state: Mutex<State>,
    waiters: WaitList,
    this: Weak<Inotify>,
}

fn take_one(count: &AtomicUsize, limit: usize, error: Errno) -> Result<()> {
    let more = |now: usize| (now < limit).then_some(now + 1);
    count
        .fetch_update(Relaxed, Relaxed, more)
        .map(drop)
        .map_err(|_| error)
}

/// inotify_init1(2).
pub fn inotify(flags: u32) -> Result<Arc<File>> {
    if flags & !(O_NONBLOCK | O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    take_one(&INSTANCES, MAX_USER_INSTANCES, Errno::EMFILE)?;
    let ops = Arc::new_cyclic(|this| Inotify {
        state: Mutex::new(State::default()),
        waiters: WaitList::new(),
        this: this.clone(),
    });
    Ok(File::from_ops(ops, O_RDONLY | (flags & O_NONBLOCK)))
}

impl Inotify {
    fn observer(&self) -> Weak<dyn Observer> {
        self.this.clone()
    }

    /// inotify_add_watch(2), after the walk and its checks: the watch descriptor.
    pub fn add_watch(&self, inode: &InodeRef, mask: u32) -> Result<i32> {
        let key = notify::key_of(&**inode);
        let kept = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);
        let mut state = self.state.lock();
        if let Some(&wd) = state.by_key.get(&key) {
            if mask & IN_MASK_CREATE != 0 {
                return Err(Errno::EEXIST);
            }
            if let Some(watch) = state.watches.get_mut(&wd) {
                let old = if mask & IN_MASK_ADD != 0 {
                    watch.mask
                } else {
                    0
                };
                watch.mask = old | kept;
            }
            return Ok(wd);
        }
        take_one(&WATCHES, MAX_USER_WATCHES, Errno::ENOSPC)?;
        let wd = state.next_wd();
        state.last_wd = wd;
        state.by_key.insert(key, wd);
        state.watches.insert(wd, Watch { key, mask: kept });
        notify::register(key, self.observer());
        Ok(wd)
    }

    /// inotify_rm_watch(2).
    pub fn remove_watch(&self, wd: i32) -> Result<()> {
        self.end_watch(&mut self.state.lock(), wd)?;
        self.waiters.notify(poll::IN | poll::RDNORM);
        Ok(())
    }

    /// Forgets a watch, and says so.
    fn end_watch(&self, state: &mut State, wd: i32) -> Result<()> {
        let Watch { key, .. } = state.watches.remove(&wd).ok_or(Errno::EINVAL)?;
        state.by_key.remove(&key);
        notify::unregister(key, &self.observer());
        WATCHES.fetch_sub(1, Relaxed);
        state.queue.push(wd, IN_IGNORED, 0, None);
        Ok(())
    }

    /// Queues what an event means for the watch it hit. Answers whether there is something to read.
    fn note(&self, event: &Event<'_>) -> bool {
        let mut state = self.state.lock();
        let Some(&wd) = state.by_key.get(&event.key) else {
            return false;
        };
        let wanted = state.watches.get(&wd).map_or(0, |watch| watch.mask);
        let ended = event.mask & IN_DELETE_SELF != 0;
        let hidden = event.unlinked && wanted & IN_EXCL_UNLINK != 0;
        let asked = event.mask & wanted & IN_ALL_EVENTS != 0 && !hidden;
        if asked {
            let mask = if event.mask & (IN_DELETE_SELF | IN_MOVE_SELF) != 0 {
                event.mask & !IN_ISDIR
            } else {
                event.mask
            };
            state.queue.push(wd, mask, event.cookie, event.name);
        }
        if ended || (asked && wanted & IN_ONESHOT != 0) {
            // It is there, for it was found above.
            let _ = self.end_watch(&mut state, wd);
            return true;
        }
        asked
    }
}

impl State {
    fn next_wd(&self) -> i32 {
        let mut wd = self.last_wd;
        loop {
            wd = wd.checked_add(1).unwrap_or(1);
            if !self.watches.contains_key(&wd) {
                return wd;
            }
        }
    }
}

impl Observer for Inotify {
    fn observe(&self, event: &Event<'_>) {
        if self.note(event) {
            self.waiters.notify(poll::IN | poll::RDNORM);
        }
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        let observer = self.observer();
        for watch in self.state.get_mut().watches.values() {
            notify::unregister(watch.key, &observer);
            WATCHES.fetch_sub(1, Relaxed);
        }
        INSTANCES.fetch_sub(1, Relaxed);
    }
}

impl FileOps for Inotify {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        self.state.lock().queue.take(sink)
    }

    fn poll(&self) -> u32 {
        if self.state.lock().queue.is_empty() {
            0
        } else {
            poll::IN | poll::RDNORM
        }
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.waiters)
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        if command != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes = i32::try_from(self.state.lock().queue.bytes()).unwrap_or(i32::MAX);
        memory.write(argument, &bytes.to_le_bytes())?;
        Ok(0)
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(b"anon_inode:inotify".to_vec())
    }

    fn fdinfo(&self, out: &mut Vec<u8>) {
        for (wd, Watch { key, mask }) in &self.state.lock().watches {
            let (sdev, ino) = key;
            let line = format!(
                "inotify wd:{wd:x} ino:{ino:x} sdev:{sdev:x} mask:{mask:x} ignored_mask:0\n"
            );
            out.extend_from_slice(line.as_bytes());
        }
    }
}
