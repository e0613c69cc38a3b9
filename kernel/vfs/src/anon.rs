//! Inodes for open files that no directory holds: pipes, event descriptors, streams that the kernel hands in.
use crate::Result;
use crate::inode::{Inode, InodeRef, Link};
use crate::mount::{Mount, MountSpec, Place};
use crate::ops::FileOps;
use crate::types::{FileType, Metadata, SetAttr, StatFs};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use linux_abi::Errno;
use linux_abi::raw::general::{ANON_INODE_FS_MAGIC, SOCKFS_MAGIC};
use spin::Once;

/// The device number that anonymous inodes report; file systems are given others.
const DEVICE: u64 = 14;

struct AnonInode {
    ino: u64,
    ops: Arc<dyn FileOps>,
}

/// What the mount of all anonymous inodes starts at; nobody ever gets there.
struct Root;

impl FileOps for Root {}

/// The one mount that they all are in.
fn mount() -> Arc<Mount> {
    static MOUNT: Once<Arc<Mount>> = Once::new();
    let make = || {
        let ops = Arc::new(Root);
        Mount::root(MountSpec {
            root: Arc::new(AnonInode { ino: 0, ops }),
            fs_type: "anon_inodefs",
            source: String::new(),
            options: String::new(),
            read_only: false,
        })
    };
    MOUNT.call_once(make).clone()
}

/// A place for operations that have none.
pub(crate) fn place_for(ops: &Arc<dyn FileOps>) -> Place {
    // Numbers need only differ from each other; nothing depends on the order in which they are given out.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let inode: InodeRef = Arc::new(AnonInode {
        ino: NEXT.fetch_add(1, Relaxed),
        ops: ops.clone(),
    });
    Place {
        mount: mount(),
        inode,
    }
}

impl Inode for AnonInode {
    fn kind(&self) -> FileType {
        self.ops.kind().unwrap_or(FileType::Regular)
    }

    fn ino(&self) -> u64 {
        self.ino
    }

    fn metadata(&self) -> Metadata {
        let mut metadata = self.ops.metadata().unwrap_or(Metadata {
            mode: match self.ops.kind() {
                Some(FileType::Socket) => FileType::Socket.mode_bits() | 0o777,
                Some(kind) => kind.mode_bits() | 0o600,
                // An anonymous inode really has no type bits.
                None => 0o600,
            },
            nlink: 1,
            blksize: 4096,
            ..Metadata::default()
        });
        (metadata.dev, metadata.ino) = (DEVICE, self.ino);
        metadata
    }

    fn setattr(&self, _change: &SetAttr) -> Result<()> {
        Ok(())
    }

    fn statfs(&self) -> StatFs {
        StatFs {
            magic: match self.ops.kind() {
                Some(FileType::Socket) => u64::from(SOCKFS_MAGIC),
                _ => u64::from(ANON_INODE_FS_MAGIC),
            },
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        }
    }

    fn follow(&self) -> Result<Link> {
        Err(Errno::EINVAL)
    }

    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        self.ops.clone().reopen(flags).map(Some)
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(
            self.ops
                .describe()
                .unwrap_or_else(|| format!("{}:[{}]", self.ops.class(), self.ino).into_bytes()),
        )
    }
}
