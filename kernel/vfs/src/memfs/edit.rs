//! Finding, making, listing and removing the entries of a directory.
use super::dir::{Child, Entries, Name};
use super::node::{Attr, Body, DirState, Holder, Node, kind_of};
use crate::Result;
use crate::erofs::Erofs;
use crate::inode::NewNode;
use crate::pipe::Pipe;
use crate::types::{DirEntry, FileType};
use alloc::sync::Arc;
use linux_abi::Errno;

/// `LINK_MAX` of the file systems that programs know.
const LINK_MAX: u32 = 65_000;

impl Node {
    fn image(&self) -> Result<&Erofs> {
        self.fs.image.as_ref().ok_or(Errno::EIO)
    }

    /// Takes the entries over from the image, if that has not happened yet.
    pub(super) fn load(&self, state: &mut DirState) -> Result<()> {
        let Some(nid) = state.unread else {
            return Ok(());
        };
        let image = self.image()?;
        let mut entries = Entries::new();
        for entry in image.entries(&image.inode(nid)?) {
            let entry = entry?;
            if entries.get(entry.name).is_some() {
                return Err(Errno::EIO);
            }
            entries.insert(
                Name::Image(entry.name),
                Child::Backed {
                    nid: entry.nid,
                    kind: entry.kind,
                },
            );
        }
        state.entries = entries;
        state.unread = None;
        Ok(())
    }

    /// The state for a change or a look: loaded, and refused if the directory has been removed.
    pub(super) fn live<'s>(&self, state: &'s mut DirState) -> Result<&'s mut DirState> {
        if state.dead {
            return Err(Errno::ENOENT);
        }
        self.load(state)?;
        Ok(state)
    }

    /// The node of entry `name`, made now if only the image had it.
    pub(super) fn find(&self, state: &mut DirState, name: &[u8]) -> Result<Arc<Self>> {
        let (child, known) = state.entries.get_mut(name).ok_or(Errno::ENOENT)?;
        let node = match child {
            Child::Node(node) => return Ok(node.clone()),
            Child::Backed { nid, kind } => self.materialize(*nid, *kind)?,
            Child::Gone => return Err(Errno::ENOENT),
        };
        node.hold(self, known.clone());
        *child = Child::Node(node.clone());
        Ok(node)
    }

    fn materialize(&self, nid: u64, kind: FileType) -> Result<Arc<Self>> {
        let inode = self.image()?.inode(nid)?;
        if FileType::from_mode(inode.mode) != Some(kind) {
            return Err(Errno::EIO);
        }
        if kind == FileType::Directory {
            // A second way to a directory would be a loop, or nearly one: only a damaged image has it.
            let first = self.fs.directories.lock().insert(nid);
            return if first {
                Ok(Self::backed(&self.fs, &inode))
            } else {
                Err(Errno::EIO)
            };
        }
        if inode.nlink < 2 {
            return Ok(Self::backed(&self.fs, &inode));
        }
        let mut linked = self.fs.linked.lock();
        Ok(linked
            .entry(nid)
            .or_insert_with(|| Self::backed(&self.fs, &inode))
            .clone())
    }

    /// Notes where the tree holds this node now.
    pub(super) fn hold(&self, parent: &Self, name: Name) {
        let holder = Holder {
            parent: parent.weak(),
            name,
            deleted: false,
        };
        *self.holder.lock() = Some(holder);
    }

    pub(super) fn child(&self, name: &[u8]) -> Result<Arc<Self>> {
        let mut state = self.directory()?.lock();
        let state = self.live(&mut state)?;
        self.find(state, name)
    }

    pub(super) fn list(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let mut state = self.directory()?.lock();
        let state = self.live(&mut state)?;
        let kind = FileType::Directory;
        if from == 0
            && !emit(DirEntry {
                ino: self.ino,
                next: 1,
                kind,
                name: b".",
            })
        {
            return Ok(());
        }
        if from <= 1
            && !emit(DirEntry {
                ino: self.parent_ino(),
                next: 2,
                kind,
                name: b"..",
            })
        {
            return Ok(());
        }
        for (sequence, name, child) in state.entries.listing(from) {
            let Some((ino, kind)) = kind_of(child) else {
                continue;
            };
            if !emit(DirEntry {
                ino,
                next: sequence + 1,
                kind,
                name,
            }) {
                break;
            }
        }
        Ok(())
    }

    fn parent_ino(&self) -> u64 {
        let parent = self
            .holder
            .lock()
            .as_ref()
            .and_then(|holder| holder.parent.upgrade());
        parent.map_or(self.ino, |parent| parent.ino)
    }

    pub(super) fn make(
        &self,
        name: &[u8],
        new: NewNode<'_>,
        mode: u32,
        uid: u32,
        gid: u32,
    ) -> Result<Arc<Self>> {
        let (kind, body) = match new {
            NewNode::Regular => (FileType::Regular, Body::file()),
            NewNode::Directory => (FileType::Directory, Body::directory()),
            NewNode::Symlink(text) => (FileType::Symlink, Body::Symlink(text.into())),
            NewNode::Fifo => (FileType::Fifo, Body::Fifo(Pipe::new())),
            NewNode::Socket => (FileType::Socket, Body::Socket),
            NewNode::CharDevice(rdev) => (FileType::CharDevice, Body::Device(rdev)),
            NewNode::BlockDevice(rdev) => (FileType::BlockDevice, Body::Device(rdev)),
        };
        let mut state = self.directory()?.lock();
        let state = self.live(&mut state)?;
        if state.entries.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let node = Self::fresh(&self.fs, kind, mode, uid, gid, body);
        self.enter(state, name.into(), &node)?;
        self.touch();
        Ok(node)
    }

    /// Adds the entry `name`; a directory's `..` counts as a link to its parent.
    fn enter(&self, state: &mut DirState, name: Name, node: &Arc<Self>) -> Result<()> {
        if !state
            .entries
            .insert(name.clone(), Child::Node(node.clone()))
        {
            return Err(Errno::ENOSPC);
        }
        if matches!(node.body, Body::Directory(_)) {
            self.attr.lock().nlink += 1;
        }
        node.hold(self, name);
        Ok(())
    }

    pub(super) fn add_link(&self, name: &[u8], target: &Arc<Self>) -> Result<()> {
        if !Arc::ptr_eq(&self.fs, &target.fs) {
            return Err(Errno::EXDEV);
        }
        let mut state = self.directory()?.lock();
        let state = self.live(&mut state)?;
        if state.entries.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        {
            let deleted = target
                .holder
                .lock()
                .as_ref()
                .is_some_and(|holder| holder.deleted);
            let mut attr = target.attr.lock();
            if attr.nlink == 0 && deleted {
                // What was unlinked stays so; only a file that never had a name may get one.
                return Err(Errno::ENOENT);
            }
            if attr.nlink >= LINK_MAX {
                return Err(Errno::EMLINK);
            }
            attr.nlink += 1;
            attr.ctime = self.fs.now();
        }
        self.enter(state, name.into(), target)?;
        self.touch();
        Ok(())
    }

    /// Counts one link less, and notes that the name is gone if it is the one that the node is known by.
    pub(super) fn unlinked(&self, parent: &Self, name: &[u8]) {
        let left = {
            let mut attr = self.attr.lock();
            let Attr { nlink, ctime, .. } = &mut *attr;
            *nlink = nlink.saturating_sub(1);
            *ctime = self.fs.now();
            *nlink
        };
        self.mark_deleted(parent, name);
        if left == 0 {
            let forgotten = self.fs.linked.lock().remove(&self.ino);
            drop(forgotten);
        }
    }

    fn mark_deleted(&self, parent: &Self, name: &[u8]) {
        if let Some(holder) = self.holder.lock().as_mut() {
            let known_by =
                holder.name.bytes() == name && core::ptr::eq(holder.parent.as_ptr(), parent);
            holder.deleted |= known_by;
        }
    }

    pub(super) fn remove_file(&self, name: &[u8]) -> Result<()> {
        let removed;
        let mut state = self.directory()?.lock();
        let state = self.live(&mut state)?;
        removed = self.find(state, name)?;
        if matches!(removed.body, Body::Directory(_)) {
            return Err(Errno::EISDIR);
        }
        state.entries.remove(name);
        removed.unlinked(self, name);
        self.touch();
        Ok(())
    }

    pub(super) fn remove_dir(&self, name: &[u8]) -> Result<()> {
        let removed;
        let mut state = self.directory()?.lock();
        let state = self.live(&mut state)?;
        removed = self.find(state, name)?;
        removed.retire()?;
        state.entries.remove(name);
        removed.mark_deleted(self, name);
        let mut attr = self.attr.lock();
        attr.nlink = attr.nlink.saturating_sub(1);
        drop(attr);
        self.touch();
        Ok(())
    }

    /// Ends an empty directory; `ENOTEMPTY` if it is not.
    pub(super) fn retire(&self) -> Result<()> {
        let mut state = self.directory()?.lock();
        let state = self.live(&mut state)?;
        if !state.entries.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        state.dead = true;
        let mut attr = self.attr.lock();
        attr.nlink = 0;
        attr.ctime = self.fs.now();
        Ok(())
    }
}
