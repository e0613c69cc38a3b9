//! One `PT_LOAD` segment and the mappings it becomes.

use super::SegmentFault;
use crate::page::{KERNEL_SLOT, USER_END, USER_START, overlaps, page_down, page_offset, page_up};
use core::ops::Range;
use elf::abi::{PF_R, PF_W, PF_X};
use elf::segment::ProgramHeader;

/// Page protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prot {
    pub read: bool,
    pub write: bool,
    pub exec: bool,
}

impl Prot {
    fn from_flags(flags: u32) -> Self {
        Prot {
            read: flags & PF_R != 0,
            write: flags & PF_W != 0,
            exec: flags & PF_X != 0,
        }
    }

    /// The same as `PROT_READ | PROT_WRITE | PROT_EXEC` bits.
    pub const fn bits(self) -> u32 {
        self.read as u32 | (self.write as u32) << 1 | (self.exec as u32) << 2
    }
}

/// A loadable segment. Addresses are as in the file: add the load bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub vaddr: u64,
    pub memsz: u64,
    pub offset: u64,
    pub filesz: u64,
    pub prot: Prot,
}

/// Whole pages that come from the file (private mapping).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePart {
    pub vaddr: u64,
    pub len: u64,
    pub offset: u64,
    pub prot: Prot,
}

/// Bytes at the end of the last file page that the program must see as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroTail {
    pub vaddr: u64,
    pub len: u64,
}

/// Whole pages of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnonPart {
    pub vaddr: u64,
    pub len: u64,
    pub prot: Prot,
}

impl Segment {
    /// Checks a `PT_LOAD` header by itself. `fixed`: the addresses are final, not relative to a base.
    pub(super) fn from_header(
        header: &ProgramHeader,
        file_len: u64,
        fixed: bool,
    ) -> Result<Self, SegmentFault> {
        let &ProgramHeader {
            p_vaddr: vaddr,
            p_memsz: memsz,
            p_offset: offset,
            p_filesz: filesz,
            ..
        } = header;
        if filesz > memsz {
            return Err(SegmentFault::FileLargerThanMemory { filesz, memsz });
        }
        let file_end = offset
            .checked_add(filesz)
            .ok_or(SegmentFault::OffsetOverflow { offset, filesz })?;
        if filesz > 0 && file_end > file_len {
            return Err(SegmentFault::BeyondEof {
                end: file_end,
                len: file_len,
            });
        }
        if filesz > 0 && page_offset(vaddr) != page_offset(offset) {
            return Err(SegmentFault::NotCongruent { vaddr, offset });
        }
        let end = vaddr
            .checked_add(memsz)
            .ok_or(SegmentFault::AddressOverflow { vaddr, memsz })?;
        check_range(vaddr, end, fixed)?;
        Ok(Segment {
            vaddr,
            memsz,
            offset,
            filesz,
            prot: Prot::from_flags(header.p_flags),
        })
    }

    /// One past the last byte in memory; checked not to overflow when the segment was made.
    pub fn end(&self) -> u64 {
        self.vaddr.saturating_add(self.memsz)
    }

    /// The pages that the segment covers.
    pub fn pages(&self) -> Range<u64> {
        page_down(self.vaddr)..page_up(self.end()).unwrap_or(USER_END)
    }

    fn file_end(&self) -> u64 {
        self.vaddr.saturating_add(self.filesz)
    }

    fn file_pages_end(&self) -> u64 {
        if self.filesz == 0 {
            page_down(self.vaddr)
        } else {
            page_up(self.file_end()).unwrap_or(USER_END)
        }
    }

    /// The pages mapped from the file. Bytes of the file around the segment become visible in them, as under Linux.
    pub fn file_part(&self) -> Option<FilePart> {
        let vaddr = page_down(self.vaddr);
        let offset = page_down(self.offset);
        let len = self.file_pages_end().saturating_sub(vaddr);
        (self.filesz > 0).then_some(FilePart {
            vaddr,
            len,
            offset,
            prot: self.prot,
        })
    }

    /// What to clear in the last file page. Linux does so for writable segments only, and then up to the page's end.
    pub fn zero_tail(&self) -> Option<ZeroTail> {
        let vaddr = self.file_end();
        let wanted = self.filesz > 0
            && self.memsz > self.filesz
            && self.prot.write
            && page_offset(vaddr) != 0;
        wanted.then(|| ZeroTail {
            vaddr,
            len: self.file_pages_end().saturating_sub(vaddr),
        })
    }

    /// The zero pages behind the file pages. They are writable whatever the segment says, as under Linux (`vm_brk_flags`).
    pub fn anon_part(&self) -> Option<AnonPart> {
        let vaddr = self.file_pages_end();
        let len = self.pages().end.saturating_sub(vaddr);
        let prot = Prot {
            read: true,
            write: true,
            exec: self.prot.exec,
        };
        (self.memsz > self.filesz && len > 0).then_some(AnonPart { vaddr, len, prot })
    }
}

fn check_range(vaddr: u64, end: u64, fixed: bool) -> Result<(), SegmentFault> {
    if end > USER_END {
        return Err(SegmentFault::AboveUser { end });
    }
    if fixed && vaddr < USER_START {
        return Err(SegmentFault::BelowUser { vaddr });
    }
    if fixed && overlaps(&(page_down(vaddr)..end), &KERNEL_SLOT) {
        return Err(SegmentFault::InKernelSlot { vaddr, end });
    }
    Ok(())
}
