//! Who owns an object, and what others may do with it.
use crate::Result;
use crate::context::Credentials;
use linux_abi::{Capability, Errno};

/// Which of the three it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpcKind {
    Shm,
    Sem,
    Msg,
}

/// Who calls, and when.
#[derive(Clone, Copy)]
pub struct IpcCaller<'a> {
    pub cred: &'a Credentials,
    pub pid: i32,
    /// Seconds of the wall clock.
    pub now: i64,
}

/// The changeable part of `struct ipc_perm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpcOwner {
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
    pub mode: u32,
}

impl IpcOwner {
    pub(super) fn new(cred: &Credentials, mode: u32) -> Self {
        Self {
            uid: cred.uid,
            gid: cred.gid,
            cuid: cred.uid,
            cgid: cred.gid,
            mode: mode & 0o777,
        }
    }

    /// `wanted` holds permission bits as open modes do, in any of the three places.
    pub fn check(&self, cred: &Credentials, wanted: u32) -> Result<()> {
        let wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
        let granted = if cred.can(Capability::IPC_OWNER) {
            return Ok(());
        } else if cred.uid == self.uid || cred.uid == self.cuid {
            self.mode >> 6
        } else if cred.in_group(self.gid) || cred.in_group(self.cgid) {
            self.mode >> 3
        } else {
            self.mode
        };
        if wanted & !granted == 0 {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// Whether the caller may change or remove the object.
    pub fn check_owner(&self, cred: &Credentials) -> Result<()> {
        if cred.can(Capability::SYS_ADMIN) || cred.uid == self.uid || cred.uid == self.cuid {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// `IPC_SET`
    pub(super) fn change(&mut self, uid: u32, gid: u32, mode: u32) {
        (self.uid, self.gid) = (uid, gid);
        self.mode = self.mode & !0o777 | mode & 0o777;
    }
}
