//! Files that are not simply data at offsets: pipes, devices, event descriptors, generated text.
use crate::Result;
use crate::inode::InodeRef;
use crate::io::{Sink, Source, UserMemory};
use crate::types::{FileType, Metadata, poll};
use crate::wait::WaitList;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use linux_abi::Errno;

/// How lseek(2) and the file position treat a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeekKind {
    /// No position: lseek and pread fail with `ESPIPE`.
    Stream,
    /// Has a position, and pread works.
    Position,
    /// lseek answers 0 whatever is asked (/dev/null and its kin); pread works.
    Null,
}

/// The operations of such a file. One value may serve several open file descriptions.
pub trait FileOps: Any + Send + Sync {
    /// read(2). `offset` matters to `SeekKind::Position` only. `EAGAIN` when there is nothing yet.
    fn read(&self, _offset: u64, _sink: &mut dyn Sink) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// write(2). May take a part; `EAGAIN` when it can take nothing now.
    fn write(&self, _offset: u64, _source: &mut dyn Source) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// The events that hold now, see [`poll`].
    fn poll(&self) -> u32 {
        poll::ALWAYS
    }

    /// Who to tell when `poll` may answer something else; none if it never does.
    fn wait_list(&self) -> Option<&WaitList> {
        None
    }

    /// Whether what one reader takes, or the room that one writer fills, is gone for the others: of those that wait in read(2) or
    /// write(2) one is woken at a time.
    fn wakes_one(&self) -> bool {
        false
    }

    /// Whether the open(2) that made this may return: a FIFO waits for its other end, on `wait_list`.
    fn is_open(&self) -> bool {
        true
    }

    /// ioctl(2) beyond what every file has.
    fn ioctl(&self, _command: u32, _argument: u64, _memory: &dyn UserMemory) -> Result<usize> {
        Err(Errno::ENOTTY)
    }

    /// fcntl(2) `F_SETFL` gave the open file these status flags.
    fn set_flags(&self, _flags: u32) {}

    fn seek_kind(&self) -> SeekKind {
        SeekKind::Stream
    }

    /// What fstat(2) answers for a descriptor without an inode. `ino` and the rest are filled in by the caller.
    fn kind(&self) -> Option<FileType> {
        None
    }

    /// fstat(2) for operations that stand for an object of their own; the default is an anonymous inode's.
    fn metadata(&self) -> Option<Metadata> {
        None
    }

    /// `pipe`, `anon_inode` or the like: what comes before the colon in /proc/pid/fd.
    fn class(&self) -> &'static str {
        "anon_inode"
    }

    /// What /proc/pid/fd shows, if not the class and the inode number: `anon_inode:[eventfd]`, `/dev/pts/0`.
    fn describe(&self) -> Option<Vec<u8>> {
        None
    }

    /// Opening /proc/pid/fd/N of such a file again.
    fn reopen(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }

    /// Whether mmap(2) of this gives anonymous memory (/dev/zero).
    fn maps_zero(&self) -> bool {
        false
    }

    /// What mmap(2) of this maps, if anything: an inode whose pages are memory that the program shares with the file.
    fn map_inode(&self) -> Option<InodeRef> {
        None
    }

    /// Further lines of /proc/pid/fdinfo/N.
    fn fdinfo(&self, _out: &mut Vec<u8>) {}
}

impl dyn FileOps {
    /// The operations as the type they are: an epoll_ctl(2) needs its epoll.
    #[must_use]
    pub fn downcast<T: FileOps>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}
