//! Open file descriptions: what descriptors refer to.
use crate::anon;
use crate::inode::InodeRef;
use crate::io::{Sink, Source, UserMemory};
use crate::mount::Place;
use crate::notify;
use crate::ops::{FileOps, SeekKind};
use crate::signal_io::Owner;
use crate::types::{DirEntry, Metadata, poll};
use crate::wait::WaitList;
use crate::{Result, types::FileType};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use linux_abi::Errno;
use linux_abi::raw::general::{
    F_SEAL_FUTURE_WRITE, F_SEAL_WRITE, IN_ACCESS, IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_MODIFY,
    O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECT, O_EXCL, O_NOATIME, O_NOCTTY, O_NONBLOCK,
    O_PATH, O_RDONLY, O_TRUNC, O_WRONLY, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
};
use spin::Mutex;

/// Flags that open(2) consumes and `F_GETFL` does not show.
const CREATION_FLAGS: u32 = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
/// `FASYNC`, which the generated constants lack.
const O_ASYNC: u32 = 0o20000;
/// Flags that `F_SETFL` may change.
const CHANGEABLE: u32 = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME;

/// An open file description.
pub struct File {
    place: Place,
    /// None for regular files and directories: the inode itself answers.
    ops: Option<Arc<dyn FileOps>>,
    seek: SeekKind,
    position: Mutex<u64>,
    flags: AtomicU32,
    pub(crate) owner: Mutex<Owner>,
}

/// What mmap(2) of a file maps.
pub enum Mapping {
    /// Pages come from `map_page`.
    Inode(InodeRef),
    /// As if anonymous (/dev/zero).
    Zero,
}

impl File {
    /// A description of `place`; the walk has checked permissions. `ops` are the answer of the inode's `open`.
    #[must_use]
    pub fn new(place: Place, ops: Option<Arc<dyn FileOps>>, flags: u32) -> Arc<Self> {
        let seek = ops
            .as_ref()
            .map_or(SeekKind::Position, |ops| ops.seek_kind());
        Arc::new(Self {
            place,
            ops,
            seek,
            position: Mutex::new(0),
            flags: AtomicU32::new(flags & !CREATION_FLAGS),
            owner: Mutex::default(),
        })
    }

    /// A description of something that no directory holds: a pipe, an eventfd, the console.
    #[must_use]
    pub fn from_ops(ops: Arc<dyn FileOps>, flags: u32) -> Arc<Self> {
        Self::new(anon::place_for(&ops), Some(ops), flags)
    }

    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    #[must_use]
    pub fn inode(&self) -> &InodeRef {
        &self.place.inode
    }

    #[must_use]
    pub fn ops(&self) -> Option<&Arc<dyn FileOps>> {
        self.ops.as_ref()
    }

    /// The operations, if they are of type `T`: `file.ops_as::<Epoll>()`.
    #[must_use]
    pub fn ops_as<T: FileOps>(&self) -> Option<&T> {
        self.ops.as_ref().and_then(|ops| ops.downcast())
    }

    /// `F_GETFL`: access mode and status flags.
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags.load(Relaxed)
    }

    /// `F_SETFL`: takes the changeable flags from `flags`.
    pub fn set_flags(&self, flags: u32) -> Result<()> {
        if self.flags() & O_PATH != 0 {
            return Err(Errno::EBADF);
        }
        let merge = |old: u32| Some((old & !CHANGEABLE) | (flags & CHANGEABLE));
        // The closure never answers None, so neither outcome is an error.
        let _ = self.flags.fetch_update(Relaxed, Relaxed, merge);
        if let Some(ops) = &self.ops {
            ops.set_flags(self.flags());
        }
        self.owner_follows();
        Ok(())
    }

    /// Sets or clears `O_ASYNC` (`FIOASYNC`).
    pub fn set_async(&self, on: bool) {
        if on {
            self.flags.fetch_or(O_ASYNC, Relaxed)
        } else {
            self.flags.fetch_and(!O_ASYNC, Relaxed)
        };
        self.owner_follows();
    }

    #[must_use]
    pub fn is_async(&self) -> bool {
        self.flags() & O_ASYNC != 0
    }

    /// Sets or clears `O_NONBLOCK` (`FIONBIO`).
    pub fn set_nonblocking(&self, on: bool) {
        if on {
            self.flags.fetch_or(O_NONBLOCK, Relaxed)
        } else {
            self.flags.fetch_and(!O_NONBLOCK, Relaxed)
        };
    }

    /// Whether an `EAGAIN` is to be handed to the program instead of waiting.
    #[must_use]
    pub fn is_nonblocking(&self) -> bool {
        self.flags() & O_NONBLOCK != 0
    }

    #[must_use]
    pub fn is_path(&self) -> bool {
        self.flags() & O_PATH != 0
    }

    #[must_use]
    pub fn is_readable(&self) -> bool {
        let flags = self.flags();
        flags & O_ACCMODE != O_WRONLY && flags & O_PATH == 0
    }

    #[must_use]
    pub fn is_writable(&self) -> bool {
        let flags = self.flags();
        flags & O_ACCMODE != O_RDONLY && flags & O_PATH == 0
    }

    fn check_readable(&self) -> Result<()> {
        if self.is_readable() {
            Ok(())
        } else {
            Err(Errno::EBADF)
        }
    }

    fn check_writable(&self) -> Result<()> {
        if self.is_writable() {
            Ok(())
        } else {
            Err(Errno::EBADF)
        }
    }

    /// read(2). `EAGAIN` when nothing is there yet, whatever `O_NONBLOCK` says.
    pub fn read(&self, sink: &mut dyn Sink) -> Result<usize> {
        self.check_readable()?;
        if self.seek != SeekKind::Position {
            return self.read_from(0, sink);
        }
        let mut position = self.position.lock();
        let count = self.read_raw(*position, sink)?;
        *position += count as u64;
        drop(position);
        self.tell(count, IN_ACCESS);
        Ok(count)
    }

    /// pread(2).
    pub fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        self.check_readable()?;
        self.check_seekable()?;
        self.read_from(offset, sink)
    }

    fn read_from(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        let count = self.read_raw(offset, sink)?;
        self.tell(count, IN_ACCESS);
        Ok(count)
    }

    /// Tells watchers that bytes were moved.
    #[inline]
    fn tell(&self, count: usize, mask: u32) {
        if count > 0 {
            notify::used(&self.place.inode, mask);
        }
    }

    fn read_raw(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        match &self.ops {
            Some(ops) => ops.read(offset, sink),
            None => self.place.inode.read_at(offset, sink),
        }
    }

    /// write(2). May write a part; `EAGAIN` when nothing can be taken now, whatever `O_NONBLOCK` says.
    pub fn write(&self, source: &mut dyn Source) -> Result<usize> {
        self.check_writable()?;
        if self.seek != SeekKind::Position {
            return self.write_to(0, source);
        }
        let mut position = self.position.lock();
        if self.ops.is_none() && self.flags() & O_APPEND != 0 {
            let (count, end) = self.place.inode.append(source)?;
            *position = end;
            drop(position);
            self.tell(count, IN_MODIFY);
            return Ok(count);
        }
        let count = self.write_raw(*position, source)?;
        *position += count as u64;
        drop(position);
        self.tell(count, IN_MODIFY);
        Ok(count)
    }

    /// pwrite(2). As on Linux, `O_APPEND` wins over the offset.
    pub fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize> {
        self.check_writable()?;
        self.check_seekable()?;
        if self.ops.is_none() && self.flags() & O_APPEND != 0 {
            let (count, _) = self.place.inode.append(source)?;
            self.tell(count, IN_MODIFY);
            return Ok(count);
        }
        self.write_to(offset, source)
    }

    fn write_to(&self, offset: u64, source: &mut dyn Source) -> Result<usize> {
        let count = self.write_raw(offset, source)?;
        self.tell(count, IN_MODIFY);
        Ok(count)
    }

    fn write_raw(&self, offset: u64, source: &mut dyn Source) -> Result<usize> {
        match &self.ops {
            Some(ops) => ops.write(offset, source),
            None => self.place.inode.write_at(offset, source),
        }
    }

    fn check_seekable(&self) -> Result<()> {
        if self.seek == SeekKind::Stream {
            Err(Errno::ESPIPE)
        } else {
            Ok(())
        }
    }

    /// Whether lseek(2) and pread(2) work.
    #[must_use]
    pub fn is_seekable(&self) -> bool {
        self.seek != SeekKind::Stream
    }

    /// The file position.
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.position.lock()
    }

    /// The file position, unless somebody is using it.
    #[must_use]
    pub fn try_position(&self) -> Option<u64> {
        self.position.try_lock().map(|position| *position)
    }

    /// lseek(2).
    pub fn seek(&self, offset: i64, whence: u32) -> Result<u64> {
        if self.is_path() {
            return Err(Errno::EBADF);
        }
        match self.seek {
            SeekKind::Stream => return Err(Errno::ESPIPE),
            SeekKind::Null => return Ok(0),
            SeekKind::Position => {}
        }
        let mut position = self.position.lock();
        let inode = &self.place.inode;
        let target = match whence {
            SEEK_SET => Some(offset),
            SEEK_CUR => i64::try_from(*position)
                .ok()
                .and_then(|here| here.checked_add(offset)),
            SEEK_END => i64::try_from(inode.metadata().size)
                .ok()
                .and_then(|end| end.checked_add(offset)),
            SEEK_DATA | SEEK_HOLE => {
                let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                i64::try_from(inode.seek_data(from, whence == SEEK_HOLE)?).ok()
            }
            _ => return Err(Errno::EINVAL),
        };
        *position = target
            .ok_or(Errno::EOVERFLOW)?
            .try_into()
            .map_err(|_| Errno::EINVAL)?;
        Ok(*position)
    }

    /// getdents64(2): emits entries from the position on until `emit` declines one.
    pub fn read_dir(&self, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        if self.is_path() {
            return Err(Errno::EBADF);
        }
        let mut position = self.position.lock();
        let from = *position;
        self.place.inode.readdir(from, &mut |entry| {
            let next = entry.next;
            let taken = emit(entry);
            if taken {
                *position = next;
            }
            taken
        })?;
        drop(position);
        notify::used(&self.place.inode, IN_ACCESS);
        Ok(())
    }

    /// fstat(2).
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        self.place.inode.metadata()
    }

    #[must_use]
    pub fn kind(&self) -> FileType {
        self.place.inode.kind()
    }

    /// ftruncate(2).
    pub fn truncate(&self, len: u64) -> Result<()> {
        if self.is_path() {
            return Err(Errno::EBADF);
        }
        if self.kind() != FileType::Regular || !self.is_writable() || self.ops.is_some() {
            return Err(Errno::EINVAL);
        }
        self.place.inode.truncate(len)?;
        notify::used(&self.place.inode, IN_MODIFY);
        Ok(())
    }

    /// fallocate(2).
    pub fn fallocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        self.check_writable()?;
        match self.kind() {
            _ if self.seek == SeekKind::Stream => Err(Errno::ESPIPE),
            FileType::Regular if self.ops.is_none() => {
                self.place.inode.fallocate(mode, offset, len)?;
                notify::used(&self.place.inode, IN_MODIFY);
                Ok(())
            }
            _ => Err(Errno::ENODEV),
        }
    }

    /// poll(2): the events that hold now.
    #[must_use]
    pub fn poll(&self) -> u32 {
        self.ops.as_ref().map_or(poll::ALWAYS, |ops| ops.poll())
    }

    /// Who to tell when `poll` may answer something else.
    #[must_use]
    pub fn wait_list(&self) -> Option<&WaitList> {
        self.ops.as_ref().and_then(|ops| ops.wait_list())
    }

    /// Whether epoll(7) takes it: what is always ready (regular files, /dev/null) it refuses with `EPERM`.
    #[must_use]
    pub fn is_pollable(&self) -> bool {
        self.wait_list().is_some()
    }

    /// ioctl(2), the part that depends on the object. Descriptor flags (`FIOCLEX`) are the caller's.
    pub fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        if self.is_path() {
            return Err(Errno::EBADF);
        }
        match &self.ops {
            Some(ops) if self.seek != SeekKind::Position => ops.ioctl(command, argument, memory),
            _ => self.regular_ioctl(command, argument, memory),
        }
    }

    fn regular_ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        use linux_abi::raw::ioctl::FIONREAD;
        if command != FIONREAD || self.kind() != FileType::Regular {
            return Err(Errno::ENOTTY);
        }
        let left = self.metadata().size.saturating_sub(*self.position.lock());
        memory.write(
            argument,
            &i32::try_from(left).unwrap_or(i32::MAX).to_le_bytes(),
        )?;
        Ok(0)
    }

    /// What mmap(2) is to map: checks the access mode and seals for a mapping that is `shared` and may be `writable`.
    pub fn mapping(&self, shared: bool, writable: bool) -> Result<Mapping> {
        if self.is_path() {
            return Err(Errno::EBADF);
        }
        if !self.is_readable() || (shared && writable && !self.is_writable()) {
            return Err(Errno::EACCES);
        }
        if let Some(ops) = &self.ops {
            return if ops.maps_zero() {
                Ok(Mapping::Zero)
            } else {
                ops.map_inode().map(Mapping::Inode).ok_or(Errno::ENODEV)
            };
        }
        if self.kind() != FileType::Regular {
            return Err(Errno::ENODEV);
        }
        if shared && writable && self.is_sealed_for_writing() {
            return Err(Errno::EPERM);
        }
        Ok(Mapping::Inode(self.place.inode.clone()))
    }

    /// Whether a mapping that is made now may be made writable later.
    #[must_use]
    pub fn may_map_writable(&self) -> bool {
        self.is_writable() && !self.is_sealed_for_writing()
    }

    fn is_sealed_for_writing(&self) -> bool {
        self.place.inode.seals().unwrap_or(0) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) != 0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.is_path() {
            return;
        }
        let mask = if self.is_writable() {
            IN_CLOSE_WRITE
        } else {
            IN_CLOSE_NOWRITE
        };
        notify::used(&self.place.inode, mask);
        if let Some(list) = self.wait_list() {
            list.file_closed();
        }
    }
}
