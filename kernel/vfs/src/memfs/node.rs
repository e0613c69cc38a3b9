//! A node: one inode of the in-memory file system.
use super::MemFs;
use super::data::FileData;
use super::dir::{Child, Entries, Name};
use super::pages::Pages;
use crate::Result;
use crate::erofs::DiskInode;
use crate::inode::{Inode, InodeRef, Mapper, NewNode, Position};
use crate::io::{Sink, Source};
use crate::ops::FileOps;
use crate::page::PageRef;
use crate::pipe::Pipe;
use crate::types::{DirEntry, FileType, Metadata, SetAttr, StatFs, TimeChange, Timestamp};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::Errno;
use linux_abi::raw::general::FALLOC_FL_KEEP_SIZE;
use spin::Mutex;

/// What stat(2) shows and is stored as it is.
#[derive(Clone, Copy)]
pub(super) struct Attr {
    pub(super) mode: u32,
    pub(super) nlink: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) atime: Timestamp,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
    pub(super) btime: Timestamp,
}

/// The entries of a directory, once they are known.
pub(super) struct DirState {
    pub(super) entries: Entries,
    /// The image directory that the entries are still to be taken from.
    pub(super) unread: Option<u64>,
    /// Removed: nothing can be made in it any more.
    pub(super) dead: bool,
}

pub(super) enum Body {
    File(FileData),
    Directory(Mutex<DirState>),
    Symlink(Box<[u8]>),
    Fifo(Arc<Pipe>),
    Socket,
    Device(u64),
}

impl Body {
    pub(super) fn directory() -> Self {
        Self::Directory(Mutex::new(DirState { entries: Entries::new(), unread: None, dead: false }))
    }

    pub(super) fn file() -> Self {
        Self::File(FileData::new(Pages::default()))
    }
}

/// Where the tree holds the node: the link made last.
pub(super) struct Holder {
    pub(super) parent: Weak<Node>,
    pub(super) name: Name,
    pub(super) deleted: bool,
}

pub(crate) struct Node {
    pub(super) fs: Arc<MemFs>,
    this: Weak<Node>,
    pub(super) ino: u64,
    kind: FileType,
    pub(super) attr: Mutex<Attr>,
    pub(super) holder: Mutex<Option<Holder>>,
    pub(super) body: Body,
}

impl Node {
    fn build(fs: &Arc<MemFs>, ino: u64, kind: FileType, attr: Attr, body: Body) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { fs: fs.clone(), this: this.clone(), ino, kind, attr: Mutex::new(attr), holder: Mutex::new(None), body })
    }

    /// A node that the image knows nothing of.
    pub(super) fn fresh(fs: &Arc<MemFs>, kind: FileType, mode: u32, uid: u32, gid: u32, body: Body) -> Arc<Self> {
        let now = fs.now();
        let nlink = if kind == FileType::Directory { 2 } else { 1 };
        let attr = Attr { mode: mode & 0o7777, nlink, uid, gid, atime: now, mtime: now, ctime: now, btime: now };
        fs.inodes.fetch_add(1, Relaxed);
        Self::build(fs, fs.fresh_ino(), kind, attr, body)
    }

    /// The node of an image inode.
    pub(super) fn backed(fs: &Arc<MemFs>, inode: &DiskInode) -> Arc<Self> {
        let kind = FileType::from_mode(inode.mode).unwrap_or(FileType::Regular);
        let body = match kind {
            FileType::Directory => {
                Body::Directory(Mutex::new(DirState { entries: Entries::new(), unread: Some(inode.nid), dead: false }))
            }
            FileType::Regular => Body::File(FileData::new(Pages::backed(inode.extents, inode.size))),
            FileType::Symlink => Body::Symlink(link_text(inode)),
            FileType::Fifo => Body::Fifo(Pipe::new()),
            FileType::Socket => Body::Socket,
            FileType::CharDevice | FileType::BlockDevice => Body::Device(u64::from(inode.rdev)),
        };
        let DiskInode { nlink, uid, gid, mtime, .. } = *inode;
        let attr = Attr { mode: inode.mode & 0o7777, nlink, uid, gid, atime: mtime, mtime, ctime: mtime, btime: mtime };
        Self::build(fs, inode.nid, kind, attr, body)
    }

    pub(super) fn weak(&self) -> Weak<Self> {
        self.this.clone()
    }

    /// The node as what the rest of the crate handles.
    pub(super) fn strong(&self) -> Result<Arc<Self>> {
        self.this.upgrade().ok_or(Errno::ENOENT)
    }

    pub(super) fn directory(&self) -> Result<&Mutex<DirState>> {
        match &self.body {
            Body::Directory(state) => Ok(state),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn data(&self) -> Result<&FileData> {
        match &self.body {
            Body::File(data) => Ok(data),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Notes a change of the contents.
    pub(super) fn touch(&self) {
        let now = self.fs.now();
        let mut attr = self.attr.lock();
        (attr.mtime, attr.ctime) = (now, now);
    }

    fn invalidate(&self, range: Option<core::ops::Range<u64>>) {
        if let Body::File(data) = &self.body {
            data.invalidate(self.fs.dev, self.ino, range);
        }
    }
}

/// The text of a link of the image; the pieces of a long one are put together.
fn link_text(inode: &DiskInode) -> Box<[u8]> {
    let size = inode.size.min(4095);
    let mut text = Vec::new();
    loop {
        let piece = inode.extents.bytes(text.len() as u64, size);
        if piece.is_empty() || text.len() as u64 >= size {
            return text.into();
        }
        text.extend_from_slice(piece);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Body::File(data) = &self.body {
            data.release(&self.fs);
        }
        self.fs.inodes.fetch_sub(1, Relaxed);
    }
}

impl Inode for Node {
    fn kind(&self) -> FileType {
        self.kind
    }

    fn ino(&self) -> u64 {
        self.ino
    }

    fn metadata(&self) -> Metadata {
        let attr = *self.attr.lock();
        let (size, blocks, rdev) = match &self.body {
            Body::File(data) => {
                let (size, blocks) = data.size_and_blocks();
                (size, blocks, 0)
            }
            Body::Directory(_) => (4096, 8, 0),
            Body::Symlink(text) => (text.len() as u64, 0, 0),
            Body::Device(rdev) => (0, 0, *rdev),
            Body::Fifo(_) | Body::Socket => (0, 0, 0),
        };
        let Attr { mode, nlink, uid, gid, atime, mtime, ctime, btime } = attr;
        let mode = mode | self.kind.mode_bits();
        let (dev, ino, blksize) = (self.fs.dev, self.ino, 4096);
        Metadata { dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, atime, mtime, ctime, btime }
    }

    fn setattr(&self, change: &SetAttr) -> Result<()> {
        let now = self.fs.now();
        let pick = |change: TimeChange, old: Timestamp| match change {
            TimeChange::Keep => old,
            TimeChange::Now => now,
            TimeChange::To(time) => time,
        };
        let mut attr = self.attr.lock();
        attr.mode = change.mode.map_or(attr.mode, |mode| mode & 0o7777);
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        attr.atime = pick(change.atime, attr.atime);
        attr.mtime = pick(change.mtime, attr.mtime);
        attr.ctime = now;
        Ok(())
    }

    fn statfs(&self) -> StatFs {
        self.fs.statfs()
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        self.child(name).map(|node| -> InodeRef { node })
    }

    fn create(&self, name: &[u8], node: NewNode<'_>, mode: u32, uid: u32, gid: u32) -> Result<InodeRef> {
        self.make(name, node, mode, uid, gid).map(|node| -> InodeRef { node })
    }

    fn create_unnamed(&self, mode: u32, uid: u32, gid: u32) -> Result<InodeRef> {
        self.directory()?;
        let node = Self::fresh(&self.fs, FileType::Regular, mode, uid, gid, Body::file());
        node.attr.lock().nlink = 0;
        Ok(node)
    }

    fn link(&self, name: &[u8], target: &InodeRef) -> Result<()> {
        let target = target.downcast::<Self>().ok_or(Errno::EXDEV)?.strong()?;
        self.add_link(name, &target)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        self.remove_file(name)
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        self.remove_dir(name)
    }

    fn rename(&self, name: &[u8], new_dir: &InodeRef, new_name: &[u8], flags: u32) -> Result<()> {
        let new_dir = new_dir.downcast::<Self>().ok_or(Errno::EXDEV)?;
        self.move_entry(name, new_dir, new_name, flags)
    }

    fn readdir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        self.list(from, emit)
    }

    fn position(&self) -> Option<Position> {
        let holder = self.holder.lock();
        let Holder { parent, name, deleted } = holder.as_ref()?;
        Some(Position { parent: parent.upgrade()?, name: name.bytes().into(), deleted: *deleted })
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        self.data()?.read_at(offset, sink)
    }

    fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize> {
        let written = self.data()?.write(&self.fs, Some(offset), source)?;
        self.touch();
        self.invalidate(written.replaced);
        Ok(written.count)
    }

    fn append(&self, source: &mut dyn Source) -> Result<(usize, u64)> {
        let written = self.data()?.write(&self.fs, None, source)?;
        self.touch();
        self.invalidate(written.replaced);
        Ok((written.count, written.end))
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let shrunk = self.data()?.truncate(&self.fs, len)?;
        self.touch();
        self.invalidate(shrunk);
        Ok(())
    }

    fn fallocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let zeroed = self.data()?.fallocate(&self.fs, mode, offset, len)?;
        if mode & !FALLOC_FL_KEEP_SIZE != 0 {
            self.touch();
        }
        self.invalidate(zeroed);
        Ok(())
    }

    fn seek_data(&self, offset: u64, hole: bool) -> Result<u64> {
        self.data()?.seek_data(offset, hole)
    }

    fn map_page(&self, index: u64, write: bool) -> Result<PageRef> {
        self.data().map_err(|_| Errno::ENODEV)?.map_page(&self.fs, index, write)
    }

    fn add_mapper(&self, mapper: Weak<dyn Mapper>) {
        if let Body::File(data) = &self.body {
            data.add_mapper(mapper);
        }
    }

    fn seals(&self) -> Result<u32> {
        self.data().map(FileData::seals).map_err(|_| Errno::EINVAL)
    }

    fn add_seals(&self, seals: u32) -> Result<()> {
        self.data().map_err(|_| Errno::EINVAL)?.add_seals(seals)
    }

    fn readlink(&self) -> Result<Vec<u8>> {
        match &self.body {
            Body::Symlink(text) => Ok(text.to_vec()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        match &self.body {
            Body::Fifo(pipe) => pipe.open_fifo(flags).map(Some),
            Body::Device(number) => match &self.fs.devices {
                Some(devices) => devices.open(self.kind, *number).map(Some),
                None => Err(Errno::EACCES),
            },
            Body::Socket => Err(Errno::ENXIO),
            _ => Ok(None),
        }
    }

    fn describe(&self) -> Option<Vec<u8>> {
        // A node that is known by a name in no directory: a memfd, or the last trace of something deleted.
        let holder = self.holder.lock();
        let Holder { parent, name, .. } = holder.as_ref()?;
        (parent.strong_count() == 0).then(|| [b"/", name.bytes(), b" (deleted)"].concat())
    }
}

/// Inode number and type of what an entry leads to.
pub(super) fn kind_of(child: &Child) -> Option<(u64, FileType)> {
    match child {
        Child::Node(node) => Some((node.ino, node.kind)),
        Child::Backed { nid, kind } => Some((*nid, *kind)),
        Child::Gone => None,
    }
}
