//! The in-memory file system: tmpfs, and the writable root in one.
//!
//! A node may be *backed* by an inode of the root image. A backed directory takes its entries from the image when it is
//! first looked at, backed data is read from the image until it is written, page by page. So there are no whiteouts and
//! no second tree: removing something removes the entry in memory, and that is all there is to it.
mod data;
mod dir;
mod edit;
mod inode;
mod memfd;
mod node;
mod pages;
mod rename;

pub use memfd::MemfdStore;

use crate::Result;
use crate::devfs::Devices;
use crate::erofs::{Erofs, ErofsError};
use crate::host::Host;
use crate::inode::InodeRef;
use crate::types::{FileType, StatFs, Timestamp};
use crate::xattr::XattrStore;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use hashbrown::{HashMap, HashSet};
use linux_abi::Errno;
use node::Node;
use rustc_hash::FxBuildHasher;
use spin::Mutex;

/// `TMPFS_MAGIC`
const MAGIC: u64 = 0x0102_1994;

/// One such file system.
pub struct MemFs {
    dev: u64,
    host: Arc<dyn Host>,
    image: Option<Erofs>,
    /// What device nodes open; without it they open nothing, as with the mount option `nodev`.
    devices: Option<Devices>,
    /// How many pages of data may be held, and how many are.
    limit: u64,
    used: AtomicU64,
    next_ino: AtomicU64,
    inodes: AtomicU64,
    /// Nodes of image files with several links: whichever is used first makes it, the others find it here.
    linked: Mutex<HashMap<u64, Arc<Node>, FxBuildHasher>>,
    /// Directories of the image that are in use. A sound image leads to each by one entry.
    directories: Mutex<HashSet<u64, FxBuildHasher>>,
    xattrs: XattrStore,
    /// Held while directories move, so that none moves below itself.
    moving: Mutex<()>,
}

impl MemFs {
    fn build(
        dev: u64,
        host: Arc<dyn Host>,
        limit: u64,
        image: Option<Erofs>,
        devices: Option<Devices>,
    ) -> Arc<Self> {
        let first = image.map_or(1, |image| image.nid_limit() + 1);
        Arc::new(Self {
            dev,
            host,
            image,
            devices,
            limit,
            used: AtomicU64::new(0),
            next_ino: AtomicU64::new(first),
            inodes: AtomicU64::new(image.map_or(0, |image| image.inode_count())),
            linked: Mutex::new(HashMap::with_hasher(FxBuildHasher)),
            directories: Mutex::new(image.map(|image| image.root()).into_iter().collect()),
            xattrs: XattrStore::default(),
            moving: Mutex::new(()),
        })
    }

    /// An empty file system (tmpfs) that holds at most `limit_pages` of data; answers its root. `dev` is what
    /// `st_dev` shows, `mode` the permission bits of the root.
    #[must_use]
    pub fn tmpfs(dev: u64, host: Arc<dyn Host>, limit_pages: u64, mode: u32) -> InodeRef {
        let fs = Self::build(dev, host, limit_pages, None, None);
        Node::fresh(
            &fs,
            FileType::Directory,
            mode,
            0,
            0,
            node::Body::directory(),
        )
    }

    /// A writable view of an EROFS image; answers its root. Writes are kept in memory, at most `limit_pages` of them.
    pub fn over_image(
        dev: u64,
        host: Arc<dyn Host>,
        limit_pages: u64,
        image: &'static [u8],
    ) -> core::result::Result<InodeRef, ErofsError> {
        let image = Erofs::mount(image)?;
        let root = image.inode(image.root())?;
        let fs = Self::build(dev, host, limit_pages, Some(image), None);
        Ok(Node::backed(&fs, &root))
    }

    /// An empty file system whose device nodes work.
    pub(crate) fn with_devices(
        dev: u64,
        host: Arc<dyn Host>,
        limit_pages: u64,
        devices: Devices,
    ) -> InodeRef {
        let fs = Self::build(dev, host, limit_pages, None, Some(devices));
        Node::fresh(
            &fs,
            FileType::Directory,
            0o755,
            0,
            0,
            node::Body::directory(),
        )
    }

    fn now(&self) -> Timestamp {
        self.host.wall_time()
    }

    fn fresh_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Relaxed)
    }

    /// Takes `pages` from the budget; `ENOSPC` if that is more than is left.
    fn take_pages(&self, pages: u64) -> Result<()> {
        let add = |used: u64| used.checked_add(pages).filter(|&sum| sum <= self.limit);
        self.used
            .fetch_update(Relaxed, Relaxed, add)
            .map(drop)
            .map_err(|_| Errno::ENOSPC)
    }

    fn give_back(&self, pages: u64) {
        self.used.fetch_sub(pages, Relaxed);
    }

    fn statfs(&self) -> StatFs {
        let free = self.limit.saturating_sub(self.used.load(Relaxed));
        let files = self.limit.max(self.inodes.load(Relaxed));
        StatFs {
            magic: MAGIC,
            block_size: 4096,
            blocks: self.limit,
            blocks_free: free,
            files,
            files_free: files.saturating_sub(self.inodes.load(Relaxed)),
            fsid: self.dev,
            name_max: 255,
            flags: 0,
        }
    }
}
