//! The mapping plan of a whole file.

use super::header::{PHENT_SIZE, read_header, read_program_headers};
use super::interp::read_interp;
use super::note::has_abi_tag;
use super::{ElfError, LoadError, ReadAt, Segment, SegmentFault};
use crate::page::{PAGE_SIZE, USER_END};
use alloc::vec::Vec;
use core::ops::Range;
use elf::abi::{ET_EXEC, PF_X, PT_GNU_STACK, PT_LOAD};
use elf::segment::ProgramHeader;

/// Who chooses the address of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The file does: load bias 0.
    Fixed,
    /// An executable with an interpreter: near Linux's `ELF_ET_DYN_BASE`.
    Pie,
    /// No interpreter (static PIE, or an interpreter itself): among the mappings of `mmap`.
    MmapArea,
}

/// A validated executable or interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// How the load address is chosen.
    pub placement: Placement,
    /// Non-empty `PT_LOAD` segments in ascending order, free of overlap. Two may share a page: map them in order, each
    /// replacing what is there.
    pub segments: Vec<Segment>,
    /// The pages that all segments together cover.
    pub span: Range<u64>,
    /// The largest alignment that a segment asks for; at least a page, a power of two.
    pub align: u64,
    /// Entry point, to which the bias is to be added.
    pub entry: u64,
    /// Path of the interpreter without NUL.
    pub interp: Option<Vec<u8>>,
    /// A note says that it was linked with the GNU C library.
    pub has_abi_tag: bool,
    /// `PT_GNU_STACK` asks for an executable stack.
    pub exec_stack: bool,
    /// Address of the program headers for `AT_PHDR`; 0 when no segment holds them, as under Linux.
    pub phdr_vaddr: u64,
    /// For `AT_PHNUM`.
    pub phnum: u16,
}

impl Program {
    /// The size of one program header, for `AT_PHENT`.
    pub const PHENT: u64 = PHENT_SIZE as u64;

    /// Reads and validates the headers of `file`.
    pub fn parse<R: ReadAt + ?Sized>(file: &R) -> Result<Self, LoadError<R::Error>> {
        let header = read_header(file)?;
        let headers = read_program_headers(file, &header)?;
        let interp = read_interp(file, &headers)?;
        let fixed = header.e_type == ET_EXEC;
        let mut segments = Vec::new();
        segments
            .try_reserve_exact(loads(&headers).count())
            .map_err(|_| LoadError::NoMemory)?;
        load_segments(&headers, file.len(), fixed, &mut segments)?;
        check_entry(&segments, header.e_entry)?;
        let placement = match (fixed, &interp) {
            (true, _) => Placement::Fixed,
            (false, Some(_)) => Placement::Pie,
            (false, None) => Placement::MmapArea,
        };
        Ok(Program {
            placement,
            span: span(&segments).ok_or(ElfError::OnlyEmptyLoadSegments)?,
            align: alignment(&headers)?,
            entry: header.e_entry,
            interp,
            has_abi_tag: has_abi_tag(file, &headers)?,
            exec_stack: exec_stack(&headers),
            phdr_vaddr: phdr_vaddr(&headers, header.e_phoff),
            phnum: header.e_phnum,
            segments,
        })
    }

    /// What to add to every address of the plan when the pages go to `base`; 0 for [`Placement::Fixed`].
    pub fn bias(&self, base: u64) -> u64 {
        match self.placement {
            Placement::Fixed => 0,
            Placement::Pie | Placement::MmapArea => base.wrapping_sub(self.span.start),
        }
    }

    /// The number of bytes from the first to the last page.
    pub fn len(&self) -> u64 {
        self.span.end.saturating_sub(self.span.start)
    }

    /// Always false: a plan without pages is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the data end, before the bias: the heap starts behind it.
    pub fn data_end(&self) -> u64 {
        self.segments
            .iter()
            .map(Segment::end)
            .max()
            .unwrap_or_default()
    }
}

fn loads(headers: &[ProgramHeader]) -> impl Iterator<Item = (u16, &ProgramHeader)> {
    (0u16..)
        .zip(headers)
        .filter(|(_, header)| header.p_type == PT_LOAD)
}

/// Fills `segments`, which has room for all, with those that are not empty.
fn load_segments(
    headers: &[ProgramHeader],
    file_len: u64,
    fixed: bool,
    segments: &mut Vec<Segment>,
) -> Result<(), ElfError> {
    for (index, header) in loads(headers) {
        let at = |fault| ElfError::Segment { index, fault };
        let segment = Segment::from_header(header, file_len, fixed).map_err(at)?;
        if segment.memsz == 0 {
            continue;
        }
        if let Some(previous) = segments.last() {
            check_order(previous, &segment).map_err(at)?;
        }
        segments.push(segment);
    }
    match (loads(headers).next(), segments.is_empty()) {
        (None, _) => Err(ElfError::NoLoadSegment),
        (Some(_), true) => Err(ElfError::OnlyEmptyLoadSegments),
        (Some(_), false) => Ok(()),
    }
}

fn check_order(previous: &Segment, segment: &Segment) -> Result<(), SegmentFault> {
    let vaddr = segment.vaddr;
    if vaddr < previous.vaddr {
        return Err(SegmentFault::OutOfOrder {
            vaddr,
            previous: previous.vaddr,
        });
    }
    if vaddr < previous.end() {
        return Err(SegmentFault::Overlap {
            vaddr,
            previous_end: previous.end(),
        });
    }
    Ok(())
}

fn check_entry(segments: &[Segment], entry: u64) -> Result<(), ElfError> {
    let inside =
        |segment: &Segment| segment.prot.exec && (segment.vaddr..segment.end()).contains(&entry);
    if segments.iter().any(inside) {
        Ok(())
    } else {
        Err(ElfError::EntryNotExecutable { entry })
    }
}

fn span(segments: &[Segment]) -> Option<Range<u64>> {
    let (first, last) = (segments.first()?, segments.last()?);
    Some(first.pages().start..last.pages().end)
}

/// The largest `p_align` that is a power of two; Linux ignores the others.
fn alignment(headers: &[ProgramHeader]) -> Result<u64, ElfError> {
    let mut align = PAGE_SIZE;
    for (index, header) in loads(headers).filter(|(_, header)| header.p_align.is_power_of_two()) {
        if header.p_align > USER_END / 2 {
            let fault = SegmentFault::AlignmentTooLarge {
                align: header.p_align,
            };
            return Err(ElfError::Segment { index, fault });
        }
        align = align.max(header.p_align);
    }
    Ok(align)
}

/// Without `PT_GNU_STACK` the stack of a 64-bit program is not executable (Linux 5.8 and later); the last one counts.
fn exec_stack(headers: &[ProgramHeader]) -> bool {
    let stack = headers
        .iter()
        .rev()
        .find(|header| header.p_type == PT_GNU_STACK);
    stack.is_some_and(|header| header.p_flags & PF_X != 0)
}

/// Where the segment that holds the file's program headers puts them.
fn phdr_vaddr(headers: &[ProgramHeader], phoff: u64) -> u64 {
    let holds = |header: &&ProgramHeader| {
        phoff
            .checked_sub(header.p_offset)
            .is_some_and(|at| at < header.p_filesz)
    };
    let holder = headers
        .iter()
        .rev()
        .filter(|header| header.p_type == PT_LOAD)
        .find(holds);
    holder.map_or(0, |header| {
        phoff
            .wrapping_sub(header.p_offset)
            .wrapping_add(header.p_vaddr)
    })
}
