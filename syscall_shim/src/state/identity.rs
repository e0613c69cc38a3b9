use alloc::vec::Vec;
use vfs::Credentials;

/// User and group ids, see credentials(7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub ruid: u32,
    pub euid: u32,
    pub suid: u32,
    pub fsuid: u32,
    pub rgid: u32,
    pub egid: u32,
    pub sgid: u32,
    pub fsgid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Identity {
    /// All ids alike, no supplementary groups.
    #[must_use]
    pub fn new(uid: u32, gid: u32) -> Self {
        Self {
            ruid: uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            rgid: gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups: Vec::new(),
        }
    }

    /// Whether it has root's rights (here all capabilities, or none).
    #[must_use]
    pub const fn is_privileged(&self) -> bool {
        self.euid == 0
    }

    /// By whom files are accessed.
    #[must_use]
    pub fn file_credentials(&self) -> Credentials {
        Credentials {
            uid: self.fsuid,
            gid: self.fsgid,
            groups: self.groups.clone(),
        }
    }

    /// By whom access(2) asks: the real ids.
    #[must_use]
    pub fn real_credentials(&self) -> Credentials {
        Credentials {
            uid: self.ruid,
            gid: self.rgid,
            groups: self.groups.clone(),
        }
    }
}
