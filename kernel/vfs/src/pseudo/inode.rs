//! Inodes of generated file systems. They are made anew by every lookup; what stays the same is their number, which
//! is derived from the path.
use super::file::TextFile;
use super::{Context, Directory, Entry, Kind, PseudoFs, Text};
use crate::Result;
use crate::inode::{Inode, InodeRef, Link, Position};
use crate::ops::FileOps;
use crate::types::{DirEntry, FileType, Metadata, SetAttr, StatFs};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hasher;
use linux_abi::Errno;
use rustc_hash::FxHasher;

struct PseudoInode {
    fs: Arc<PseudoFs>,
    entry: Entry,
    context: Context,
    ino: u64,
    /// None for the root.
    position: Option<(Arc<PseudoInode>, alloc::boxed::Box<[u8]>)>,
    this: alloc::sync::Weak<PseudoInode>,
}

const ROOT_INO: u64 = 1;
/// Positions of numbered entries in a listing start here, behind the fixed ones.
const NUMBERED: u64 = 1 << 16;

pub(super) fn root(fs: Arc<PseudoFs>, entry: Entry, context: Context) -> InodeRef {
    Arc::new_cyclic(|this| PseudoInode {
        fs,
        entry,
        context,
        ino: ROOT_INO,
        position: None,
        this: this.clone(),
    })
}

/// The number of the child `name` of directory `parent`.
fn child_ino(parent: u64, name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(parent);
    hasher.write(name);
    // Positive even for programs that keep it in a signed number, and never that of the root.
    (hasher.finish() >> 1) | 2
}

impl PseudoInode {
    fn directory(&self) -> Result<&'static Directory> {
        match self.entry.kind {
            Kind::Dir(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn find(&self, name: &[u8]) -> Result<(Entry, Context)> {
        let directory = self.directory()?;
        if let Some(entry) = directory
            .entries
            .iter()
            .find(|entry| entry.name.as_bytes() == name)
        {
            return Ok((*entry, self.context.clone()));
        }
        directory
            .dynamic
            .and_then(|dynamic| (dynamic.find)(&self.context, name))
            .ok_or(Errno::ENOENT)
    }

    fn owner(&self) -> (u32, u32) {
        if self.context.pid == 0 {
            return (0, 0);
        }
        self.context
            .source
            .process(self.context.pid, self.context.tid)
            .map_or((0, 0), |info| (info.uids[1], info.gids[1]))
    }
}

impl Inode for PseudoInode {
    fn kind(&self) -> FileType {
        self.entry.file_type()
    }

    fn ino(&self) -> u64 {
        self.ino
    }

    fn metadata(&self) -> Metadata {
        let now = self.fs.host.wall_time();
        let (uid, gid) = self.owner();
        let is_dir = self.kind() == FileType::Directory;
        Metadata {
            dev: self.fs.dev,
            ino: self.ino,
            mode: self.entry.mode | self.kind().mode_bits(),
            nlink: if is_dir { 2 } else { 1 },
            uid,
            gid,
            blksize: 1024,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            ..Metadata::default()
        }
    }

    fn setattr(&self, _change: &SetAttr) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn statfs(&self) -> StatFs {
        StatFs {
            magic: self.fs.magic,
            block_size: 4096,
            fsid: self.fs.dev,
            name_max: 255,
            ..StatFs::default()
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        let (entry, context) = self.find(name)?;
        let parent = self.this.upgrade().ok_or(Errno::ENOENT)?;
        let ino = child_ino(self.ino, name);
        Ok(Arc::new_cyclic(|this| Self {
            fs: self.fs.clone(),
            entry,
            context,
            ino,
            position: Some((parent, name.into())),
            this: this.clone(),
        }))
    }

    fn readdir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let directory = self.directory()?;
        let parent = self
            .position
            .as_ref()
            .map_or(self.ino, |(parent, _)| parent.ino);
        let dots = [(&b"."[..], self.ino), (&b".."[..], parent)]
            .map(|(name, ino)| (name, ino, FileType::Directory));
        let fixed = directory.entries.iter().map(|entry| {
            (
                entry.name.as_bytes(),
                child_ino(self.ino, entry.name.as_bytes()),
                entry.file_type(),
            )
        });
        for (at, (name, ino, kind)) in (0_u64..).zip(dots.into_iter().chain(fixed)) {
            if at >= from
                && !emit(DirEntry {
                    ino,
                    next: at + 1,
                    kind,
                    name,
                })
            {
                return Ok(());
            }
        }
        let Some(dynamic) = directory.dynamic else {
            return Ok(());
        };
        let first = u32::try_from(from.saturating_sub(NUMBERED)).unwrap_or(u32::MAX);
        (dynamic.list)(&self.context, first, &mut |number| {
            let name = format!("{}{number}", dynamic.prefix).into_bytes();
            let next = NUMBERED + u64::from(number) + 1;
            emit(DirEntry {
                ino: child_ino(self.ino, &name),
                next,
                kind: dynamic.kind,
                name: &name,
            })
        });
        Ok(())
    }

    fn position(&self) -> Option<Position> {
        let (parent, name) = self.position.as_ref()?;
        Some(Position {
            parent: parent.clone(),
            name: name.clone(),
            deleted: false,
        })
    }

    fn truncate(&self, _len: u64) -> Result<()> {
        // Opening a setting with O_TRUNC is how shells write to it.
        match self.entry.kind {
            Kind::Stored(..) => Ok(()),
            Kind::Dir(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EPERM),
        }
    }

    fn process(&self) -> Option<(u32, u64)> {
        let directory = self.directory().ok()?;
        crate::procfs::is_process(directory).then_some((self.context.pid, self.context.since))
    }

    fn readlink(&self) -> Result<Vec<u8>> {
        let Kind::Link(show, _) = self.entry.kind else {
            return Err(Errno::EINVAL);
        };
        let mut out = Text::default();
        show(&self.context, &mut out)?;
        Ok(out.0)
    }

    fn follow(&self) -> Result<Link> {
        match self.entry.kind {
            Kind::Link(_, Some(follow)) => follow(&self.context),
            _ => self.readlink().map(Link::Path),
        }
    }

    fn open(&self, _flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        match self.entry.kind {
            Kind::Dir(_) | Kind::Link(..) => Ok(None),
            Kind::Text(show) => Ok(Some(Arc::new(TextFile::new(
                self.context.clone(),
                show,
                None,
            )))),
            Kind::Stored(show, store) => Ok(Some(Arc::new(TextFile::new(
                self.context.clone(),
                show,
                Some(store),
            )))),
        }
    }
}
