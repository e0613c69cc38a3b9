//! The reader of the root image: EROFS, uncompressed, 4 KiB blocks. See the kernel's Documentation/filesystems/erofs.rst
//! for the format.
//!
//! The image is memory that stays, so files are slices of it. Everything the image says is checked before use: a
//! damaged image gives errors, never a panic and never bytes from outside of it.
mod dir;
mod inode;

pub use inode::{DiskInode, Extents};

use crate::types::Timestamp;
use core::fmt;
use linux_abi::Errno;

pub(crate) const BLOCK: usize = 4096;
const BLOCK_BITS: u8 = 12;
const SUPERBLOCK: usize = 1024;
const MAGIC: u32 = 0xe0f5_e1e2;
/// `EROFS_FEATURE_INCOMPAT_ZERO_PADDING` (about compression, which no file here uses) and `XATTR_PREFIXES`.
const KNOWN_INCOMPAT: u32 = 0x1 | 0x40;

/// Why an image cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErofsError {
    /// Shorter than a superblock, or than the blocks it claims.
    Truncated,
    /// No EROFS magic.
    Magic,
    /// Blocks are not 4096 bytes; the value is the logarithm.
    BlockSize(u8),
    /// It needs a feature that this reader does not have; the value holds the unknown bits.
    Feature(u32),
    /// An inode lies outside of the image or makes no sense.
    Inode(u64),
    /// An inode is laid out in a way that this reader does not have (compressed or chunked); number and layout.
    Layout(u64, u16),
    /// A directory's blocks make no sense.
    Directory(u64),
    /// The image does not start on a page.
    Unaligned,
}

impl fmt::Display for ErofsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("root image is truncated"),
            Self::Magic => f.write_str("root image is not EROFS"),
            Self::BlockSize(bits) => write!(f, "root image has blocks of 2^{bits} bytes, not 4096"),
            Self::Feature(bits) => {
                write!(f, "root image needs unsupported EROFS features {bits:#x}")
            }
            Self::Inode(nid) => write!(f, "root image: inode {nid} is damaged"),
            Self::Layout(nid, layout) => write!(
                f,
                "root image: inode {nid} has unsupported layout {layout} (compressed or chunked)"
            ),
            Self::Directory(nid) => write!(f, "root image: directory {nid} is damaged"),
            Self::Unaligned => f.write_str("root image does not start on a page"),
        }
    }
}

impl core::error::Error for ErofsError {}

impl From<ErofsError> for Errno {
    fn from(error: ErofsError) -> Self {
        match error {
            ErofsError::Layout(..) | ErofsError::Feature(_) => Errno::EOPNOTSUPP,
            _ => Errno::EIO,
        }
    }
}

/// A mounted image.
#[derive(Clone, Copy)]
pub struct Erofs {
    image: &'static [u8],
    meta: u64,
    root: u64,
    built: Timestamp,
    inodes: u64,
}

/// Little-endian fields of a byte slice, each read checked.
pub(crate) trait Fields {
    fn u8_at(&self, at: usize) -> Option<u8>;
    fn u16_at(&self, at: usize) -> Option<u16>;
    fn u32_at(&self, at: usize) -> Option<u32>;
    fn u64_at(&self, at: usize) -> Option<u64>;
}

impl Fields for [u8] {
    fn u8_at(&self, at: usize) -> Option<u8> {
        self.get(at).copied()
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        self.get(at..)?
            .first_chunk()
            .map(|b| u16::from_le_bytes(*b))
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        self.get(at..)?
            .first_chunk()
            .map(|b| u32::from_le_bytes(*b))
    }

    fn u64_at(&self, at: usize) -> Option<u64> {
        self.get(at..)?
            .first_chunk()
            .map(|b| u64::from_le_bytes(*b))
    }
}

impl Erofs {
    /// Checks the superblock and the root inode.
    pub fn mount(image: &'static [u8]) -> Result<Self, ErofsError> {
        if !image.as_ptr().addr().is_multiple_of(BLOCK) {
            return Err(ErofsError::Unaligned);
        }
        let block = image
            .get(SUPERBLOCK..SUPERBLOCK + 128)
            .ok_or(ErofsError::Truncated)?;
        let erofs = Self::parse(image, block)?;
        let root = erofs.inode(erofs.root)?;
        if root.mode & 0o170_000 == 0o040_000 {
            Ok(erofs)
        } else {
            Err(ErofsError::Inode(erofs.root))
        }
    }

    fn parse(image: &'static [u8], block: &[u8]) -> Result<Self, ErofsError> {
        let short = ErofsError::Truncated;
        if block.u32_at(0).ok_or(short)? != MAGIC {
            return Err(ErofsError::Magic);
        }
        let bits = block.u8_at(12).ok_or(short)?;
        if bits != BLOCK_BITS {
            return Err(ErofsError::BlockSize(bits));
        }
        let unknown = block.u32_at(80).ok_or(short)? & !KNOWN_INCOMPAT;
        if unknown != 0 || block.u8_at(90) != Some(0) {
            return Err(ErofsError::Feature(unknown));
        }
        let blocks = block.u32_at(36).ok_or(short)? as usize;
        if blocks
            .checked_mul(BLOCK)
            .is_none_or(|len| len > image.len())
        {
            return Err(short);
        }
        let sec = i64::try_from(block.u64_at(24).ok_or(short)?).unwrap_or(0);
        Ok(Self {
            image,
            meta: u64::from(block.u32_at(40).ok_or(short)?) * BLOCK as u64,
            root: u64::from(block.u16_at(14).ok_or(short)?),
            built: Timestamp {
                sec,
                nsec: block.u32_at(32).ok_or(short)?.min(999_999_999),
            },
            inodes: block.u64_at(16).ok_or(short)?,
        })
    }

    /// The inode number of the root directory.
    #[must_use]
    pub const fn root(&self) -> u64 {
        self.root
    }

    /// Every inode number of the image is below this.
    #[must_use]
    pub const fn nid_limit(&self) -> u64 {
        self.image.len() as u64 / 32 + 1
    }

    /// How many inodes the superblock counts.
    #[must_use]
    pub const fn inode_count(&self) -> u64 {
        self.inodes
    }
}
