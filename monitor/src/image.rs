//! Reads and checks an image: an ELF64 file, or the tail of a stand-alone file, that boots by PVH.
//!
//! Only the headers are read here. Everything a header says is checked against the file and against the
//! address space before anybody acts on it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use object::elf::{self, FileHeader64, NoteType, ProgramFlags, ProgramHeader64};
use object::endian::LittleEndian as Le;
use object::pod::{from_bytes, slice_from_bytes};
use object::read::elf::NoteIterator;
use thiserror::Error;

use crate::layout::{BOOT_END, LOW_RAM_MAX, PAGE};

/// More program headers than any image has; bounds what is read and the overlap check.
const MAX_SEGMENTS: u16 = 64;
const MAX_NOTES: u64 = 64 << 10;
const PVH_NOTE_NAME: &[u8] = b"Xen";
/// `XEN_ELFNOTE_PHYS32_ENTRY`.
const PVH_NOTE_TYPE: NoteType = NoteType(18);
const ABI_NOTE_TYPE: NoteType = NoteType(1);

#[derive(Debug, Error)]
pub enum ImageError {
    #[error("cannot read: {0}")]
    Read(#[from] io::Error),
    #[error("not a compat image: {0}")]
    NotElf(&'static str),
    #[error("damaged image: {0}")]
    Damaged(&'static str),
    #[error("damaged image: segment {index}: {what}")]
    Segment { index: usize, what: &'static str },
    #[error("damaged image: segments {0} and {1} overlap in memory")]
    Overlap(usize, usize),
    #[error("not a compat image: it has no {0} note")]
    NoNote(&'static str),
    #[error(
        "the image was made for another version of compat (its version is {found}, this monitor runs {expected}): wrap it again"
    )]
    AbiVersion { found: u32, expected: u32 },
    #[error("damaged image: the entry point {0:#x} is not in executable memory")]
    Entry(u64),
}

/// A file and the part of it that is the image.
#[derive(Debug)]
pub struct ImageFile {
    pub file: File,
    pub offset: u64,
    pub len: u64,
}

/// One `PT_LOAD`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Place in the file (not in the image).
    pub file_offset: u64,
    pub file_size: u64,
    pub paddr: u64,
    pub mem_size: u64,
    pub executable: bool,
    pub writable: bool,
}

impl Segment {
    pub fn end(&self) -> u64 {
        self.paddr.saturating_add(self.mem_size)
    }

    /// Can the pages of the file be the pages of memory? So it is for data that the guest does not change.
    pub fn mappable(&self) -> bool {
        let aligned = self.file_offset.is_multiple_of(PAGE) && self.paddr.is_multiple_of(PAGE);
        aligned && !self.writable && !self.executable && self.file_size == self.mem_size
    }
}

#[derive(Debug)]
pub struct Image {
    pub segments: Vec<Segment>,
    pub entry: u32,
}

impl Image {
    pub fn parse(from: &ImageFile) -> Result<Self, ImageError> {
        let mut raw = [0u8; size_of::<FileHeader64<Le>>()];
        if from.len < raw.len() as u64 {
            return Err(ImageError::NotElf("the file is too short"));
        }
        from.file.read_exact_at(&mut raw, from.offset)?;
        let (header, _) = from_bytes::<FileHeader64<Le>>(&raw)
            .map_err(|()| ImageError::NotElf("no ELF header"))?;
        check_header(header)?;
        let raw = read_program_headers(from, header)?;
        let (headers, _) =
            slice_from_bytes::<ProgramHeader64<Le>>(&raw, header.e_phnum.get(Le).into())
                .map_err(|()| ImageError::Damaged("program headers cut off"))?;

        let mut segments = Vec::new();
        let mut notes = Notes::default();
        for (index, header) in headers.iter().enumerate() {
            match header.p_type.get(Le) {
                elf::PT_LOAD => segments.extend(check_segment(from, index, header)?),
                elf::PT_NOTE => notes.read(from, index, header)?,
                _ => {}
            }
        }
        check_overlap(&segments)?;
        let entry = notes.check(&segments)?;
        Ok(Self { segments, entry })
    }
}

fn check_header(header: &FileHeader64<Le>) -> Result<(), ImageError> {
    let ident = &header.e_ident;
    if ident.magic != elf::ELFMAG {
        return Err(ImageError::NotElf("it is not an ELF file"));
    }
    if ident.class != elf::ELFCLASS64
        || ident.data != elf::ELFDATA2LSB
        || header.e_machine.get(Le) != elf::EM_X86_64
    {
        return Err(ImageError::NotElf("it is not for x86-64"));
    }
    if header.e_version.get(Le) != u32::from(elf::EV_CURRENT.0) {
        return Err(ImageError::Damaged("unknown ELF version"));
    }
    if usize::from(header.e_phentsize.get(Le)) != size_of::<ProgramHeader64<Le>>() {
        return Err(ImageError::Damaged("program headers of a wrong size"));
    }
    match header.e_phnum.get(Le) {
        0 => Err(ImageError::Damaged("no program headers")),
        n if n > MAX_SEGMENTS => Err(ImageError::Damaged("too many program headers")),
        _ => Ok(()),
    }
}

fn read_program_headers(
    from: &ImageFile,
    header: &FileHeader64<Le>,
) -> Result<Vec<u8>, ImageError> {
    let len = u64::from(header.e_phnum.get(Le)) * size_of::<ProgramHeader64<Le>>() as u64;
    read_part(from, header.e_phoff.get(Le), len)
        .ok_or(ImageError::Damaged("program headers outside the file"))?
        .map_err(ImageError::Read)
}

/// `None`: not inside the image.
fn read_part(from: &ImageFile, offset: u64, len: u64) -> Option<io::Result<Vec<u8>>> {
    if offset.checked_add(len)? > from.len {
        return None;
    }
    let at = from.offset.checked_add(offset)?;
    let mut raw = vec![0u8; usize::try_from(len).ok()?];
    Some(from.file.read_exact_at(&mut raw, at).map(|()| raw))
}

fn check_segment(
    from: &ImageFile,
    index: usize,
    header: &ProgramHeader64<Le>,
) -> Result<Option<Segment>, ImageError> {
    let bad = |what| Err(ImageError::Segment { index, what });
    let (offset, file_size) = (header.p_offset.get(Le), header.p_filesz.get(Le));
    let (paddr, mem_size) = (header.p_paddr.get(Le), header.p_memsz.get(Le));
    if file_size > mem_size {
        return bad("larger in the file than in memory");
    }
    if mem_size == 0 {
        return Ok(None);
    }
    if offset
        .checked_add(file_size)
        .is_none_or(|end| end > from.len)
    {
        return bad("outside the file (is it truncated?)");
    }
    if paddr < BOOT_END {
        return bad("in the first megabyte of memory");
    }
    if paddr
        .checked_add(mem_size)
        .is_none_or(|end| end > LOW_RAM_MAX)
    {
        return bad("outside the first 3 GiB of memory");
    }
    let Some(file_offset) = from.offset.checked_add(offset) else {
        return bad("outside the file");
    };
    let flags = header.p_flags.get(Le);
    Ok(Some(Segment {
        file_offset,
        file_size,
        paddr,
        mem_size,
        executable: flags & elf::PF_X != ProgramFlags(0),
        writable: flags & elf::PF_W != ProgramFlags(0),
    }))
}

/// Whole pages must not be shared, for a mapped segment covers whole pages.
fn check_overlap(segments: &[Segment]) -> Result<(), ImageError> {
    let mut order: Vec<(usize, &Segment)> = segments.iter().enumerate().collect();
    order.sort_by_key(|(_, s)| s.paddr);
    for ((i, a), (j, b)) in order.iter().zip(order.iter().skip(1)) {
        let end = if a.mappable() {
            a.end().next_multiple_of(PAGE)
        } else {
            a.end()
        };
        if end > b.paddr {
            return Err(ImageError::Overlap(*i, *j));
        }
    }
    Ok(())
}

/// The two notes that an image must carry.
#[derive(Default)]
struct Notes {
    entry: Option<u64>,
    abi: Option<u32>,
}

impl Notes {
    fn read(
        &mut self,
        from: &ImageFile,
        index: usize,
        header: &ProgramHeader64<Le>,
    ) -> Result<(), ImageError> {
        let bad = |what| ImageError::Segment { index, what };
        let size = header.p_filesz.get(Le);
        if size > MAX_NOTES {
            return Err(bad("notes too long"));
        }
        let raw = read_part(from, header.p_offset.get(Le), size)
            .ok_or_else(|| bad("notes outside the file"))??;
        let mut notes: NoteIterator<'_, FileHeader64<Le>> =
            NoteIterator::new(Le, header.p_align.get(Le), &raw)
                .map_err(|_| bad("malformed notes"))?;
        while let Some(note) = notes.next().map_err(|_| bad("malformed notes"))? {
            if note.name() == PVH_NOTE_NAME && note.n_type(Le) == PVH_NOTE_TYPE {
                self.entry = Some(pvh_entry(note.desc()).ok_or_else(|| bad("malformed PVH note"))?);
            }
            if note.name() == boot_abi::NOTE_NAME.as_bytes() && note.n_type(Le) == ABI_NOTE_TYPE {
                let version = note
                    .desc()
                    .first_chunk()
                    .ok_or_else(|| bad("malformed compat note"))?;
                self.abi = Some(u32::from_le_bytes(*version));
            }
        }
        Ok(())
    }

    fn check(&self, segments: &[Segment]) -> Result<u32, ImageError> {
        let found = self.abi.ok_or(ImageError::NoNote("compat"))?;
        let expected = boot_abi::ABI_VERSION;
        if found != expected {
            return Err(ImageError::AbiVersion { found, expected });
        }
        let entry = self.entry.ok_or(ImageError::NoNote("PVH"))?;
        let within =
            |s: &Segment| s.executable && entry >= s.paddr && entry - s.paddr < s.file_size;
        let narrow = u32::try_from(entry).map_err(|_| ImageError::Entry(entry))?;
        if segments.iter().any(within) {
            Ok(narrow)
        } else {
            Err(ImageError::Entry(entry))
        }
    }
}

/// The descriptor is a 32-bit or a 64-bit address.
fn pvh_entry(desc: &[u8]) -> Option<u64> {
    match desc.len() {
        4 => Some(u32::from_le_bytes(desc.try_into().ok()?).into()),
        8 => Some(u64::from_le_bytes(desc.try_into().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
