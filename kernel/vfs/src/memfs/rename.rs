//! rename(2) within the file system.
use super::dir::Child;
use super::node::{Body, DirState, Node};
use crate::Result;
use alloc::sync::Arc;
use linux_abi::Errno;
use linux_abi::raw::general::{RENAME_EXCHANGE, RENAME_NOREPLACE};
use spin::MutexGuard;

/// Both directories, locked; the second is none if they are the same.
struct Locked<'a> {
    old: MutexGuard<'a, DirState>,
    new: Option<MutexGuard<'a, DirState>>,
}

impl<'a> Locked<'a> {
    /// Always in the order of the inode numbers, so that two renames cannot wait for each other.
    fn lock(old: &'a Node, new: &'a Node) -> Result<Self> {
        let (a, b) = (old.directory()?, new.directory()?);
        if core::ptr::eq(old, new) {
            return Ok(Self {
                old: a.lock(),
                new: None,
            });
        }
        if old.ino < new.ino {
            let old = a.lock();
            return Ok(Self {
                old,
                new: Some(b.lock()),
            });
        }
        let new = b.lock();
        Ok(Self {
            old: a.lock(),
            new: Some(new),
        })
    }

    fn new_dir(&mut self) -> &mut DirState {
        match &mut self.new {
            Some(new) => new,
            None => &mut self.old,
        }
    }
}

impl Node {
    fn is_dir_node(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    /// Whether `self` is `other` or lies above it. Stable only while `moving` is held.
    fn is_above(&self, other: &Self) -> bool {
        if core::ptr::eq(self, other) {
            return true;
        }
        let up = |node: &Self| {
            node.holder
                .lock()
                .as_ref()
                .and_then(|holder| holder.parent.upgrade())
        };
        let mut here = up(other);
        while let Some(node) = here {
            if core::ptr::eq(self, &*node) {
                return true;
            }
            here = up(&node);
        }
        false
    }

    pub(super) fn move_entry(
        &self,
        name: &[u8],
        new_dir: &Self,
        new_name: &[u8],
        flags: u32,
    ) -> Result<()> {
        if !Arc::ptr_eq(&self.fs, &new_dir.fs) {
            return Err(Errno::EXDEV);
        }
        let _moving = self.fs.moving.lock();
        let mut dirs = Locked::lock(self, new_dir)?;
        let moved = {
            let state = self.live(&mut dirs.old)?;
            self.find(state, name)?
        };
        let target = {
            let state = new_dir.live(dirs.new_dir())?;
            match new_dir.find(state, new_name) {
                Ok(node) => Some(node),
                Err(Errno::ENOENT) => None,
                Err(other) => return Err(other),
            }
        };
        self.check_move(&moved, new_dir, target.as_ref(), flags)?;
        match target {
            Some(target) if Arc::ptr_eq(&target, &moved) => return Ok(()),
            Some(target) if flags & RENAME_EXCHANGE != 0 => {
                self.exchange(&mut dirs, name, &moved, new_dir, new_name, &target)?
            }
            target => self.replace(&mut dirs, name, &moved, new_dir, new_name, target.as_ref())?,
        }
        self.touch();
        new_dir.touch();
        moved.attr.lock().ctime = self.fs.now();
        Ok(())
    }

    fn check_move(
        &self,
        moved: &Arc<Self>,
        new_dir: &Self,
        target: Option<&Arc<Self>>,
        flags: u32,
    ) -> Result<()> {
        let exchange = flags & RENAME_EXCHANGE != 0;
        match target {
            Some(_) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
            None if exchange => return Err(Errno::ENOENT),
            _ => {}
        }
        if moved.is_dir_node() && moved.is_above(new_dir) {
            return Err(Errno::EINVAL);
        }
        let Some(target) = target else { return Ok(()) };
        if target.is_dir_node() && target.is_above(self) {
            return Err(if exchange {
                Errno::EINVAL
            } else {
                Errno::ENOTEMPTY
            });
        }
        match (moved.is_dir_node(), target.is_dir_node()) {
            (true, false) if !exchange => Err(Errno::ENOTDIR),
            (false, true) if !exchange => Err(Errno::EISDIR),
            _ => Ok(()),
        }
    }

    fn replace(
        &self,
        dirs: &mut Locked<'_>,
        name: &[u8],
        moved: &Arc<Self>,
        new_dir: &Self,
        new_name: &[u8],
        target: Option<&Arc<Self>>,
    ) -> Result<()> {
        if let Some(target) = target {
            if target.is_dir_node() {
                target.retire()?;
                new_dir.count_subdir(-1);
            }
            target.unlinked(new_dir, new_name);
            dirs.new_dir().entries.remove(new_name);
        }
        dirs.old.entries.remove(name);
        dirs.new_dir()
            .entries
            .insert(new_name.into(), Child::Node(moved.clone()));
        moved.hold(new_dir, new_name.into());
        if moved.is_dir_node() {
            self.count_subdir(-1);
            new_dir.count_subdir(1);
        }
        Ok(())
    }

    fn exchange(
        &self,
        dirs: &mut Locked<'_>,
        name: &[u8],
        moved: &Arc<Self>,
        new_dir: &Self,
        new_name: &[u8],
        target: &Arc<Self>,
    ) -> Result<()> {
        let (slot, _) = dirs.old.entries.get_mut(name).ok_or(Errno::ENOENT)?;
        *slot = Child::Node(target.clone());
        let (slot, _) = dirs
            .new_dir()
            .entries
            .get_mut(new_name)
            .ok_or(Errno::ENOENT)?;
        *slot = Child::Node(moved.clone());
        moved.hold(new_dir, new_name.into());
        target.hold(self, name.into());
        let difference = i32::from(moved.is_dir_node()) - i32::from(target.is_dir_node());
        new_dir.count_subdir(difference);
        self.count_subdir(-difference);
        target.attr.lock().ctime = self.fs.now();
        Ok(())
    }

    fn count_subdir(&self, difference: i32) {
        let mut attr = self.attr.lock();
        attr.nlink = attr.nlink.saturating_add_signed(difference);
    }
}
