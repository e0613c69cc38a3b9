use super::capabilities::Capabilities;
use alloc::vec::Vec;
use linux_abi::Capability;
use vfs::Credentials;

/// User and group ids, see credentials(7), and what they may do, see capabilities(7). Linux has them for each thread; here all
/// threads of a process share them, as the C libraries have it for the ids.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub capabilities: Capabilities,
}

impl Identity {
    /// All ids alike, no supplementary groups. Root has all capabilities, others have none.
    #[must_use]
    pub const fn new(uid: u32, gid: u32) -> Self {
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
            capabilities: Capabilities::new(uid == 0),
        }
    }

    /// Whether it has the capability in effect.
    #[must_use]
    pub const fn can(&self, capability: Capability) -> bool {
        self.capabilities.effective.has(capability)
    }

    /// By whom files are accessed.
    #[must_use]
    pub fn file_credentials(&self) -> Credentials {
        Credentials {
            uid: self.fsuid,
            gid: self.fsgid,
            groups: self.groups.clone(),
            capabilities: self.capabilities.effective,
        }
    }

    /// By whom access(2) asks: the real ids, and what their user could do.
    #[must_use]
    pub fn real_credentials(&self) -> Credentials {
        Credentials {
            uid: self.ruid,
            gid: self.rgid,
            groups: self.groups.clone(),
            capabilities: self.capabilities.of_real_user(self.ruid),
        }
    }
}
