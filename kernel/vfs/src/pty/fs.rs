//! /dev/pts: a directory of the slaves that are there.
use super::Ptys;
use super::pair::Pty;
use crate::Result;
use crate::inode::{Inode, InodeRef, Position};
use crate::ops::FileOps;
use crate::types::{DirEntry, FileType, Metadata, SetAttr, StatFs};
use alloc::format;
use alloc::sync::Arc;
use linux_abi::Errno;
use linux_abi::raw::general::{DEVPTS_SUPER_MAGIC, O_NOCTTY};

const ROOT_INO: u64 = 1;
/// Of the first slave; as on Linux.
const FIRST_INO: u64 = 3;

struct Root(Arc<Ptys>);

struct Node {
    pty: Arc<Pty>,
    ptys: Arc<Ptys>,
}

pub(super) fn root(ptys: Arc<Ptys>) -> InodeRef {
    Arc::new(Root(ptys))
}

fn statfs(ptys: &Ptys) -> StatFs {
    StatFs {
        magic: u64::from(DEVPTS_SUPER_MAGIC),
        block_size: 4096,
        fsid: ptys.dev,
        name_max: 255,
        ..StatFs::default()
    }
}

impl Inode for Root {
    fn kind(&self) -> FileType {
        FileType::Directory
    }

    fn ino(&self) -> u64 {
        ROOT_INO
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            dev: self.0.dev,
            ino: ROOT_INO,
            mode: FileType::Directory.mode_bits() | 0o755,
            nlink: 2,
            blksize: 1024,
            ..Metadata::default()
        }
    }

    fn statfs(&self) -> StatFs {
        statfs(&self.0)
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        let text = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        let number: u32 = text.parse().map_err(|_| Errno::ENOENT)?;
        // Only as it is written in a listing: not "+1", not "01".
        if format!("{number}") != text {
            return Err(Errno::ENOENT);
        }
        Ok(Arc::new(Node {
            pty: self.0.find(number).ok_or(Errno::ENOENT)?,
            ptys: self.0.clone(),
        }))
    }

    fn readdir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let numbers: alloc::vec::Vec<u32> = self.0.table.lock().keys().copied().collect();
        let dots = [(0, "."), (1, "..")].map(|(at, name)| (at, ROOT_INO, name.into()));
        let slaves = numbers.into_iter().map(|number| {
            let ino = FIRST_INO + u64::from(number);
            (u64::from(number) + 2, ino, format!("{number}"))
        });
        for (at, ino, name) in dots.into_iter().chain(slaves) {
            let kind = if ino == ROOT_INO {
                FileType::Directory
            } else {
                FileType::CharDevice
            };
            let entry = DirEntry {
                ino,
                next: at + 1,
                kind,
                name: name.as_bytes(),
            };
            if at >= from && !emit(entry) {
                break;
            }
        }
        Ok(())
    }
}

impl Inode for Node {
    fn kind(&self) -> FileType {
        FileType::CharDevice
    }

    fn ino(&self) -> u64 {
        FIRST_INO + u64::from(self.pty.number)
    }

    fn metadata(&self) -> Metadata {
        let state = self.pty.state.lock();
        Metadata {
            dev: self.ptys.dev,
            ino: self.ino(),
            mode: FileType::CharDevice.mode_bits() | state.mode,
            nlink: 1,
            uid: state.uid,
            gid: state.gid,
            rdev: self.pty.rdev(),
            blksize: 1024,
            atime: state.made,
            mtime: state.made,
            ctime: state.made,
            btime: state.made,
            ..Metadata::default()
        }
    }

    fn setattr(&self, change: &SetAttr) -> Result<()> {
        let mut state = self.pty.state.lock();
        state.mode = change.mode.map_or(state.mode, |mode| mode & 0o7777);
        state.uid = change.uid.unwrap_or(state.uid);
        state.gid = change.gid.unwrap_or(state.gid);
        Ok(())
    }

    fn statfs(&self) -> StatFs {
        statfs(&self.ptys)
    }

    fn position(&self) -> Option<Position> {
        Some(Position {
            parent: root(self.ptys.clone()),
            name: format!("{}", self.pty.number).into_bytes().into(),
            deleted: !self.pty.state.lock().master,
        })
    }

    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        let controls = flags & O_NOCTTY == 0;
        self.ptys.open_slave(&self.pty, controls).map(Some)
    }
}
