//! Inodes of the image and where their data lies.
use super::{BLOCK, Erofs, ErofsError, Fields};
use crate::types::Timestamp;

const FLAT_PLAIN: u16 = 0;
const FLAT_INLINE: u16 = 2;
const S_IFMT: u32 = 0o170_000;

/// An inode as the image has it.
#[derive(Clone, Copy, Debug)]
pub struct DiskInode {
    pub nid: u64,
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub mtime: Timestamp,
    pub rdev: u32,
    pub extents: Extents,
}

/// The data of an inode: whole blocks, then a tail that lies behind the inode itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extents {
    /// Starts on a page; as long as the data or, for the last block of a plain file, padded to a block.
    pub body: &'static [u8],
    pub tail: &'static [u8],
    /// The offset of `tail` in the file.
    pub tail_start: u64,
}

impl Extents {
    /// The contiguous bytes from `offset` on, at most to `end` (which is at most the size). Empty only at the end.
    #[must_use]
    pub fn bytes(&self, offset: u64, end: u64) -> &'static [u8] {
        let (part, base) = if offset < self.tail_start {
            (self.body, 0)
        } else {
            (self.tail, self.tail_start)
        };
        let from = usize::try_from(offset - base).unwrap_or(usize::MAX);
        let to = usize::try_from(end.saturating_sub(base))
            .unwrap_or(usize::MAX)
            .min(part.len());
        part.get(from..to).unwrap_or(&[])
    }

    /// Page `index`, if the image has it as a page of its own.
    #[must_use]
    pub fn page(&self, index: u64) -> Option<&'static [u8]> {
        let from = usize::try_from(index).ok()?.checked_mul(BLOCK)?;
        let page = self.body.get(from..from.checked_add(BLOCK)?)?;
        page.as_ptr().addr().is_multiple_of(BLOCK).then_some(page)
    }
}

/// The fields that both inode versions have, at their different places.
struct Header {
    len: usize,
    mode: u32,
    nlink: u32,
    uid: u32,
    gid: u32,
    size: u64,
    start: u32,
    mtime: Timestamp,
}

impl Erofs {
    /// Reads inode `nid` and checks that its data is inside of the image.
    pub fn inode(&self, nid: u64) -> Result<DiskInode, ErofsError> {
        let bad = ErofsError::Inode(nid);
        let at = nid
            .checked_mul(32)
            .and_then(|at| at.checked_add(self.meta))
            .and_then(|at| usize::try_from(at).ok())
            .ok_or(bad)?;
        let raw = self.image.get(at..).ok_or(bad)?;
        let format = raw.u16_at(0).ok_or(bad)?;
        let header = self.header(raw, format & 1 != 0).ok_or(bad)?;
        let xattr = match raw.u16_at(2).ok_or(bad)? {
            0 => 0,
            count => 12 + (usize::from(count) - 1) * 4,
        };
        let layout = (format >> 1) & 7;
        let has_data = matches!(header.mode & S_IFMT, 0o100_000 | 0o040_000 | 0o120_000);
        let extents = if has_data {
            self.extents(nid, layout, &header, at + header.len + xattr)?
        } else {
            Extents::default()
        };
        let rdev = if matches!(header.mode & S_IFMT, 0o020_000 | 0o060_000) {
            header.start
        } else {
            0
        };
        let Header {
            mode,
            nlink,
            uid,
            gid,
            mtime,
            ..
        } = header;
        let size = if has_data { header.size } else { 0 };
        Ok(DiskInode {
            nid,
            mode,
            nlink,
            uid,
            gid,
            size,
            mtime,
            rdev,
            extents,
        })
    }

    fn header(&self, raw: &[u8], extended: bool) -> Option<Header> {
        let mode = u32::from(raw.u16_at(4)?);
        let start = raw.u32_at(16)?;
        if !extended {
            return Some(Header {
                len: 32,
                mode,
                nlink: u32::from(raw.u16_at(6)?),
                uid: u32::from(raw.u16_at(24)?),
                gid: u32::from(raw.u16_at(26)?),
                size: u64::from(raw.u32_at(8)?),
                start,
                mtime: self.built,
            });
        }
        let sec = i64::from_le_bytes(raw.u64_at(32)?.to_le_bytes());
        let nsec = raw.u32_at(40)?.min(999_999_999);
        let nlink = raw.u32_at(44)?;
        raw.get(..64)?;
        let (uid, gid, size) = (raw.u32_at(24)?, raw.u32_at(28)?, raw.u64_at(8)?);
        Some(Header {
            len: 64,
            mode,
            nlink,
            uid,
            gid,
            size,
            start,
            mtime: Timestamp { sec, nsec },
        })
    }

    fn extents(
        &self,
        nid: u64,
        layout: u16,
        header: &Header,
        inline_at: usize,
    ) -> Result<Extents, ErofsError> {
        let bad = ErofsError::Inode(nid);
        let size = usize::try_from(header.size).map_err(|_| bad)?;
        let body_len = match layout {
            FLAT_PLAIN => size,
            // The last block, even a full one, is inline.
            FLAT_INLINE => size.saturating_sub(1) / BLOCK * BLOCK,
            other => return Err(ErofsError::Layout(nid, other)),
        };
        let body = self.blocks(header.start, body_len).ok_or(bad)?;
        let tail = if body_len < size {
            let end = inline_at.checked_add(size - body_len).ok_or(bad)?;
            self.image.get(inline_at..end).ok_or(bad)?
        } else {
            &[]
        };
        Ok(Extents {
            body,
            tail,
            tail_start: body_len as u64,
        })
    }

    /// `len` bytes from block `start` on, with the padding of the last block if the image holds it.
    fn blocks(&self, start: u32, len: usize) -> Option<&'static [u8]> {
        if len == 0 {
            return Some(&[]);
        }
        let from = (start as usize).checked_mul(BLOCK)?;
        let end = from.checked_add(len)?;
        let padded = end.checked_next_multiple_of(BLOCK)?;
        self.image
            .get(from..padded)
            .or_else(|| self.image.get(from..end))
    }
}
