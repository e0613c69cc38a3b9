//! A node as the rest of the crate sees it.
use super::data::{F_SEAL_EXEC, FileData};
use super::node::{Attr, Body, Holder, Node};
use crate::Result;
use crate::inode::{Inode, InodeRef, Mapper, NewNode, Position};
use crate::io::{Sink, Source};
use crate::ops::FileOps;
use crate::page::{PAGE_SIZE, PageRef};
use crate::types::{DirEntry, FileType, Metadata, SetAttr, StatFs, TimeChange, Timestamp};
use crate::xattr::XattrStore;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::general::{
    F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_WRITE, FALLOC_FL_KEEP_SIZE,
};

/// The bits of a mode that let it be executed.
const EXECUTABLE: u32 = 0o111;

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
        let Attr {
            mode,
            nlink,
            uid,
            gid,
            atime,
            mtime,
            ctime,
            btime,
        } = attr;
        let mode = mode | self.kind.mode_bits();
        let (dev, ino, blksize) = (self.fs.dev, self.ino, 4096);
        Metadata {
            dev,
            ino,
            mode,
            nlink,
            uid,
            gid,
            rdev,
            size,
            blksize,
            blocks,
            atime,
            mtime,
            ctime,
            btime,
        }
    }

    fn setattr(&self, change: &SetAttr) -> Result<()> {
        let now = self.fs.now();
        let pick = |change: TimeChange, old: Timestamp| match change {
            TimeChange::Keep => old,
            TimeChange::Now => now,
            TimeChange::To(time) => time,
        };
        let mut attr = self.attr.lock();
        if let (Some(mode), Body::File(data)) = (change.mode, &self.body)
            && (mode ^ attr.mode) & EXECUTABLE != 0
            && data.seals() & F_SEAL_EXEC != 0
        {
            return Err(Errno::EPERM);
        }
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

    fn create(
        &self,
        name: &[u8],
        node: NewNode<'_>,
        mode: u32,
        uid: u32,
        gid: u32,
    ) -> Result<InodeRef> {
        self.make(name, node, mode, uid, gid)
            .map(|node| -> InodeRef { node })
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
        let Holder {
            parent,
            name,
            deleted,
        } = holder.as_ref()?;
        Some(Position {
            parent: parent.upgrade()?,
            name: name.bytes().into(),
            deleted: *deleted,
        })
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        self.data()?.read_at(offset, sink)
    }

    fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize> {
        self.write(Some(offset), source).map(|(count, _)| count)
    }

    fn append(&self, source: &mut dyn Source) -> Result<(usize, u64)> {
        self.write(None, source)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let shrunk = self.data()?.truncate(&self.fs, len)?;
        self.touch();
        // Of the page that stays in part private copies stay too.
        let gone = shrunk
            .clone()
            .map(|pages| len.div_ceil(PAGE_SIZE as u64)..pages.end);
        self.invalidate(shrunk, false);
        self.invalidate(gone.filter(|pages| !pages.is_empty()), true);
        Ok(())
    }

    fn fallocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let zeroed = self.data()?.fallocate(&self.fs, mode, offset, len)?;
        if mode & !FALLOC_FL_KEEP_SIZE != 0 {
            self.touch();
        }
        self.invalidate(zeroed, false);
        Ok(())
    }

    fn seek_data(&self, offset: u64, hole: bool) -> Result<u64> {
        self.data()?.seek_data(offset, hole)
    }

    fn map_page(&self, index: u64, write: bool) -> Result<PageRef> {
        self.data()
            .map_err(|_| Errno::ENODEV)?
            .map_page(&self.fs, index, write)
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
        let executable = self.attr.lock().mode & EXECUTABLE != 0;
        // Sealing the mode of a program seals what it is.
        let contents = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
        let more = if executable && seals & F_SEAL_EXEC != 0 {
            contents
        } else {
            0
        };
        let data = self.data().map_err(|_| Errno::EINVAL)?;
        data.add_seals(seals | more)
    }

    fn xattrs(&self) -> Option<&XattrStore> {
        Some(&self.fs.xattrs)
    }

    fn touch(&self) {
        self.attr.lock().ctime = self.fs.now();
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
