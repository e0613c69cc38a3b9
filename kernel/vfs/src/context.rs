//! What a process is, to the file tree: where it stands and who it is.
use crate::mount::Place;
use crate::types::{FileType, Metadata, access};
use crate::{Result, inode::Inode};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use linux_abi::{CapSet, Capability, Errno};
use spin::Mutex;

/// The identity by which files are accessed (the `fs` ids of credentials(7)).
#[derive(Clone, Debug)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// The effective ones.
    pub capabilities: CapSet,
}

impl Default for Credentials {
    /// Root, with all capabilities.
    fn default() -> Self {
        Self {
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            capabilities: CapSet::ALL,
        }
    }
}

impl Credentials {
    #[must_use]
    pub const fn can(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }

    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Whether `wanted` (see [`access`]) is granted on an object.
    pub fn check(&self, metadata: &Metadata, wanted: u32) -> Result<()> {
        let granted = if self.uid == metadata.uid {
            metadata.mode >> 6
        } else if self.in_group(metadata.gid) {
            metadata.mode >> 3
        } else {
            metadata.mode
        };
        if wanted & !(granted | self.overrides(metadata)) & 7 == 0 {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// What capabilities grant whatever the mode says.
    const fn overrides(&self, metadata: &Metadata) -> u32 {
        let directory = metadata.is_dir();
        let mut granted = 0;
        if self.can(Capability::DAC_READ_SEARCH) {
            granted |= access::READ | if directory { access::EXEC } else { 0 };
        }
        if self.can(Capability::DAC_OVERRIDE) {
            let runnable = directory || metadata.mode & 0o111 != 0;
            granted |= access::READ | access::WRITE | if runnable { access::EXEC } else { 0 };
        }
        granted
    }

    /// Whether a directory may be searched. The quick way for root, who always may.
    pub(crate) fn check_search(&self, dir: &dyn Inode) -> Result<()> {
        if self.can(Capability::DAC_OVERRIDE) && dir.kind() == FileType::Directory {
            return Ok(());
        }
        self.check(&dir.metadata(), access::EXEC)
    }

    /// Whether the caller owns the object or may act as if.
    pub fn check_owner(&self, metadata: &Metadata) -> Result<()> {
        if self.can(Capability::FOWNER) || self.uid == metadata.uid {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }
}

/// Root, working directory and umask: what `CLONE_FS` shares.
pub struct FsContext {
    places: Mutex<(Place, Place)>,
    umask: AtomicU32,
}

impl FsContext {
    #[must_use]
    pub fn new(root: Place) -> Self {
        Self {
            places: Mutex::new((root.clone(), root)),
            umask: AtomicU32::new(0o022),
        }
    }

    /// A copy for a process of its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            places: Mutex::new(self.places.lock().clone()),
            umask: AtomicU32::new(self.umask()),
        }
    }

    #[must_use]
    pub fn root(&self) -> Place {
        self.places.lock().0.clone()
    }

    #[must_use]
    pub fn cwd(&self) -> Place {
        self.places.lock().1.clone()
    }

    /// chdir(2), after the walk. `ENOTDIR` if it is none.
    pub fn set_cwd(&self, to: Place) -> Result<()> {
        let old = if to.inode.is_dir() {
            core::mem::replace(&mut self.places.lock().1, to)
        } else {
            return Err(Errno::ENOTDIR);
        };
        drop(old);
        Ok(())
    }

    /// chroot(2), after the walk.
    pub fn set_root(&self, to: Place) -> Result<()> {
        let old = if to.inode.is_dir() {
            core::mem::replace(&mut self.places.lock().0, to)
        } else {
            return Err(Errno::ENOTDIR);
        };
        drop(old);
        Ok(())
    }

    /// The path of the working directory; `ENOENT` if it has been removed.
    pub fn getcwd(&self) -> Result<Vec<u8>> {
        let (root, cwd) = self.places.lock().clone();
        let text = cwd.path(&root);
        if text.deleted {
            return Err(Errno::ENOENT);
        }
        if text.reachable {
            return Ok(text.bytes);
        }
        // As the system call has it; the C library turns it into ENOENT.
        Ok([b"(unreachable)".as_slice(), &text.bytes].concat())
    }

    #[must_use]
    pub fn umask(&self) -> u32 {
        self.umask.load(Relaxed)
    }

    /// umask(2): answers the old one.
    pub fn set_umask(&self, mask: u32) -> u32 {
        self.umask.swap(mask & 0o777, Relaxed)
    }
}
