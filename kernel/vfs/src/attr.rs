//! Changes of an object that is already found: the f-calls share these with those that take paths.
use crate::Result;
use crate::context::Credentials;
use crate::mount::Place;
use crate::notify;
use crate::types::{FileType, SetAttr, TimeChange, access};
use linux_abi::raw::general::{IN_ACCESS, IN_ATTRIB, IN_MODIFY};
use linux_abi::{Capability, Errno};

impl Place {
    fn check_mutable(&self) -> Result<()> {
        if self.mount.read_only {
            Err(Errno::EROFS)
        } else {
            Ok(())
        }
    }

    /// chmod(2).
    pub fn chmod(&self, cred: &Credentials, mode: u32) -> Result<()> {
        self.check_mutable()?;
        if self.inode.kind() == FileType::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let now = self.inode.metadata();
        cred.check_owner(&now)?;
        let keep_sgid = cred.can(Capability::FSETID) || cred.in_group(now.gid);
        let mode = mode & if keep_sgid { 0o7777 } else { 0o5777 };
        self.inode.setattr(&SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        })?;
        notify::used(&self.inode, IN_ATTRIB);
        Ok(())
    }

    /// chown(2); none leaves the id alone. Takes set-user-ID and set-group-ID bits from files.
    pub fn chown(&self, cred: &Credentials, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.check_mutable()?;
        let now = self.inode.metadata();
        if !cred.can(Capability::CHOWN) {
            let uid_stays = uid.is_none_or(|uid| uid == now.uid && uid == cred.uid);
            let gid_allowed =
                gid.is_none_or(|gid| cred.uid == now.uid && (gid == now.gid || cred.in_group(gid)));
            if !uid_stays || !gid_allowed {
                return Err(Errno::EPERM);
            }
        }
        let runnable_by_group = now.mode & 0o010 != 0;
        let cleared = if now.is_dir() {
            0
        } else {
            0o4000 | if runnable_by_group { 0o2000 } else { 0 }
        };
        let mode = (now.mode & cleared != 0).then_some(now.mode & 0o7777 & !cleared);
        self.inode.setattr(&SetAttr {
            uid,
            gid,
            mode,
            ..SetAttr::default()
        })?;
        if uid.is_some() || gid.is_some() || mode.is_some() {
            notify::used(&self.inode, IN_ATTRIB);
        }
        Ok(())
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
        self.inode.setattr(&SetAttr {
            atime,
            mtime,
            ..SetAttr::default()
        })?;
        let told = match (atime, mtime) {
            (_, TimeChange::Keep) => IN_ACCESS,
            (TimeChange::Keep, _) => IN_MODIFY,
            _ => IN_ATTRIB,
        };
        notify::used(&self.inode, told);
        Ok(())
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
        self.inode.truncate(len)?;
        notify::used(&self.inode, IN_MODIFY);
        Ok(())
    }
}
