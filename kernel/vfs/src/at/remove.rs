//! Taking names away: unlink(2), rmdir(2), rename(2).
use super::{At, check_name};
use crate::Result;
use crate::mount::Place;
use crate::notify::{self, Move};
use crate::walk::{LookupFlags, Parent};
use alloc::sync::Arc;
use linux_abi::raw::general::{RENAME_EXCHANGE, RENAME_NOREPLACE, S_ISVTX};
use linux_abi::{Capability, Errno};

impl At<'_> {
    /// Whether `name` may be taken out of `dir`: write permission, and ownership in sticky directories.
    fn check_removal(&self, dir: &Place, victim: &Place) -> Result<()> {
        self.check_dir_writable(dir)?;
        if self.cred.can(Capability::FOWNER) {
            return Ok(());
        }
        let holder = dir.inode.metadata();
        let sticky = holder.mode & S_ISVTX != 0;
        let owner = self.cred.uid == holder.uid || self.cred.uid == victim.inode.metadata().uid;
        if sticky && !owner {
            Err(Errno::EPERM)
        } else {
            Ok(())
        }
    }

    /// The last component's object, for removal: not followed, mounts crossed.
    fn victim(&self, parent: &Parent<'_>) -> Result<Place> {
        check_name(&parent.name)?;
        self.cred.check_search(&*parent.dir.inode)?;
        self.walk(LookupFlags::empty())
            .child(&parent.dir, &parent.name)
    }

    /// unlink(2).
    pub fn unlink(&self, path: &[u8]) -> Result<()> {
        let parent = self.parent(path)?;
        if matches!(&*parent.name, b"" | b"." | b"..") {
            return Err(Errno::EISDIR);
        }
        let victim = self.victim(&parent)?;
        if victim.inode.is_dir() {
            return Err(Errno::EISDIR);
        }
        if parent.trailing_slash {
            return Err(Errno::ENOTDIR);
        }
        self.check_removal(&parent.dir, &victim)?;
        parent.dir.inode.unlink(&parent.name)?;
        notify::removed(&parent.dir.inode, &parent.name, victim.inode);
        Ok(())
    }

    /// rmdir(2).
    pub fn rmdir(&self, path: &[u8]) -> Result<()> {
        let parent = self.parent(path)?;
        match &*parent.name {
            b"" => return Err(Errno::EBUSY),
            b"." => return Err(Errno::EINVAL),
            b".." => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        let victim = self.victim(&parent)?;
        self.check_removal(&parent.dir, &victim)?;
        if !victim.inode.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        if victim.is_mount_root() {
            return Err(Errno::EBUSY);
        }
        parent.dir.inode.rmdir(&parent.name)?;
        notify::removed(&parent.dir.inode, &parent.name, victim.inode);
        Ok(())
    }

    /// renameat2(2): `to` is where the new path starts.
    pub fn rename(&self, old: &[u8], to: &At<'_>, new: &[u8], flags: u32) -> Result<()> {
        if flags & !(RENAME_EXCHANGE | RENAME_NOREPLACE) != 0
            || flags == (RENAME_EXCHANGE | RENAME_NOREPLACE)
        {
            return Err(Errno::EINVAL);
        }
        let source = self.parent(old)?;
        let target = to.parent(new)?;
        if !Arc::ptr_eq(&source.dir.mount, &target.dir.mount) {
            return Err(Errno::EXDEV);
        }
        if matches!(&*source.name, b"" | b"." | b"..") {
            return Err(Errno::EBUSY);
        }
        if matches!(&*target.name, b"" | b"." | b"..") {
            return Err(if flags & RENAME_NOREPLACE != 0 {
                Errno::EEXIST
            } else {
                Errno::EBUSY
            });
        }
        let moved = self.victim(&source)?;
        let replaced = self.replaced(&target, flags)?;
        self.check_rename(&source, &moved, &target, replaced.as_ref(), flags)?;
        let (from, to) = (&source.dir.inode, &target.dir.inode);
        from.rename(&source.name, to, &target.name, flags)?;
        tell_rename(&source, &moved, &target, replaced.as_ref(), flags);
        Ok(())
    }

    fn replaced(&self, target: &Parent<'_>, flags: u32) -> Result<Option<Place>> {
        match self.victim(target) {
            Ok(_) if flags & RENAME_NOREPLACE != 0 => Err(Errno::EEXIST),
            Ok(place) => Ok(Some(place)),
            Err(Errno::ENOENT) if flags & RENAME_EXCHANGE == 0 => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn check_rename(
        &self,
        source: &Parent<'_>,
        moved: &Place,
        target: &Parent<'_>,
        replaced: Option<&Place>,
        flags: u32,
    ) -> Result<()> {
        let exchange = flags & RENAME_EXCHANGE != 0;
        if exchange && target.trailing_slash && !replaced.is_some_and(|place| place.inode.is_dir())
        {
            return Err(Errno::ENOTDIR);
        }
        if !moved.inode.is_dir() && (source.trailing_slash || (!exchange && target.trailing_slash))
        {
            return Err(Errno::ENOTDIR);
        }
        if is_above(moved, &target.dir) {
            return Err(Errno::EINVAL);
        }
        if replaced.is_some_and(|place| is_above(place, &source.dir)) {
            return Err(if exchange {
                Errno::EINVAL
            } else {
                Errno::ENOTEMPTY
            });
        }
        self.check_removal(&source.dir, moved)?;
        match replaced {
            Some(place) => self.check_removal(&target.dir, place)?,
            None => self.check_dir_writable(&target.dir)?,
        }
        let busy =
            |place: &Place| place.inode.is_dir() && !Arc::ptr_eq(&place.mount, &source.dir.mount);
        if busy(moved) || replaced.is_some_and(busy) {
            return Err(Errno::EBUSY);
        }
        if let Some(place) = replaced.filter(|_| !exchange) {
            match (moved.inode.is_dir(), place.inode.is_dir()) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Tells of a rename, unless both names were the same object's: then nothing happened.
fn tell_rename(
    source: &Parent<'_>,
    moved: &Place,
    target: &Parent<'_>,
    replaced: Option<&Place>,
    flags: u32,
) {
    if replaced.is_some_and(|replaced| replaced.same(moved)) {
        return;
    }
    let from = (&source.dir.inode, &*source.name);
    let to = (&target.dir.inode, &*target.name);
    let replaced = replaced.map(|place| &place.inode);
    let exchange = flags & RENAME_EXCHANGE != 0;
    notify::moved(&Move {
        from,
        to,
        inode: &moved.inode,
        replaced: replaced.filter(|_| !exchange),
    });
    if let Some(inode) = replaced.filter(|_| exchange) {
        notify::moved(&Move {
            from: to,
            to: from,
            inode,
            replaced: None,
        });
    }
}

/// Whether the directory `upper` is `lower` or lies above it.
fn is_above(upper: &Place, lower: &Place) -> bool {
    if !upper.inode.is_dir() || !Arc::ptr_eq(&upper.mount, &lower.mount) {
        return false;
    }
    let mut here = Some(lower.inode.clone());
    while let Some(inode) = here {
        if inode.ino() == upper.inode.ino() {
            return true;
        }
        here = inode.position().map(|position| position.parent);
    }
    false
}
