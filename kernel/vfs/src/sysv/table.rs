//! Objects by id and key.
use super::{IpcCaller, IpcOwner};
use crate::Result;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::{Errno, IPC_CREAT, IPC_EXCL, IPC_PRIVATE};
use spin::Mutex;

/// Ids of one slot are this far apart, so that an old id does not mean a new object.
const SLOTS: usize = 32768;

struct Slot<T> {
    id: i32,
    key: i32,
    object: Arc<T>,
}

/// What the table needs to know of an object.
pub trait IpcObject {
    fn owner(&self) -> IpcOwner;
}

pub struct IpcTable<T> {
    most: usize,
    /// Slots, and how many objects there have been.
    inner: Mutex<(Vec<Option<Slot<T>>>, usize)>,
}

impl<T: IpcObject> IpcTable<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            inner: Mutex::new((Vec::new(), 0)),
        }
    }

    /// shmget(2) and its kin: the id of the object `key`, made by `make` if it is to be. `check` looks at one that is there.
    pub fn get(
        &self,
        caller: &IpcCaller<'_>,
        key: i32,
        flags: u32,
        check: impl FnOnce(&T) -> Result<()>,
        make: impl FnOnce(i32) -> Result<Arc<T>>,
    ) -> Result<i32> {
        let mut inner = self.inner.lock();
        let known = inner.0.iter().flatten();
        if let Some(slot) = known
            .filter(|_| key != IPC_PRIVATE)
            .find(|slot| slot.key == key)
        {
            if flags & (IPC_CREAT | IPC_EXCL) == IPC_CREAT | IPC_EXCL {
                return Err(Errno::EEXIST);
            }
            check(&slot.object)?;
            slot.object.owner().check(caller.cred, flags & 0o777)?;
            return Ok(slot.id);
        }
        if key != IPC_PRIVATE && flags & IPC_CREAT == 0 {
            return Err(Errno::ENOENT);
        }
        let free = inner.0.iter().position(Option::is_none);
        let at = free.unwrap_or(inner.0.len());
        if at >= self.most {
            return Err(Errno::ENOSPC);
        }
        let id = i32::try_from(at + (inner.1 % (SLOTS * 2)) * SLOTS).unwrap_or(0);
        let slot = Slot {
            id,
            key,
            object: make(key)?,
        };
        inner.1 += 1;
        match inner.0.get_mut(at) {
            Some(place) => *place = Some(slot),
            None => inner.0.push(Some(slot)),
        }
        Ok(id)
    }

    /// The object `id`; `EINVAL` if there is none.
    pub fn find(&self, id: i32) -> Result<Arc<T>> {
        let inner = self.inner.lock();
        let slot = inner.0.iter().flatten().find(|slot| slot.id == id);
        slot.map(|slot| slot.object.clone()).ok_or(Errno::EINVAL)
    }

    /// The object in slot `index`, and its id (`SHM_STAT` and its kin).
    pub fn at(&self, index: i32) -> Result<(i32, Arc<T>)> {
        let index = usize::try_from(index).map_err(|_| Errno::EINVAL)?;
        let inner = self.inner.lock();
        let slot = inner.0.get(index).and_then(Option::as_ref);
        slot.map(|slot| (slot.id, slot.object.clone()))
            .ok_or(Errno::EINVAL)
    }

    /// Takes an object out. Answers whether it was there.
    pub fn remove(&self, id: i32) -> bool {
        let removed = {
            let mut inner = self.inner.lock();
            let slot = inner
                .0
                .iter_mut()
                .find(|slot| slot.as_ref().is_some_and(|slot| slot.id == id));
            slot.and_then(Option::take)
        };
        removed.is_some()
    }

    /// Takes the key from an object that is only kept because it is in use.
    pub fn forget_key(&self, id: i32) {
        let mut inner = self.inner.lock();
        if let Some(slot) = inner.0.iter_mut().flatten().find(|slot| slot.id == id) {
            slot.key = IPC_PRIVATE;
        }
    }

    /// All objects with ids and keys, and the highest slot in use (0 if none is).
    pub fn all(&self) -> (Vec<(i32, i32, Arc<T>)>, usize) {
        let inner = self.inner.lock();
        let all = inner.0.iter().flatten();
        let all = all.map(|slot| (slot.id, slot.key, slot.object.clone()));
        let highest = inner.0.iter().rposition(Option::is_some).unwrap_or(0);
        (all.collect(), highest)
    }

    /// The key of an object; 0 for one without.
    pub fn key(&self, id: i32) -> i32 {
        let inner = self.inner.lock();
        let slot = inner.0.iter().flatten().find(|slot| slot.id == id);
        slot.map_or(IPC_PRIVATE, |slot| slot.key)
    }
}
