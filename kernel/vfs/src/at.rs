//! The calls that take paths (openat(2) and its kin): a path, the directory that it starts from, and who asks.
use crate::Result;
use crate::context::{Credentials, FsContext};
use crate::file::File;
use crate::inode::NewNode;
use crate::mount::Place;
use crate::types::{FileType, Metadata, SetAttr, TimeChange, access};
use crate::walk::{LookupFlags, Parent, Walk};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::general::{RENAME_EXCHANGE, RENAME_NOREPLACE, S_ISGID, S_ISVTX};

/// Who walks, and from where.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub fs: &'a FsContext,
    pub cred: &'a Credentials,
    /// Where relative paths start; none for `AT_FDCWD`.
    pub dir: Option<&'a Place>,
}

/// The arguments of open(2): `O_*` flags, permission bits, and what openat2(2) adds.
#[derive(Clone, Copy, Default, Debug)]
pub struct OpenHow {
    pub flags: u32,
    pub mode: u32,
    pub resolve: Option<LookupFlags>,
}

impl<'a> At<'a> {
    /// For paths relative to the working directory.
    #[must_use]
    pub fn cwd(fs: &'a FsContext, cred: &'a Credentials) -> Self {
        Self { fs, cred, dir: None }
    }

    pub(crate) fn start(&self, path: &[u8]) -> Place {
        match self.dir {
            Some(place) => place.clone(),
            // The start of an absolute path is the root; the working directory need not be fetched.
            None if path.first() == Some(&b'/') => self.fs.root(),
            None => self.fs.cwd(),
        }
    }

    pub(crate) fn walk(&self, start: &Place, flags: LookupFlags) -> Walk<'a> {
        Walk::new(self.fs.root(), start, self.cred, flags)
    }

    /// The object at `path`.
    pub fn resolve(&self, path: &[u8], flags: LookupFlags) -> Result<Place> {
        let start = self.start(path);
        if path.is_empty() && flags.contains(LookupFlags::EMPTY_PATH) {
            return Ok(start);
        }
        self.walk(&start, flags).resolve(start, path)
    }

    /// The directory that holds the last component of `path`.
    pub fn parent<'p>(&self, path: &'p [u8]) -> Result<Parent<'p>> {
        let start = self.start(path);
        self.walk(&start, LookupFlags::empty()).parent(start, path)
    }

    /// stat(2).
    pub fn metadata(&self, path: &[u8], flags: LookupFlags) -> Result<Metadata> {
        self.resolve(path, flags).map(|place| place.inode.metadata())
    }

    /// access(2): `wanted` is of [`access`], 0 for existence.
    pub fn access(&self, path: &[u8], wanted: u32, flags: LookupFlags) -> Result<()> {
        let place = self.resolve(path, flags)?;
        if wanted == 0 {
            return Ok(());
        }
        let metadata = place.inode.metadata();
        if wanted & access::WRITE != 0 && place.mount.read_only && !is_special(&metadata) {
            return Err(Errno::EROFS);
        }
        self.cred.check(&metadata, wanted)
    }

    /// readlink(2).
    pub fn readlink(&self, path: &[u8]) -> Result<Vec<u8>> {
        let place = self.resolve(path, LookupFlags::EMPTY_PATH)?;
        if place.inode.kind() == FileType::Symlink {
            return place.inode.readlink();
        }
        // readlinkat(2): an empty path that does not mean a link is an error of its own.
        Err(if path.is_empty() { Errno::ENOENT } else { Errno::EINVAL })
    }

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

    fn check_dir_writable(&self, dir: &Place) -> Result<()> {
        if dir.mount.read_only {
            return Err(Errno::EROFS);
        }
        if self.cred.is_root() {
            return Ok(());
        }
        self.cred.check(&dir.inode.metadata(), access::WRITE | access::EXEC)
    }

    /// The group and mode that something made in `dir` gets (the set-group-ID bit of directories is inherited).
    pub(crate) fn ownership(&self, dir: &Metadata, mode: u32, is_dir: bool) -> (u32, u32) {
        let mode = mode & 0o7777 & !self.fs.umask();
        if dir.mode & S_ISGID == 0 {
            return (self.cred.gid, mode);
        }
        (dir.gid, if is_dir { mode | S_ISGID } else { mode })
    }

    fn make(&self, parent: &Parent<'_>, node: NewNode<'_>, mode: u32) -> Result<()> {
        self.check_create(&parent.dir, &parent.name)?;
        let (gid, mode) = match node {
            NewNode::Symlink(_) => (self.ownership(&parent.dir.inode.metadata(), 0, false).0, 0o777),
            NewNode::Directory => self.ownership(&parent.dir.inode.metadata(), mode & 0o1777, true),
            _ => self.ownership(&parent.dir.inode.metadata(), mode, false),
        };
        parent.dir.inode.create(&parent.name, node, mode, self.cred.uid, gid).map(drop)
    }

    /// mkdir(2).
    pub fn mkdir(&self, path: &[u8], mode: u32) -> Result<()> {
        self.make(&self.new_name(path)?, NewNode::Directory, mode)
    }

    /// mknod(2), for anything but directories and links. Devices are for root only.
    pub fn mknod(&self, path: &[u8], node: NewNode<'_>, mode: u32) -> Result<()> {
        let parent = self.new_name(path)?;
        self.refuse_slash(&parent)?;
        if matches!(node, NewNode::CharDevice(_) | NewNode::BlockDevice(_)) && !self.cred.is_root() {
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
    }

    /// A slash after a name that is to become something else than a directory.
    fn refuse_slash(&self, parent: &Parent<'_>) -> Result<()> {
        if !parent.trailing_slash {
            return Ok(());
        }
        Err(if parent.dir.inode.lookup(&parent.name).is_ok() { Errno::EEXIST } else { Errno::ENOENT })
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
        parent.dir.inode.link(&parent.name, &target.inode)
    }

    /// Whether `name` may be taken out of `dir`: write permission, and ownership in sticky directories.
    fn check_removal(&self, dir: &Place, victim: &Place) -> Result<()> {
        self.check_dir_writable(dir)?;
        if self.cred.is_root() {
            return Ok(());
        }
        let holder = dir.inode.metadata();
        let sticky = holder.mode & S_ISVTX != 0;
        let owner = self.cred.uid == holder.uid || self.cred.uid == victim.inode.metadata().uid;
        if sticky && !owner { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// The last component's object, for removal: not followed, mounts crossed.
    fn victim(&self, parent: &Parent<'_>) -> Result<Place> {
        check_name(&parent.name)?;
        self.cred.check_search(&*parent.dir.inode)?;
        self.walk(&parent.dir, LookupFlags::empty()).child(&parent.dir, &parent.name)
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
        parent.dir.inode.unlink(&parent.name)
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
        parent.dir.inode.rmdir(&parent.name)
    }

    /// renameat2(2): `to` is where the new path starts.
    pub fn rename(&self, old: &[u8], to: &At<'_>, new: &[u8], flags: u32) -> Result<()> {
        if flags & !(RENAME_EXCHANGE | RENAME_NOREPLACE) != 0 || flags == (RENAME_EXCHANGE | RENAME_NOREPLACE) {
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
            return Err(if flags & RENAME_NOREPLACE != 0 { Errno::EEXIST } else { Errno::EBUSY });
        }
        let moved = self.victim(&source)?;
        let replaced = self.replaced(&target, flags)?;
        self.check_rename(&source, &moved, &target, replaced.as_ref(), flags)?;
        source.dir.inode.rename(&source.name, &target.dir.inode, &target.name, flags)
    }

    fn replaced(&self, target: &Parent<'_>, flags: u32) -> Result<Option<Place>> {
        match self.victim(target) {
            Ok(_) if flags & RENAME_NOREPLACE != 0 => Err(Errno::EEXIST),
            Ok(place) => Ok(Some(place)),
            Err(Errno::ENOENT) if flags & RENAME_EXCHANGE == 0 => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn check_rename(&self, source: &Parent<'_>, moved: &Place, target: &Parent<'_>, replaced: Option<&Place>, flags: u32) -> Result<()> {
        let exchange = flags & RENAME_EXCHANGE != 0;
        if exchange && target.trailing_slash && !replaced.is_some_and(|place| place.inode.is_dir()) {
            return Err(Errno::ENOTDIR);
        }
        if !moved.inode.is_dir() && (source.trailing_slash || (!exchange && target.trailing_slash)) {
            return Err(Errno::ENOTDIR);
        }
        if is_above(moved, &target.dir) {
            return Err(Errno::EINVAL);
        }
        if replaced.is_some_and(|place| is_above(place, &source.dir)) {
            return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        self.check_removal(&source.dir, moved)?;
        match replaced {
            Some(place) => self.check_removal(&target.dir, place)?,
            None => self.check_dir_writable(&target.dir)?,
        }
        let busy = |place: &Place| place.inode.is_dir() && !Arc::ptr_eq(&place.mount, &source.dir.mount);
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

/// `ENAMETOOLONG` for a component that no file system here takes.
pub(crate) fn check_name(name: &[u8]) -> Result<()> {
    if name.len() > crate::walk::NAME_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(()) }
}

/// Whether writing goes to a device or pipe rather than to the file system.
fn is_special(metadata: &Metadata) -> bool {
    !matches!(FileType::from_mode(metadata.mode), Some(FileType::Regular | FileType::Directory | FileType::Symlink))
}

/// Changes of an object that is already found: the f-calls share these with those that take paths.
impl Place {
    fn check_mutable(&self) -> Result<()> {
        if self.mount.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// chmod(2).
    pub fn chmod(&self, cred: &Credentials, mode: u32) -> Result<()> {
        self.check_mutable()?;
        if self.inode.kind() == FileType::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let now = self.inode.metadata();
        cred.check_owner(&now)?;
        let keep_sgid = cred.is_root() || cred.in_group(now.gid);
        let mode = mode & if keep_sgid { 0o7777 } else { 0o5777 };
        self.inode.setattr(&SetAttr { mode: Some(mode), ..SetAttr::default() })
    }

    /// chown(2); none leaves the id alone. Takes set-user-ID and set-group-ID bits from files.
    pub fn chown(&self, cred: &Credentials, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.check_mutable()?;
        let now = self.inode.metadata();
        if !cred.is_root() {
            let uid_stays = uid.is_none_or(|uid| uid == now.uid && uid == cred.uid);
            let gid_allowed = gid.is_none_or(|gid| cred.uid == now.uid && (gid == now.gid || cred.in_group(gid)));
            if !uid_stays || !gid_allowed {
                return Err(Errno::EPERM);
            }
        }
        let runnable_by_group = now.mode & 0o010 != 0;
        let cleared = if now.is_dir() { 0 } else { 0o4000 | if runnable_by_group { 0o2000 } else { 0 } };
        let mode = (now.mode & cleared != 0).then_some(now.mode & 0o7777 & !cleared);
        self.inode.setattr(&SetAttr { uid, gid, mode, ..SetAttr::default() })
    }

    /// utimensat(2).
    pub fn utimens(&self, cred: &Credentials, atime: TimeChange, mtime: TimeChange) -> Result<()> {
        if (atime, mtime) == (TimeChange::Keep, TimeChange::Keep) {
            return Ok(());
        }
        self.check_mutable()?;
        let now = self.inode.metadata();
        let both_now = (atime, mtime) == (TimeChange::Now, TimeChange::Now);
        if cred.check_owner(&now).is_err() {
            // Whoever may write may also touch; setting any other time is the owner's.
            if !both_now {
                return Err(Errno::EPERM);
            }
            cred.check(&now, access::WRITE)?;
        }
        self.inode.setattr(&SetAttr { atime, mtime, ..SetAttr::default() })
    }

    /// truncate(2).
    pub fn truncate(&self, cred: &Credentials, len: u64) -> Result<()> {
        match self.inode.kind() {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        self.check_mutable()?;
        cred.check(&self.inode.metadata(), access::WRITE)?;
        self.inode.truncate(len)
    }
}

impl At<'_> {
    /// open(2).
    pub fn open(&self, path: &[u8], how: &OpenHow) -> Result<Arc<File>> {
        crate::open::open(self, path, how)
    }
}
