//! The calls that take paths (openat(2) and its kin): a path, the directory that it starts from, and who asks.
mod make;
mod remove;

use crate::Result;
use crate::context::{Credentials, FsContext};
use crate::file::File;
use crate::mount::Place;
use crate::types::{FileType, Metadata, access};
use crate::walk::{LookupFlags, Parent, Walk};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;

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
        Self {
            fs,
            cred,
            dir: None,
        }
    }

    pub(crate) fn walk(&self, flags: LookupFlags) -> Walk<'a> {
        Walk::new(self.fs, self.cred, self.dir, flags)
    }

    /// The object at `path`.
    pub fn resolve(&self, path: &[u8], flags: LookupFlags) -> Result<Place> {
        if path.is_empty() && flags.contains(LookupFlags::EMPTY_PATH) {
            return Ok(self.dir.cloned().unwrap_or_else(|| self.fs.cwd()));
        }
        self.walk(flags).resolve(path)
    }

    /// The directory that holds the last component of `path`.
    pub fn parent<'p>(&self, path: &'p [u8]) -> Result<Parent<'p>> {
        self.walk(LookupFlags::empty()).parent(path)
    }

    /// stat(2).
    pub fn metadata(&self, path: &[u8], flags: LookupFlags) -> Result<Metadata> {
        self.resolve(path, flags)
            .map(|place| place.inode.metadata())
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
        Err(if path.is_empty() {
            Errno::ENOENT
        } else {
            Errno::EINVAL
        })
    }

    /// open(2).
    pub fn open(&self, path: &[u8], how: &OpenHow) -> Result<Arc<File>> {
        crate::open::open(self, path, how)
    }
}

/// `ENAMETOOLONG` for a component that no file system here takes.
pub(crate) fn check_name(name: &[u8]) -> Result<()> {
    if name.len() > crate::walk::NAME_MAX {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(())
    }
}

/// Whether writing goes to a device or pipe rather than to the file system.
fn is_special(metadata: &Metadata) -> bool {
    !matches!(
        FileType::from_mode(metadata.mode),
        Some(FileType::Regular | FileType::Directory | FileType::Symlink)
    )
}
