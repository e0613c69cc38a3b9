//! What happens to files, told to who watches them: the hooks of inotify(7).
//!
//! Watched inodes stand in one registry by device and number. While it is empty a hook is one load. Hooks are called
//! after the operation, with no lock of this crate held.
use crate::inode::{Inode, InodeRef};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use linux_abi::raw::general::{
    IN_ATTRIB, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_ISDIR, IN_MOVE_SELF, IN_MOVED_FROM,
    IN_MOVED_TO,
};
use spin::RwLock;

/// A watched inode: device and number.
pub(crate) type Key = (u64, u64);

/// What happened to the inode `key`, or to the entry `name` of the directory `key`.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) key: Key,
    /// `IN_*`
    pub(crate) mask: u32,
    /// The same for both halves of a move, else 0.
    pub(crate) cookie: u32,
    pub(crate) name: Option<&'a [u8]>,
    /// The entry has been unlinked; what happens to it now comes from who still has it open.
    pub(crate) unlinked: bool,
}

pub(crate) trait Observer: Send + Sync {
    fn observe(&self, event: &Event<'_>);
}

static REGISTRATIONS: AtomicUsize = AtomicUsize::new(0);
static REGISTRY: RwLock<BTreeMap<Key, Vec<Weak<dyn Observer>>>> = RwLock::new(BTreeMap::new());

#[inline]
fn anybody() -> bool {
    REGISTRATIONS.load(Relaxed) != 0
}

/// From now on `observer` hears of `key`. It must not be registered for it already.
pub(crate) fn register(key: Key, observer: Weak<dyn Observer>) {
    REGISTRY.write().entry(key).or_default().push(observer);
    REGISTRATIONS.fetch_add(1, Relaxed);
}

pub(crate) fn unregister(key: Key, observer: &Weak<dyn Observer>) {
    let mut registry = REGISTRY.write();
    let Some(observers) = registry.get_mut(&key) else {
        return;
    };
    if let Some(at) = observers.iter().position(|known| known.ptr_eq(observer)) {
        observers.swap_remove(at);
        REGISTRATIONS.fetch_sub(1, Relaxed);
    }
    if observers.is_empty() {
        registry.remove(&key);
    }
}

fn dispatch(event: &Event<'_>) {
    let observers: Vec<Arc<dyn Observer>> = {
        let registry = REGISTRY.read();
        let known = registry.get(&event.key).map_or(&[][..], Vec::as_slice);
        known.iter().filter_map(Weak::upgrade).collect()
    };
    for observer in observers {
        observer.observe(event);
    }
}

/// The key of an inode.
pub(crate) fn key_of(inode: &dyn Inode) -> Key {
    (inode.metadata().dev, inode.ino())
}

fn with_kind(mask: u32, inode: &dyn Inode) -> u32 {
    if inode.is_dir() {
        mask | IN_ISDIR
    } else {
        mask
    }
}

/// Something was done with the contents or attributes of `inode`: told to who watches it or the directory it is in.
#[inline]
pub(crate) fn used(inode: &InodeRef, mask: u32) {
    if anybody() {
        tell_used(&**inode, mask);
    }
}

#[cold]
fn tell_used(inode: &dyn Inode, mask: u32) {
    let mask = with_kind(mask, inode);
    if let Some(position) = inode.position() {
        dispatch(&Event {
            key: key_of(&*position.parent),
            mask,
            cookie: 0,
            name: Some(&position.name),
            unlinked: position.deleted,
        });
    }
    itself(inode, mask);
}

/// Told to who watches the inode itself only.
fn itself(inode: &dyn Inode, mask: u32) {
    dispatch(&Event {
        key: key_of(inode),
        mask,
        cookie: 0,
        name: None,
        unlinked: false,
    });
}

fn entry(dir: &InodeRef, name: &[u8], mask: u32, cookie: u32) {
    dispatch(&Event {
        key: key_of(&**dir),
        mask,
        cookie,
        name: Some(name),
        unlinked: false,
    });
}

/// `dir` has a new entry.
#[inline]
pub(crate) fn created(dir: &InodeRef, name: &[u8], inode: &InodeRef) {
    if anybody() {
        entry(dir, name, with_kind(IN_CREATE, &**inode), 0);
    }
}

/// The existing `inode` got another name in `dir`.
#[inline]
pub(crate) fn linked(dir: &InodeRef, name: &[u8], inode: &InodeRef) {
    if anybody() {
        itself(&**inode, IN_ATTRIB);
        entry(dir, name, IN_CREATE, 0);
    }
}

/// `inode` is no longer in `dir`. It comes by value: when nobody else has it, its end is told before.
#[inline]
pub(crate) fn removed(dir: &InodeRef, name: &[u8], inode: InodeRef) {
    if anybody() {
        tell_removed(dir, name, inode);
    }
}

#[cold]
fn tell_removed(dir: &InodeRef, name: &[u8], inode: InodeRef) {
    let mask = with_kind(IN_DELETE, &*inode);
    if !inode.is_dir() {
        itself(&*inode, IN_ATTRIB);
    }
    drop(inode);
    entry(dir, name, mask, 0);
}

/// One direction of a rename: `inode` went from one entry to the other, where it replaced `replaced`.
pub(crate) struct Move<'a> {
    pub(crate) from: (&'a InodeRef, &'a [u8]),
    pub(crate) to: (&'a InodeRef, &'a [u8]),
    pub(crate) inode: &'a InodeRef,
    pub(crate) replaced: Option<&'a InodeRef>,
}

#[inline]
pub(crate) fn moved(what: &Move<'_>) {
    if anybody() {
        tell_moved(what);
    }
}

#[cold]
fn tell_moved(what: &Move<'_>) {
    // Only has to differ from move to move.
    static COOKIE: AtomicU32 = AtomicU32::new(1);
    let cookie = COOKIE.fetch_add(1, Relaxed);
    let (from, to) = (what.from, what.to);
    let kind = with_kind(0, &**what.inode);
    entry(from.0, from.1, IN_MOVED_FROM | kind, cookie);
    entry(to.0, to.1, IN_MOVED_TO | kind, cookie);
    if let Some(replaced) = what.replaced.filter(|replaced| !replaced.is_dir()) {
        itself(&**replaced, IN_ATTRIB);
    }
    itself(&**what.inode, IN_MOVE_SELF);
}

/// The inode is gone: nothing leads to it any more, and nobody has it open.
#[inline]
pub(crate) fn gone(key: Key) {
    if anybody() {
        dispatch(&Event {
            key,
            mask: IN_DELETE_SELF,
            cookie: 0,
            name: None,
            unlinked: false,
        });
    }
}
