//! A node: one inode of the in-memory file system.
use super::MemFs;
use super::data::FileData;
use super::dir::{Child, Entries, Name};
use super::pages::Pages;
use crate::Result;
use crate::erofs::DiskInode;
use crate::io::Source;
use crate::pipe::Pipe;
use crate::types::{FileType, Timestamp};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::Errno;
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
        Self::Directory(Mutex::new(DirState {
            entries: Entries::new(),
            unread: None,
            dead: false,
        }))
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
    pub(super) kind: FileType,
    pub(super) attr: Mutex<Attr>,
    pub(super) holder: Mutex<Option<Holder>>,
    pub(super) body: Body,
}

impl Node {
    fn build(fs: &Arc<MemFs>, ino: u64, kind: FileType, attr: Attr, body: Body) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            fs: fs.clone(),
            this: this.clone(),
            ino,
            kind,
            attr: Mutex::new(attr),
            holder: Mutex::new(None),
            body,
        })
    }

    /// A node that the image knows nothing of.
    pub(super) fn fresh(
        fs: &Arc<MemFs>,
        kind: FileType,
        mode: u32,
        uid: u32,
        gid: u32,
        body: Body,
    ) -> Arc<Self> {
        let now = fs.now();
        let nlink = if kind == FileType::Directory { 2 } else { 1 };
        let attr = Attr {
            mode: mode & 0o7777,
            nlink,
            uid,
            gid,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
        };
        fs.inodes.fetch_add(1, Relaxed);
        Self::build(fs, fs.fresh_ino(), kind, attr, body)
    }

    /// The node of an image inode.
    pub(super) fn backed(fs: &Arc<MemFs>, inode: &DiskInode) -> Arc<Self> {
        let kind = FileType::from_mode(inode.mode).unwrap_or(FileType::Regular);
        let body = match kind {
            FileType::Directory => Body::Directory(Mutex::new(DirState {
                entries: Entries::new(),
                unread: Some(inode.nid),
                dead: false,
            })),
            FileType::Regular => {
                Body::File(FileData::new(Pages::backed(inode.extents, inode.size)))
            }
            FileType::Symlink => Body::Symlink(link_text(inode)),
            FileType::Fifo => Body::Fifo(Pipe::new()),
            FileType::Socket => Body::Socket,
            FileType::CharDevice | FileType::BlockDevice => Body::Device(u64::from(inode.rdev)),
        };
        let DiskInode {
            nlink,
            uid,
            gid,
            mtime,
            ..
        } = *inode;
        let attr = Attr {
            mode: inode.mode & 0o7777,
            nlink,
            uid,
            gid,
            atime: mtime,
            mtime,
            ctime: mtime,
            btime: mtime,
        };
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

    /// Writes at `offset`, or at the end. Answers the count and the offset after it.
    pub(super) fn write(
        &self,
        offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Result<(usize, u64)> {
        let written = self.data()?.write(&self.fs, offset, source)?;
        if written.count > 0 {
            self.touch();
            self.invalidate(written.replaced, false);
        }
        Ok((written.count, written.end))
    }

    pub(super) fn invalidate(&self, range: Option<core::ops::Range<u64>>, truncated: bool) {
        if let Body::File(data) = &self.body {
            data.invalidate(self.fs.dev, self.ino, range, truncated);
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
        self.fs.xattrs.forget(self.ino);
        crate::notify::gone((self.fs.dev, self.ino));
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
