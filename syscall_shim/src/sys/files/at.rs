//! Where a path starts: what all calls with a path share.
use super::AT_FDCWD;
use crate::kernel::Kernel;
use crate::{Fd, Path};
use alloc::sync::Arc;
use linux_abi::{AtFlags, Errno};
use vfs::{At, Credentials, File, LookupFlags, Place};

/// The start of a walk and who walks, held for as long as an [`At`] borrows them.
pub(crate) struct Base {
    dir: Option<Arc<File>>,
    cred: Arc<Credentials>,
}

impl Base {
    /// An absolute path does not look at `dirfd`, which may then be anything.
    pub(super) fn new<K: Kernel>(k: &K, dirfd: Fd, path: &[u8]) -> Result<Self, Errno> {
        let relative = path.first() != Some(&b'/');
        let dir = if relative && dirfd != AT_FDCWD {
            Some(k.files().get(dirfd)?)
        } else {
            None
        };
        Ok(Self {
            dir,
            cred: k.process().file_credentials(),
        })
    }

    /// Another identity than the one that files are accessed by: access(2).
    pub(super) fn with_credentials(mut self, cred: Credentials) -> Self {
        self.cred = Arc::new(cred);
        self
    }

    pub(crate) fn at<'a, K: Kernel>(&'a self, k: &'a K) -> At<'a> {
        At {
            fs: k.fs(),
            cred: &self.cred,
            dir: self.dir.as_ref().map(|file| file.place()),
        }
    }

    pub(super) fn cred(&self) -> &Credentials {
        &self.cred
    }
}

/// Reads the path and runs `act` with the walk's start.
pub(crate) fn with_path<K: Kernel, R>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    act: impl FnOnce(&Base, &[u8]) -> Result<R, Errno>,
) -> Result<R, Errno> {
    pathname.with(k, |path| act(&Base::new(k, dirfd, path)?, path))
}

/// Finds the object that a path names and runs `act` on it.
pub(crate) fn with_place<K: Kernel, R>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    lookup: LookupFlags,
    act: impl FnOnce(&Place, &Credentials) -> Result<R, Errno>,
) -> Result<R, Errno> {
    with_path(k, dirfd, pathname, |base, path| {
        let place = base.at(k).resolve(path, lookup)?;
        act(&place, base.cred())
    })
}

/// The lookup of a call that follows unless `AT_SYMLINK_NOFOLLOW`. EINVAL for flags that are not in `allowed`.
pub(crate) fn lookup_flags(flags: u32, allowed: AtFlags) -> Result<LookupFlags, Errno> {
    let flags = AtFlags::from_bits(flags)
        .filter(|flags| allowed.contains(*flags))
        .ok_or(Errno::EINVAL)?;
    let mut lookup = LookupFlags::empty();
    lookup.set(
        LookupFlags::FOLLOW,
        !flags.contains(AtFlags::AT_SYMLINK_NOFOLLOW),
    );
    lookup.set(
        LookupFlags::EMPTY_PATH,
        flags.contains(AtFlags::AT_EMPTY_PATH),
    );
    Ok(lookup)
}
