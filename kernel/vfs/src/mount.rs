//! Mounts, and places: an inode together with the mount through which it was reached.
use crate::inode::InodeRef;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use spin::RwLock;

/// One mounted file system.
pub struct Mount {
    /// As in /proc/self/mountinfo.
    pub id: u32,
    pub root: InodeRef,
    /// The directory it covers; none for the root and for anonymous files.
    pub covers: Option<Place>,
    /// Type, source and options, as /proc/mounts shows them.
    pub fs_type: &'static str,
    pub source: String,
    pub options: String,
    pub read_only: bool,
    children: RwLock<Vec<Arc<Mount>>>,
    /// Bit `ino % 64` is set for each covered directory, so that a walk seldom has to look at `children`.
    covered: AtomicU64,
}

/// An object of the file tree.
#[derive(Clone)]
pub struct Place {
    pub mount: Arc<Mount>,
    pub inode: InodeRef,
}

/// What to mount and how it is to be shown.
pub struct MountSpec {
    pub root: InodeRef,
    pub fs_type: &'static str,
    pub source: String,
    pub options: String,
    pub read_only: bool,
}

impl Mount {
    /// The mount that everything hangs on.
    #[must_use]
    pub fn root(spec: MountSpec) -> Arc<Self> {
        Arc::new(Self::build(1, None, spec))
    }

    /// Mounts on the directory `on`.
    pub fn attach(on: &Place, id: u32, spec: MountSpec) -> Arc<Self> {
        let mount = Arc::new(Self::build(id, Some(on.clone()), spec));
        on.mount.children.write().push(mount.clone());
        on.mount
            .covered
            .fetch_or(1 << (on.inode.ino() % 64), Relaxed);
        mount
    }

    fn build(id: u32, covers: Option<Place>, spec: MountSpec) -> Self {
        let MountSpec {
            root,
            fs_type,
            source,
            options,
            read_only,
        } = spec;
        Self {
            id,
            root,
            covers,
            fs_type,
            source,
            options,
            read_only,
            children: RwLock::new(Vec::new()),
            covered: AtomicU64::new(0),
        }
    }

    /// What is mounted here, in the order of mounting.
    #[must_use]
    pub fn children(&self) -> Vec<Arc<Mount>> {
        self.children.read().clone()
    }

    /// The mount that covers directory `inode` of this one.
    pub(crate) fn covering(&self, inode: &InodeRef) -> Option<Arc<Mount>> {
        let ino = inode.ino();
        if self.covered.load(Relaxed) & (1 << (ino % 64)) == 0 {
            return None;
        }
        self.children
            .read()
            .iter()
            .rev()
            .find(|m| m.covers.as_ref().is_some_and(|at| at.inode.ino() == ino))
            .cloned()
    }
}

impl Place {
    /// Whether both are the same object of the same mount.
    #[must_use]
    pub fn same(&self, other: &Place) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && self.inode.ino() == other.inode.ino()
    }

    /// Whether this is where its mount starts.
    #[must_use]
    pub fn is_mount_root(&self) -> bool {
        self.inode.ino() == self.mount.root.ino()
    }

    /// The directory that holds this one (`..`), within `root`.
    #[must_use]
    pub fn parent(&self, root: &Place) -> Place {
        let mut here = self.clone();
        loop {
            if here.same(root) {
                return here;
            }
            if !here.is_mount_root() {
                break;
            }
            match &here.mount.covers {
                Some(below) => here = below.clone(),
                None => return here,
            }
        }
        match here.inode.position() {
            Some(position) => Place {
                mount: here.mount,
                inode: position.parent,
            },
            None => here,
        }
    }

    /// The path from `root`, as getcwd(2) and the links of /proc show it; what does not lie below `root` is told from
    /// the top of its own tree.
    #[must_use]
    pub fn path(&self, root: &Place) -> PathText {
        if let Some(text) = self.inode.describe() {
            return PathText {
                bytes: text,
                deleted: false,
                reachable: false,
            };
        }
        let mut names: Vec<alloc::boxed::Box<[u8]>> = Vec::new();
        let mut here = self.clone();
        let mut deleted = false;
        let mut reachable = true;
        while !here.same(root) {
            if here.is_mount_root() {
                match &here.mount.covers {
                    Some(below) => here = below.clone(),
                    None => {
                        reachable = false;
                        break;
                    }
                }
                continue;
            }
            match here.inode.position() {
                Some(position) => {
                    deleted |= position.deleted;
                    names.push(position.name);
                    here = Place {
                        mount: here.mount,
                        inode: position.parent,
                    };
                }
                None => {
                    (deleted, reachable) = (true, false);
                    break;
                }
            }
        }
        let mut bytes = Vec::new();
        for name in names.iter().rev() {
            bytes.push(b'/');
            bytes.extend_from_slice(name);
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        PathText {
            bytes,
            deleted,
            reachable,
        }
    }
}

impl PathText {
    /// As the links of /proc show it.
    #[must_use]
    pub fn into_link_text(mut self) -> Vec<u8> {
        if self.deleted {
            self.bytes.extend_from_slice(b" (deleted)");
        }
        self.bytes
    }
}

/// A path as text.
pub struct PathText {
    pub bytes: Vec<u8>,
    /// The object has been unlinked: getcwd(2) fails with `ENOENT`, /proc appends ` (deleted)`.
    pub deleted: bool,
    /// Whether it leads there from the root that was asked for.
    pub reachable: bool,
}
