//! Extended attributes, see xattr(7): their names, who may use them, and the store of a file system in memory.
use crate::Result;
use crate::context::Credentials;
use crate::inode::Inode;
use crate::mount::Place;
use crate::notify;
use crate::types::{FileType, access};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use hashbrown::HashMap;
use linux_abi::raw::general::{IN_ATTRIB, S_ISVTX, XATTR_CREATE, XATTR_REPLACE};
use linux_abi::{Capability, Errno};
use rustc_hash::FxBuildHasher;
use spin::Mutex;

/// What all attributes of one file may take.
const LIMIT: usize = 65536;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespace {
    User,
    Trusted,
    Security,
}

/// The namespace of a name. `EOPNOTSUPP` for one that is not kept (`system.` holds ACLs), `EINVAL` for a bare prefix.
fn namespace(name: &[u8]) -> Result<Namespace> {
    let spaces: [(&[u8], Namespace); 3] = [
        (b"user.", Namespace::User),
        (b"trusted.", Namespace::Trusted),
        (b"security.", Namespace::Security),
    ];
    for (prefix, space) in spaces {
        match name.strip_prefix(prefix) {
            Some(b"") => return Err(Errno::EINVAL),
            Some(_) => return Ok(space),
            None => {}
        }
    }
    Err(Errno::EOPNOTSUPP)
}

impl Place {
    /// Whether an attribute may be read or (`write`) changed.
    fn check_xattr(&self, cred: &Credentials, name: &[u8], write: bool) -> Result<()> {
        if write && self.mount.read_only {
            return Err(Errno::EROFS);
        }
        let inode = &*self.inode;
        match namespace(name)? {
            Namespace::Security => {}
            Namespace::Trusted if cred.can(Capability::SYS_ADMIN) => return Ok(()),
            Namespace::Trusted if write => return Err(Errno::EPERM),
            Namespace::Trusted => return Err(Errno::ENODATA),
            Namespace::User => check_user(cred, inode, write)?,
        }
        if write && namespace(name)? == Namespace::Security {
            return if cred.can(Capability::SYS_ADMIN) {
                Ok(())
            } else {
                Err(Errno::EPERM)
            };
        }
        let wanted = if write { access::WRITE } else { access::READ };
        cred.check(&inode.metadata(), wanted)
    }

    /// getxattr(2).
    pub fn xattr(&self, cred: &Credentials, name: &[u8]) -> Result<Vec<u8>> {
        self.check_xattr(cred, name, false)?;
        self.xattr_store()?.get(self.inode.ino(), name)
    }

    /// setxattr(2).
    pub fn set_xattr(
        &self,
        cred: &Credentials,
        name: &[u8],
        value: &[u8],
        flags: u32,
    ) -> Result<()> {
        self.check_xattr(cred, name, true)?;
        self.change_xattr(name, Some(value), flags)
    }

    /// removexattr(2).
    pub fn remove_xattr(&self, cred: &Credentials, name: &[u8]) -> Result<()> {
        self.check_xattr(cred, name, true)?;
        self.change_xattr(name, None, XATTR_REPLACE)
    }

    fn change_xattr(&self, name: &[u8], value: Option<&[u8]>, flags: u32) -> Result<()> {
        self.xattr_store()?
            .set(self.inode.ino(), name, value, flags)?;
        self.inode.touch();
        notify::used(&self.inode, IN_ATTRIB);
        Ok(())
    }

    fn xattr_store(&self) -> Result<&XattrStore> {
        self.inode.xattrs().ok_or(Errno::EOPNOTSUPP)
    }

    /// listxattr(2): names, each with a NUL. Only root sees those in `trusted.`.
    #[must_use]
    pub fn list_xattrs(&self, cred: &Credentials) -> Vec<u8> {
        let store = self.inode.xattrs();
        let all = store.map_or_else(Vec::new, |store| store.names(self.inode.ino()));
        let seen = all.iter().filter(|name| {
            cred.can(Capability::SYS_ADMIN) || namespace(name) != Ok(Namespace::Trusted)
        });
        seen.flat_map(|name| name.iter().copied().chain([0]))
            .collect()
    }
}

/// Attributes in `user.` are for files and directories only; in sticky directories their owner's.
fn check_user(cred: &Credentials, inode: &dyn Inode, write: bool) -> Result<()> {
    match inode.kind() {
        FileType::Regular => Ok(()),
        FileType::Directory => {
            let metadata = inode.metadata();
            if write && metadata.mode & S_ISVTX != 0 {
                cred.check_owner(&metadata)
            } else {
                Ok(())
            }
        }
        _ if write => Err(Errno::EPERM),
        _ => Err(Errno::ENODATA),
    }
}

type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// The attributes of the files of one file system, by inode number: few files have any.
#[derive(Default)]
pub struct XattrStore {
    files: Mutex<HashMap<u64, Attributes, FxBuildHasher>>,
}

impl XattrStore {
    pub(crate) fn get(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>> {
        let files = self.files.lock();
        let value = files.get(&ino).and_then(|attributes| attributes.get(name));
        value.cloned().ok_or(Errno::ENODATA)
    }

    pub(crate) fn names(&self, ino: u64) -> Vec<Vec<u8>> {
        let files = self.files.lock();
        files
            .get(&ino)
            .map_or_else(Vec::new, |attributes| attributes.keys().cloned().collect())
    }

    /// Sets or (without a value) removes. `flags`: `XATTR_CREATE`, `XATTR_REPLACE`.
    pub(crate) fn set(
        &self,
        ino: u64,
        name: &[u8],
        value: Option<&[u8]>,
        flags: u32,
    ) -> Result<()> {
        let mut files = self.files.lock();
        let known = files.get(&ino);
        let exists = known.is_some_and(|attributes| attributes.contains_key(name));
        if exists && flags & XATTR_CREATE != 0 {
            return Err(Errno::EEXIST);
        }
        if !exists && flags & XATTR_REPLACE != 0 {
            return Err(Errno::ENODATA);
        }
        let Some(value) = value else {
            if let Some(attributes) = files.get_mut(&ino) {
                attributes.remove(name);
                if attributes.is_empty() {
                    files.remove(&ino);
                }
            }
            return Ok(());
        };
        let others = known.into_iter().flatten();
        let taken: usize = others
            .filter(|(other, _)| other.as_slice() != name)
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if taken + name.len() + value.len() > LIMIT + name.len() {
            return Err(Errno::ENOSPC);
        }
        files
            .entry(ino)
            .or_default()
            .insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    /// The file is gone.
    pub(crate) fn forget(&self, ino: u64) {
        let gone = self.files.lock().remove(&ino);
        drop(gone);
    }
}
