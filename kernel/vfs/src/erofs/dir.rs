//! Directories of the image: blocks that start with an array of entries, whose names follow.
use super::{BLOCK, DiskInode, Erofs, ErofsError, Fields};
use crate::types::FileType;

const ENTRY: usize = 12;

/// One entry of a directory.
#[derive(Clone, Copy, Debug)]
pub struct RawEntry {
    pub nid: u64,
    pub kind: FileType,
    pub name: &'static [u8],
}

/// Goes through a directory, "." and ".." left out. After an error it ends.
pub struct DirIter {
    inode: DiskInode,
    /// The offset of the next block in the directory's data.
    offset: u64,
    block: &'static [u8],
    index: usize,
    count: usize,
}

impl Erofs {
    /// The entries of a directory.
    #[must_use]
    pub fn entries(&self, inode: &DiskInode) -> DirIter {
        DirIter {
            inode: *inode,
            offset: 0,
            block: &[],
            index: 0,
            count: 0,
        }
    }
}

fn kind(file_type: u8) -> Option<FileType> {
    Some(match file_type {
        1 => FileType::Regular,
        2 => FileType::Directory,
        3 => FileType::CharDevice,
        4 => FileType::BlockDevice,
        5 => FileType::Fifo,
        6 => FileType::Socket,
        7 => FileType::Symlink,
        _ => return None,
    })
}

impl DirIter {
    fn next_block(&mut self) -> Option<()> {
        let end = self.inode.size.min(self.offset.checked_add(BLOCK as u64)?);
        self.block = self.inode.extents.bytes(self.offset, end);
        self.offset = end;
        let names = usize::from(self.block.u16_at(8)?);
        self.count = names / ENTRY;
        self.index = 0;
        (self.count > 0 && names.is_multiple_of(ENTRY) && names < self.block.len()).then_some(())
    }

    fn entry(&mut self) -> Option<RawEntry> {
        let at = self.index * ENTRY;
        self.index += 1;
        let start = usize::from(self.block.u16_at(at + 8)?);
        let end = if self.index < self.count {
            usize::from(self.block.u16_at(at + ENTRY + 8)?)
        } else {
            self.block.len()
        };
        if start < self.count * ENTRY {
            return None;
        }
        let mut name = self.block.get(start..end)?;
        if self.index == self.count {
            // Only the last name of a block is padded.
            let len = name.iter().position(|&b| b == 0).unwrap_or(name.len());
            name = name.get(..len)?;
        }
        let fine =
            !name.is_empty() && name.len() <= 255 && !name.iter().any(|&b| b == 0 || b == b'/');
        let entry = RawEntry {
            nid: self.block.u64_at(at)?,
            kind: kind(self.block.u8_at(at + 10)?)?,
            name,
        };
        fine.then_some(entry)
    }
}

impl Iterator for DirIter {
    type Item = Result<RawEntry, ErofsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = if self.index < self.count {
                self.entry()
            } else if self.offset >= self.inode.size {
                return None;
            } else if self.next_block().is_some() {
                continue;
            } else {
                None
            };
            match found {
                Some(entry) if matches!(entry.name, b"." | b"..") => {}
                Some(entry) => return Some(Ok(entry)),
                None => {
                    (self.index, self.count, self.offset) = (0, 0, self.inode.size);
                    return Some(Err(ErofsError::Directory(self.inode.nid)));
                }
            }
        }
    }
}
