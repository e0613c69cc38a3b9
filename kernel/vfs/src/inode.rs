//! What a file system offers for each of its objects. Every method has the answer that Linux gives for an object that
//! cannot do it, so that an implementation says only what it can.
use crate::Result;
use crate::io::{Sink, Source};
use crate::mount::Place;
use crate::ops::FileOps;
use crate::page::PageRef;
use crate::types::{DirEntry, FileType, Metadata, SetAttr, StatFs};
use crate::xattr::XattrStore;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;
use linux_abi::Errno;

pub type InodeRef = Arc<dyn Inode>;

/// What open(2) with `O_CREAT`, mkdir(2), symlink(2) and mknod(2) make.
#[derive(Clone, Copy, Debug)]
pub enum NewNode<'a> {
    Regular,
    Directory,
    Symlink(&'a [u8]),
    Fifo,
    Socket,
    CharDevice(u64),
    BlockDevice(u64),
}

/// Where a directory tree holds an inode: in `parent`, as `name`.
pub struct Position {
    pub parent: InodeRef,
    pub name: Box<[u8]>,
    /// It was there, but has been unlinked.
    pub deleted: bool,
}

/// What a symbolic link leads to.
pub enum Link {
    /// A path, to be walked.
    Path(Vec<u8>),
    /// A link of /proc that leads to the object itself, whatever its path says now.
    Place(Place),
}

/// An address space that has pages of a file mapped. The kernel implements it.
pub trait Mapper: Send + Sync {
    /// Pages `pages` of inode `(dev, ino)` are no longer what `map_page` gave: drop them, later touches ask again.
    /// Private copies stay, unless the file was `truncated`.
    fn invalidate(&self, dev: u64, ino: u64, pages: Range<u64>, truncated: bool);
}

/// One object of a file system.
pub trait Inode: Any + Send + Sync {
    /// The type; constant for an inode.
    fn kind(&self) -> FileType;

    /// The inode number, unique in its file system.
    fn ino(&self) -> u64;

    fn metadata(&self) -> Metadata;

    fn setattr(&self, _change: &SetAttr) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn statfs(&self) -> StatFs;

    // Directories. Names are single components, neither empty nor "." nor "..", at most 255 bytes.

    fn lookup(&self, _name: &[u8]) -> Result<InodeRef> {
        Err(Errno::ENOTDIR)
    }

    /// Makes `name`; `EEXIST` if there is one. `mode` holds permission bits with the umask applied.
    fn create(
        &self,
        _name: &[u8],
        _node: NewNode<'_>,
        _mode: u32,
        _uid: u32,
        _gid: u32,
    ) -> Result<InodeRef> {
        Err(if self.kind() == FileType::Directory {
            Errno::EPERM
        } else {
            Errno::ENOTDIR
        })
    }

    /// A regular file without a name (`O_TMPFILE`).
    fn create_unnamed(&self, _mode: u32, _uid: u32, _gid: u32) -> Result<InodeRef> {
        Err(Errno::EOPNOTSUPP)
    }

    fn link(&self, _name: &[u8], _target: &InodeRef) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn unlink(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn rmdir(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Moves `name` to `new_name` in `new_dir`, a directory of the same file system. `flags`: `RENAME_NOREPLACE`,
    /// `RENAME_EXCHANGE`.
    fn rename(
        &self,
        _name: &[u8],
        _new_dir: &InodeRef,
        _new_name: &[u8],
        _flags: u32,
    ) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Emits entries from position `from` on until `emit` answers false; that entry was not taken. "." and ".." included.
    fn readdir(&self, _from: u64, _emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        Err(Errno::ENOTDIR)
    }

    /// Where the tree holds this inode; none for the root and for what never had a name.
    fn position(&self) -> Option<Position> {
        None
    }

    // Regular files.

    fn read_at(&self, _offset: u64, _sink: &mut dyn Sink) -> Result<usize> {
        Err(if self.kind() == FileType::Directory {
            Errno::EISDIR
        } else {
            Errno::EINVAL
        })
    }

    fn write_at(&self, _offset: u64, _source: &mut dyn Source) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Writes at the end of the file, in one step (`O_APPEND`). Answers the count and the end of file after it.
    fn append(&self, source: &mut dyn Source) -> Result<(usize, u64)> {
        let end = self.metadata().size;
        let count = self.write_at(end, source)?;
        Ok((count, end + count as u64))
    }

    fn truncate(&self, _len: u64) -> Result<()> {
        Err(if self.kind() == FileType::Directory {
            Errno::EISDIR
        } else {
            Errno::EINVAL
        })
    }

    /// fallocate(2); `mode` holds `FALLOC_FL_*`.
    fn fallocate(&self, _mode: u32, _offset: u64, _len: u64) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The first data (or, with `hole`, hole) at or after `offset`; `ENXIO` past the end (`SEEK_DATA`, `SEEK_HOLE`).
    fn seek_data(&self, offset: u64, hole: bool) -> Result<u64> {
        let size = self.metadata().size;
        if offset >= size {
            Err(Errno::ENXIO)
        } else {
            Ok(if hole { size } else { offset })
        }
    }

    /// The page at `index` (in pages) for a mapping. `write` asks for a page that may be mapped writable and shared;
    /// `ENXIO` when it lies wholly past the end of the file (the program gets SIGBUS). The caller may hold the lock of
    /// an address space, so no mapper is told when a writable page takes the place of an image page: what was
    /// mapped read-only elsewhere keeps the image's page until it is asked for again.
    fn map_page(&self, _index: u64, _write: bool) -> Result<PageRef> {
        Err(Errno::ENODEV)
    }

    /// Remembers `mapper`, to tell it about truncation and about image pages that got a writable copy.
    fn add_mapper(&self, _mapper: Weak<dyn Mapper>) {}

    /// `F_GET_SEALS`; `EINVAL` where seals cannot be.
    fn seals(&self) -> Result<u32> {
        Err(Errno::EINVAL)
    }

    fn add_seals(&self, _seals: u32) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// Where the file system keeps extended attributes, if it does. What is done with them is done there, so that an image
    /// without the calls holds nothing of it.
    fn xattrs(&self) -> Option<&XattrStore> {
        None
    }

    /// Something about the file has changed now.
    fn touch(&self) {}

    // Symbolic links.

    /// The text of the link.
    /// Of a directory of /proc that stands for a process: its number, and when it began.
    fn process(&self) -> Option<(u32, u64)> {
        None
    }

    fn readlink(&self) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    /// Where the link leads.
    fn follow(&self) -> Result<Link> {
        self.readlink().map(Link::Path)
    }

    /// The operations of a file that is not simply the inode's data: devices, FIFOs, generated text. `flags` are those
    /// of open(2).
    fn open(&self, _flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        Ok(None)
    }

    /// What /proc/pid/fd shows for an object without a path, such as `pipe:[7]`.
    fn describe(&self) -> Option<Vec<u8>> {
        None
    }
}

impl dyn Inode {
    /// The inode as the type it is, for a file system that gets one of its own back.
    #[must_use]
    pub fn downcast<T: Inode>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }

    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }
}
