//! memfd_create(2): files that are in no directory. Shared anonymous mappings are made of the same.
use super::MemFs;
use super::dir::Name;
use super::node::{Body, Holder, Node};
use crate::Result;
use crate::file::File;
use crate::host::Host;
use crate::inode::InodeRef;
use crate::mount::{Mount, MountSpec, Place};
use crate::types::FileType;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use linux_abi::Errno;
use linux_abi::raw::general::{F_SEAL_SEAL, O_RDWR};

const MFD_CLOEXEC: u32 = 1;
const MFD_ALLOW_SEALING: u32 = 2;
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;
const F_SEAL_EXEC: u32 = 0x20;
/// The longest name, without the `memfd:` before it.
const NAME_MAX: usize = 249;

/// Where files without a name live.
pub struct MemfdStore {
    fs: Arc<MemFs>,
    mount: Arc<Mount>,
}

impl MemfdStore {
    /// A store for at most `limit_pages` of data.
    #[must_use]
    pub fn new(dev: u64, host: Arc<dyn Host>, limit_pages: u64) -> Self {
        let fs = MemFs::build(dev, host, limit_pages, None, None);
        let root = Node::fresh(&fs, FileType::Directory, 0o700, 0, 0, Body::directory());
        let spec = MountSpec {
            root,
            fs_type: "tmpfs",
            source: String::new(),
            options: String::new(),
            read_only: false,
        };
        Self {
            fs,
            mount: Mount::root(spec),
        }
    }

    /// memfd_create(2). Huge pages (`MFD_HUGETLB`) are `EINVAL`.
    pub fn create(&self, name: &[u8], flags: u32, uid: u32, gid: u32) -> Result<Arc<File>> {
        let known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
        if flags & !known != 0
            || flags & (MFD_EXEC | MFD_NOEXEC_SEAL) == MFD_EXEC | MFD_NOEXEC_SEAL
            || name.len() > NAME_MAX
        {
            return Err(Errno::EINVAL);
        }
        let (mode, seals) = match flags & (MFD_NOEXEC_SEAL | MFD_ALLOW_SEALING) {
            0 => (0o777, F_SEAL_SEAL),
            MFD_ALLOW_SEALING => (0o777, 0),
            _ => (0o666, F_SEAL_EXEC),
        };
        let inode = self.node(&[b"memfd:", name].concat(), mode, uid, gid, seals)?;
        Ok(File::new(
            Place {
                mount: self.mount.clone(),
                inode,
            },
            None,
            O_RDWR,
        ))
    }

    /// The object behind a shared anonymous mapping: `len` bytes of zeros.
    pub fn shared_memory(&self, len: u64) -> Result<InodeRef> {
        let node = self.node(b"dev/zero", 0o777, 0, 0, F_SEAL_SEAL)?;
        node.truncate(len)?;
        Ok(node)
    }

    /// A file `name` for memory that has a number of its own, as System V's segments do.
    pub(crate) fn shared_file(&self, name: &[u8], flags: u32) -> Result<Arc<File>> {
        let place = Place {
            mount: self.mount.clone(),
            inode: self.node(name, 0o777, 0, 0, F_SEAL_SEAL)?,
        };
        Ok(File::new(place, None, flags))
    }

    fn node(&self, name: &[u8], mode: u32, uid: u32, gid: u32, seals: u32) -> Result<InodeRef> {
        let node = Node::fresh(&self.fs, FileType::Regular, mode, uid, gid, Body::file());
        node.data()?.set_seals(seals);
        node.attr.lock().nlink = 0;
        *node.holder.lock() = Some(Holder {
            parent: Weak::new(),
            name: Name::from(name),
            deleted: true,
        });
        Ok(node)
    }
}
