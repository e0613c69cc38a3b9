//! The descriptors of a process.
use crate::Result;
use crate::file::File;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;
use spin::Mutex;

/// What a descriptor stands for.
#[derive(Clone)]
pub struct FdEntry {
    pub file: Arc<File>,
    /// `FD_CLOEXEC`
    pub cloexec: bool,
}

#[derive(Clone)]
struct Slots {
    entries: Vec<Option<FdEntry>>,
    /// Every slot below this one is taken.
    first_maybe_free: usize,
    /// `RLIMIT_NOFILE`
    limit: usize,
}

/// A table of descriptors, shared by the threads of a process.
pub struct FdTable {
    slots: Mutex<Slots>,
}

fn index(fd: i32) -> Result<usize> {
    usize::try_from(fd).map_err(|_| Errno::EBADF)
}

impl Slots {
    fn entry(&self, fd: i32) -> Result<&FdEntry> {
        self.entries
            .get(index(fd)?)
            .and_then(Option::as_ref)
            .ok_or(Errno::EBADF)
    }

    fn entry_mut(&mut self, fd: i32) -> Result<&mut FdEntry> {
        self.entries
            .get_mut(index(fd)?)
            .and_then(Option::as_mut)
            .ok_or(Errno::EBADF)
    }

    fn lowest_free(&self, from: usize) -> usize {
        let start = from.max(self.first_maybe_free);
        let taken = self
            .entries
            .iter()
            .skip(start)
            .take_while(|slot| slot.is_some())
            .count();
        start + taken
    }

    fn put(&mut self, at: usize, entry: FdEntry) -> Option<FdEntry> {
        if at >= self.entries.len() {
            self.entries.resize_with(at + 1, || None);
        }
        self.entries
            .get_mut(at)
            .and_then(|slot| slot.replace(entry))
    }

    fn take(&mut self, at: usize) -> Option<FdEntry> {
        let entry = self.entries.get_mut(at)?.take()?;
        self.first_maybe_free = self.first_maybe_free.min(at);
        Some(entry)
    }
}

impl FdTable {
    /// An empty table; `limit` is the soft `RLIMIT_NOFILE`.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            slots: Mutex::new(Slots {
                entries: Vec::new(),
                first_maybe_free: 0,
                limit,
            }),
        }
    }

    /// A copy, for a process of its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            slots: Mutex::new(self.slots.lock().clone()),
        }
    }

    #[must_use]
    pub fn limit(&self) -> usize {
        self.slots.lock().limit
    }

    pub fn set_limit(&self, limit: usize) {
        self.slots.lock().limit = limit;
    }

    /// The open file, or `EBADF`.
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Arc<File>> {
        self.slots.lock().entry(fd).map(|entry| entry.file.clone())
    }

    /// `EMFILE` if no descriptor is free: asked before something is taken that could not be given back.
    pub fn check_room(&self) -> Result<()> {
        let slots = self.slots.lock();
        if slots.lowest_free(0) < slots.limit {
            Ok(())
        } else {
            Err(Errno::EMFILE)
        }
    }

    /// Gives `file` the lowest free descriptor, or fails with `EMFILE`.
    pub fn insert(&self, file: Arc<File>, cloexec: bool) -> Result<i32> {
        self.insert_from(0, file, cloexec)
    }

    /// Likewise, but at least `min` (`F_DUPFD`): `EINVAL` if that is beyond the limit.
    pub fn insert_from(&self, min: i32, file: Arc<File>, cloexec: bool) -> Result<i32> {
        let min = usize::try_from(min).map_err(|_| Errno::EINVAL)?;
        let mut slots = self.slots.lock();
        if min > 0 && min >= slots.limit {
            return Err(Errno::EINVAL);
        }
        let at = slots.lowest_free(min);
        if at >= slots.limit {
            return Err(Errno::EMFILE);
        }
        let fd = i32::try_from(at).map_err(|_| Errno::EMFILE)?;
        slots.put(at, FdEntry { file, cloexec });
        if min <= slots.first_maybe_free {
            slots.first_maybe_free = at + 1;
        }
        Ok(fd)
    }

    /// Makes `fd` stand for `file` (dup2(2)); what it stood for before is given back, to be dropped.
    pub fn replace(&self, fd: i32, file: Arc<File>, cloexec: bool) -> Result<Option<Arc<File>>> {
        let at = index(fd)?;
        let mut slots = self.slots.lock();
        if at >= slots.limit {
            return Err(Errno::EBADF);
        }
        Ok(slots.put(at, FdEntry { file, cloexec }).map(|old| old.file))
    }

    /// Frees `fd`. Dropping the answer closes the file, if that was the last reference.
    pub fn close(&self, fd: i32) -> Result<Arc<File>> {
        let at = index(fd)?;
        self.slots
            .lock()
            .take(at)
            .map(|entry| entry.file)
            .ok_or(Errno::EBADF)
    }

    /// close_range(2): closes, or with `cloexec_only` marks, all descriptors from `first` to `last` inclusive.
    pub fn close_range(&self, first: u32, last: u32, cloexec_only: bool) -> Result<()> {
        if first > last {
            return Err(Errno::EINVAL);
        }
        let mut closed = Vec::new();
        let mut slots = self.slots.lock();
        let end = slots.entries.len().min((last as usize).saturating_add(1));
        for at in first as usize..end {
            if cloexec_only {
                if let Some(Some(entry)) = slots.entries.get_mut(at) {
                    entry.cloexec = true;
                }
            } else {
                closed.extend(slots.take(at));
            }
        }
        drop(slots);
        Ok(())
    }

    /// Takes out what execve(2) closes. Dropping the answer closes it.
    #[must_use]
    pub fn close_on_exec(&self) -> Vec<FdEntry> {
        let mut slots = self.slots.lock();
        let marked: Vec<usize> = slots
            .entries
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.as_ref().is_some_and(|e| e.cloexec))
            .map(|(at, _)| at)
            .collect();
        marked.into_iter().filter_map(|at| slots.take(at)).collect()
    }

    /// `FD_CLOEXEC` of a descriptor.
    pub fn cloexec(&self, fd: i32) -> Result<bool> {
        self.slots.lock().entry(fd).map(|entry| entry.cloexec)
    }

    pub fn set_cloexec(&self, fd: i32, cloexec: bool) -> Result<()> {
        self.slots
            .lock()
            .entry_mut(fd)
            .map(|entry| entry.cloexec = cloexec)
    }

    /// The lowest open descriptor that is at least `from`. For /proc/pid/fd.
    #[must_use]
    pub fn next_open(&self, from: i32) -> Option<i32> {
        let start = usize::try_from(from).unwrap_or(0);
        let slots = self.slots.lock();
        let at = slots
            .entries
            .iter()
            .enumerate()
            .skip(start)
            .find(|(_, slot)| slot.is_some())?
            .0;
        i32::try_from(at).ok()
    }

    /// How many slots there are (`FDSize` of /proc/pid/status).
    #[must_use]
    pub fn size(&self) -> usize {
        self.slots.lock().entries.len()
    }

    /// Closes everything: the process ends.
    pub fn close_all(&self) {
        let mut slots = self.slots.lock();
        let all = core::mem::take(&mut slots.entries);
        slots.first_maybe_free = 0;
        drop(slots);
        drop(all);
    }
}
