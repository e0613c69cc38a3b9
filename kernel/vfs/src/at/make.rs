//! Making names: mkdir(2), mknod(2), symlink(2), link(2).
use super::{At, check_name};
use crate::Result;
use crate::inode::{InodeRef, NewNode};
use crate::mount::Place;
use crate::notify;
use crate::types::{Metadata, access};
use crate::walk::Parent;
use alloc::sync::Arc;
use linux_abi::raw::general::S_ISGID;
use linux_abi::{Capability, Errno};

impl At<'_> {
    /// The parent of something to be made: `EEXIST` for what cannot be a new name.
    fn new_name<'p>(&self, path: &'p [u8]) -> Result<Parent<'p>> {
        let parent = self.parent(path)?;
        if matches!(&*parent.name, b"" | b"." | b"..") {
            return Err(Errno::EEXIST);
        }
        check_name(&parent.name)?;
        Ok(parent)
    }

    /// Refuses in the order that Linux does: what exists, then what cannot be written.
    pub(crate) fn check_create(&self, dir: &Place, name: &[u8]) -> Result<()> {
        self.cred.check_search(&*dir.inode)?;
        match dir.inode.lookup(name) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) => {}
            Err(other) => return Err(other),
        }
        self.check_dir_writable(dir)
    }

    pub(super) fn check_dir_writable(&self, dir: &Place) -> Result<()> {
        if dir.mount.read_only {
            return Err(Errno::EROFS);
        }
        if self.cred.can(Capability::DAC_OVERRIDE) {
            return Ok(());
        }
        self.cred
            .check(&dir.inode.metadata(), access::WRITE | access::EXEC)
    }

    /// The group and mode that something made in `dir` gets (the set-group-ID bit of directories is inherited).
    pub(crate) fn ownership(&self, dir: &Metadata, mode: u32, is_dir: bool) -> (u32, u32) {
        let mode = mode & 0o7777 & !self.fs.umask();
        if dir.mode & S_ISGID == 0 {
            return (self.cred.gid, mode);
        }
        (dir.gid, if is_dir { mode | S_ISGID } else { mode })
    }

    fn make(&self, parent: &Parent<'_>, node: NewNode<'_>, mode: u32) -> Result<InodeRef> {
        self.check_create(&parent.dir, &parent.name)?;
        let (gid, mode) = match node {
            NewNode::Symlink(_) => (
                self.ownership(&parent.dir.inode.metadata(), 0, false).0,
                0o777,
            ),
            NewNode::Directory => self.ownership(&parent.dir.inode.metadata(), mode & 0o1777, true),
            _ => self.ownership(&parent.dir.inode.metadata(), mode, false),
        };
        let dir = &parent.dir.inode;
        let inode = dir.create(&parent.name, node, mode, self.cred.uid, gid)?;
        notify::created(dir, &parent.name, &inode);
        Ok(inode)
    }

    /// mkdir(2).
    pub fn mkdir(&self, path: &[u8], mode: u32) -> Result<()> {
        self.make(&self.new_name(path)?, NewNode::Directory, mode)
            .map(drop)
    }

    /// mknod(2), for anything but directories and links. Devices are for root only.
    pub fn mknod(&self, path: &[u8], node: NewNode<'_>, mode: u32) -> Result<()> {
        self.make_node(path, node, mode).map(drop)
    }

    /// The same for bind(2), which keeps the node that it made.
    pub fn make_node(&self, path: &[u8], node: NewNode<'_>, mode: u32) -> Result<InodeRef> {
        let parent = self.new_name(path)?;
        self.refuse_slash(&parent)?;
        if matches!(node, NewNode::CharDevice(_) | NewNode::BlockDevice(_))
            && !self.cred.can(Capability::MKNOD)
        {
            return Err(Errno::EPERM);
        }
        self.make(&parent, node, mode)
    }

    /// symlink(2).
    pub fn symlink(&self, target: &[u8], path: &[u8]) -> Result<()> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.len() >= 4096 {
            return Err(Errno::ENAMETOOLONG);
        }
        let parent = self.new_name(path)?;
        self.refuse_slash(&parent)?;
        self.make(&parent, NewNode::Symlink(target), 0o777)
            .map(drop)
    }

    /// A slash after a name that is to become something else than a directory.
    fn refuse_slash(&self, parent: &Parent<'_>) -> Result<()> {
        if !parent.trailing_slash {
            return Ok(());
        }
        Err(if parent.dir.inode.lookup(&parent.name).is_ok() {
            Errno::EEXIST
        } else {
            Errno::ENOENT
        })
    }

    /// link(2): `target` is what the old path led to.
    pub fn link(&self, target: &Place, path: &[u8]) -> Result<()> {
        let parent = self.new_name(path)?;
        self.refuse_slash(&parent)?;
        self.check_create(&parent.dir, &parent.name)?;
        if !Arc::ptr_eq(&target.mount, &parent.dir.mount) {
            return Err(Errno::EXDEV);
        }
        if target.inode.is_dir() {
            return Err(Errno::EPERM);
        }
        parent.dir.inode.link(&parent.name, &target.inode)?;
        notify::linked(&parent.dir.inode, &parent.name, &target.inode);
        Ok(())
    }
}
