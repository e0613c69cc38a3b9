//! An ELF file as the dynamic linker maps it. Addresses count from the lowest one that the file asks for.

use std::fs::File;
use std::os::unix::fs::FileExt;

use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader};
use elf::section::{SectionHeader, SectionHeaderTable};
use elf::segment::{ProgramHeader, SegmentTable};
use elf::{abi, file::parse_ident};
use rustc_hash::FxHashMap;

/// Files whose segments hold more are refused: the analysis keeps them in memory.
const MAX_BYTES: u64 = 768 << 20;
const MAX_TABLE: u64 = 256 << 20;
const EHDR_SIZE: u64 = 64;
const PHDR_SIZE: u64 = 56;
const SHDR_SIZE: u64 = 64;
const PACKERS: [&[u8]; 1] = [b"UPX!"];

/// Why a file cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("not an x86-64 ELF program or library")]
    NotElf,
    #[error("{0}")]
    Bad(&'static str),
}

pub type Result<T> = std::result::Result<T, Refusal>;

/// A loaded segment, cut down to the bytes that the file has.
pub struct Segment {
    pub start: u64,
    pub bytes: Vec<u8>,
    pub offset: u64,
    pub exec: bool,
}

impl Segment {
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// The file's segments and the tables that say where everything else is.
pub struct Image {
    pub base: u64,
    /// First address after the mapped image, zero-filled parts included.
    pub end: u64,
    pub entry: u64,
    pub fixed: bool,
    pub segments: Vec<Segment>,
    /// Ranges of instructions, sorted.
    pub code: Vec<(u64, u64)>,
    pub dynamic: FxHashMap<i64, u64>,
    pub needed: Vec<u64>,
    pub sections: Vec<SectionHeader>,
    pub eh_frame_hdr: Option<u64>,
    pub interpreted: bool,
    file: File,
    file_size: u64,
    section_names: u16,
}

impl Image {
    pub fn open(path: &str) -> Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(Refusal::NotElf);
        }
        let size = meta.len();
        let header = parse_header(&read_at(&file, size, 0, EHDR_SIZE))?;
        let bytes = read_at(
            &file,
            size,
            header.e_phoff,
            u64::from(header.e_phnum) * PHDR_SIZE,
        );
        let phdrs: Vec<ProgramHeader> = SegmentTable::new(LittleEndian, Class::ELF64, &bytes)
            .iter()
            .collect();
        let bytes = read_at(
            &file,
            size,
            header.e_shoff,
            u64::from(header.e_shnum) * SHDR_SIZE,
        );
        let sections = SectionHeaderTable::new(LittleEndian, Class::ELF64, &bytes)
            .iter()
            .collect();
        let mut image = Image {
            base: 0,
            end: 0,
            entry: 0,
            fixed: header.e_type == abi::ET_EXEC,
            segments: Vec::new(),
            code: Vec::new(),
            dynamic: FxHashMap::default(),
            needed: Vec::new(),
            sections,
            eh_frame_hdr: None,
            interpreted: false,
            file_size: size,
            file,
            section_names: header.e_shstrndx,
        };
        image.load(&phdrs)?;
        image.entry = image.relative(header.e_entry).unwrap_or(0);
        image.read_dynamic(&phdrs);
        image.code = image.find_code();
        if image.tag(abi::DT_FLAGS) & u64::try_from(abi::DF_TEXTREL).unwrap_or(0) != 0
            || image.dynamic.contains_key(&abi::DT_TEXTREL)
        {
            return Err(Refusal::Bad(
                "the dynamic linker changes its code (text relocations)",
            ));
        }
        Ok(image)
    }

    /// An address as the file states it, as one of ours; None when it lies outside.
    pub fn relative(&self, stated: u64) -> Option<u64> {
        let at = stated.checked_sub(self.base)?;
        (at < self.end).then_some(at)
    }

    pub fn segment(&self, at: u64) -> Option<&Segment> {
        self.segments.iter().find(|s| s.start <= at && at < s.end())
    }

    pub fn is_code(&self, at: u64) -> bool {
        let index = self.code.partition_point(|&(start, _)| start <= at);
        let found = index.checked_sub(1).and_then(|i| self.code.get(i));
        found.is_some_and(|&(_, end)| at < end)
    }

    /// Where instructions may lie. Older linkers put read-only data into the same segment; sections tell them apart.
    fn find_code(&self) -> Vec<(u64, u64)> {
        let flags = u64::from(abi::SHF_EXECINSTR | abi::SHF_ALLOC);
        let sections = self
            .sections
            .iter()
            .filter(|s| s.sh_flags & flags == flags && s.sh_type != abi::SHT_NOBITS);
        let mut found: Vec<(u64, u64)> = sections
            .filter_map(|s| {
                let start = self.relative(s.sh_addr)?;
                let segment = self.segment(start).filter(|s| s.exec)?;
                Some((start, start.saturating_add(s.sh_size).min(segment.end())))
            })
            .collect();
        if !found
            .iter()
            .any(|&(start, end)| start <= self.entry && self.entry < end)
            && self.interpreted
        {
            found.clear();
        }
        if found.is_empty() {
            found = self
                .segments
                .iter()
                .filter(|s| s.exec)
                .map(|s| (s.start, s.end()))
                .collect();
        }
        found.sort_unstable();
        found
    }

    /// Up to `size` bytes, fewer where the file's bytes end.
    pub fn read(&self, at: u64, size: u64) -> &[u8] {
        let Some(segment) = self.segment(at) else {
            return &[];
        };
        let from = (at - segment.start) as usize;
        let to = from.saturating_add(size as usize).min(segment.bytes.len());
        segment.bytes.get(from..to).unwrap_or(&[])
    }

    pub fn word(&self, at: u64) -> Option<u64> {
        Some(u64::from_le_bytes(self.read(at, 8).try_into().ok()?))
    }

    pub fn half(&self, at: u64) -> Option<u32> {
        Some(u32::from_le_bytes(self.read(at, 4).try_into().ok()?))
    }

    /// The C string at an address, if it ends within `limit` bytes.
    pub fn string(&self, at: u64, limit: u64) -> Option<&[u8]> {
        let bytes = self.read(at, limit);
        bytes.get(..memchr::memchr(0, bytes)?)
    }

    /// The address in the dynamic section, as one of ours.
    pub fn table(&self, tag: i64) -> Option<u64> {
        self.relative(*self.dynamic.get(&tag)?)
    }

    pub fn tag(&self, tag: i64) -> u64 {
        self.dynamic.get(&tag).copied().unwrap_or(0)
    }

    /// The contents of a section that is not loaded, such as `.symtab`.
    pub fn section_bytes(&self, section: &SectionHeader) -> Vec<u8> {
        let size = if section.sh_type == abi::SHT_NOBITS {
            0
        } else {
            section.sh_size.min(MAX_TABLE)
        };
        read_at(&self.file, self.file_size, section.sh_offset, size)
    }

    /// Where a loaded section lies, by name.
    pub fn section_at(&self, name: &str) -> Option<u64> {
        let names = self.section_bytes(self.sections.get(usize::from(self.section_names))?);
        let names = elf::string_table::StringTable::new(&names);
        let found = self
            .sections
            .iter()
            .find(|s| names.get(s.sh_name as usize).is_ok_and(|n| n == name))?;
        self.relative(found.sh_addr)
    }

    /// The file offset of an address, for names of functions that have none.
    pub fn file_offset(&self, at: u64) -> u64 {
        self.segment(at).map_or(at, |s| at - s.start + s.offset)
    }

    fn load(&mut self, phdrs: &[ProgramHeader]) -> Result<()> {
        let mut loads: Vec<&ProgramHeader> =
            phdrs.iter().filter(|p| p.p_type == abi::PT_LOAD).collect();
        loads.sort_by_key(|p| p.p_vaddr);
        self.base = loads
            .first()
            .ok_or(Refusal::Bad("no loadable segment"))?
            .p_vaddr
            & !0xfff;
        let mut total = 0u64;
        for phdr in loads {
            let start = phdr.p_vaddr - self.base;
            let end = start
                .checked_add(phdr.p_memsz)
                .ok_or(Refusal::Bad("a segment wraps around"))?;
            if start < self.end {
                return Err(Refusal::Bad("segments overlap"));
            }
            if end >= u64::from(u32::MAX) {
                return Err(Refusal::Bad("segments span 4 GiB or more"));
            }
            self.end = end;
            let size = phdr.p_filesz.min(phdr.p_memsz);
            let exec = phdr.p_flags & abi::PF_X != 0;
            if exec && phdr.p_flags & abi::PF_W != 0 {
                return Err(Refusal::Bad(
                    "its code is writable, so it may change itself",
                ));
            }
            total = total.saturating_add(size);
            if total > MAX_BYTES {
                return Err(Refusal::Bad("too large to analyse (768 MiB at most)"));
            }
            let bytes = read_at(&self.file, self.file_size, phdr.p_offset, size);
            if (bytes.len() as u64) < size {
                return Err(Refusal::Bad(
                    "truncated: a segment lies beyond the end of the file",
                ));
            }
            if exec && is_packed(&bytes) {
                return Err(Refusal::Bad("packed by UPX: unpack it first (upx -d)"));
            }
            if !bytes.is_empty() {
                self.segments.push(Segment {
                    start,
                    bytes,
                    offset: phdr.p_offset,
                    exec,
                });
            }
        }
        Ok(())
    }

    fn read_dynamic(&mut self, phdrs: &[ProgramHeader]) {
        for phdr in phdrs {
            let at = phdr.p_vaddr.wrapping_sub(self.base);
            match phdr.p_type {
                abi::PT_INTERP => self.interpreted = true,
                abi::PT_GNU_EH_FRAME => self.eh_frame_hdr = Some(at),
                abi::PT_DYNAMIC => {
                    let table = self.read(at, phdr.p_filesz.min(1 << 20)).to_vec();
                    for row in
                        elf::dynamic::DynamicTable::new(LittleEndian, Class::ELF64, &table).iter()
                    {
                        if row.d_tag == abi::DT_NULL {
                            break;
                        }
                        if row.d_tag == abi::DT_NEEDED {
                            self.needed.push(row.d_val());
                        }
                        self.dynamic.insert(row.d_tag, row.d_val());
                    }
                }
                _ => {}
            }
        }
    }
}

fn parse_header(bytes: &[u8]) -> Result<FileHeader<LittleEndian>> {
    // The parser takes the identification to be whole.
    if (bytes.len() as u64) < EHDR_SIZE {
        return Err(Refusal::NotElf);
    }
    let ident = parse_ident::<LittleEndian>(bytes).map_err(|_| Refusal::NotElf)?;
    let tail = bytes.get(abi::EI_NIDENT..).ok_or(Refusal::NotElf)?;
    if ident.1 != Class::ELF64 {
        return Err(Refusal::NotElf);
    }
    let header = FileHeader::parse_tail(ident, tail).map_err(|_| Refusal::NotElf)?;
    let known = header.e_type == abi::ET_EXEC || header.e_type == abi::ET_DYN;
    if header.e_machine != abi::EM_X86_64 || !known || u64::from(header.e_phentsize) != PHDR_SIZE {
        return Err(Refusal::NotElf);
    }
    Ok(header)
}

/// Packers leave their mark between the headers and the code that unpacks.
fn is_packed(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(1024)).unwrap_or(&[]);
    PACKERS
        .iter()
        .any(|mark| memchr::memmem::find(head, mark).is_some())
}

/// Bytes of the file, fewer at its end.
fn read_at(file: &File, file_size: u64, offset: u64, size: u64) -> Vec<u8> {
    let size = size.min(file_size.saturating_sub(offset));
    let mut bytes = vec![0; size as usize];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}
