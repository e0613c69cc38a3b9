//! The ELF header and the program header table.

use super::read::{read_up_to, read_vec};
use super::{ElfError, LoadError, Machine, ObjectKind, ReadAt};
use alloc::vec::Vec;
use elf::abi;
use elf::endian::{AnyEndian, EndianParse, LittleEndian};
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::{ParseAt, ParseError};
use elf::segment::ProgramHeader;

const HEADER_SIZE: u16 = 64;
const HEADER_SIZE_32: usize = 52;
pub(super) const PHENT_SIZE: u16 = 56;

/// Linux refuses larger program header tables.
const MAX_TABLE_SIZE: u64 = 65536;

type Header = FileHeader<AnyEndian>;

/// Reads and checks the ELF header.
pub(super) fn read_header<R: ReadAt + ?Sized>(file: &R) -> Result<Header, LoadError<R::Error>> {
    let mut bytes = [0; HEADER_SIZE as usize];
    let got = read_up_to(file, 0, &mut bytes).map_err(LoadError::Read)?;
    let bytes = bytes.get(..got).unwrap_or_default();
    let header = decode(bytes)?;
    check(&header)?;
    Ok(header)
}

fn decode(bytes: &[u8]) -> Result<Header, ElfError> {
    let truncated = ElfError::HeaderTruncated {
        len: bytes.len() as u64,
    };
    let Some((ident, tail)) = bytes.split_at_checked(abi::EI_NIDENT) else {
        return Err(if bytes.starts_with(&abi::ELFMAGIC) {
            truncated
        } else {
            ElfError::NotElf
        });
    };
    let ident = parse_ident::<AnyEndian>(ident).map_err(|error| match error {
        ParseError::UnsupportedElfClass(class) => ElfError::UnknownClass(class),
        ParseError::UnsupportedElfEndianness(data) => ElfError::UnknownEncoding(data),
        ParseError::UnsupportedVersion((found, _)) => ElfError::IdentVersion(found as u8),
        _ => ElfError::NotElf,
    })?;
    let wanted = if ident.1 == Class::ELF32 {
        HEADER_SIZE_32
    } else {
        HEADER_SIZE.into()
    };
    if bytes.len() < wanted {
        return Err(truncated);
    }
    Header::parse_tail(ident, tail).map_err(|_| truncated)
}

fn check(header: &Header) -> Result<(), ElfError> {
    let machine = Machine(header.e_machine);
    if header.class == Class::ELF32 {
        return Err(ElfError::Class32(machine));
    }
    if header.endianness.is_big() {
        return Err(ElfError::BigEndian(machine));
    }
    if header.e_machine != abi::EM_X86_64 {
        return Err(ElfError::WrongMachine(machine));
    }
    if header.version != u32::from(abi::EV_CURRENT) {
        return Err(ElfError::Version(header.version));
    }
    if !matches!(header.e_type, abi::ET_EXEC | abi::ET_DYN) {
        return Err(ElfError::NotExecutable(ObjectKind(header.e_type)));
    }
    if header.e_ehsize != HEADER_SIZE {
        return Err(ElfError::HeaderSize(header.e_ehsize));
    }
    if header.e_phnum == 0 {
        return Err(ElfError::NoProgramHeaders);
    }
    if header.e_phentsize != PHENT_SIZE {
        return Err(ElfError::PhentSize(header.e_phentsize));
    }
    Ok(())
}

/// Reads the program header table.
pub(super) fn read_program_headers<R: ReadAt + ?Sized>(
    file: &R,
    header: &Header,
) -> Result<Vec<ProgramHeader>, LoadError<R::Error>> {
    let size = u64::from(header.e_phnum) * u64::from(PHENT_SIZE);
    if size > MAX_TABLE_SIZE {
        return Err(ElfError::TooManyProgramHeaders(header.e_phnum).into());
    }
    let offset = header.e_phoff;
    if offset < HEADER_SIZE.into() {
        return Err(ElfError::ProgramHeadersOverlapHeader { offset }.into());
    }
    let beyond = ElfError::ProgramHeadersBeyondEof {
        offset,
        size,
        len: file.len(),
    };
    let table = match offset.checked_add(size) {
        Some(end) if end <= file.len() => read_vec(file, offset, size as usize)?.ok_or(beyond)?,
        _ => return Err(beyond.into()),
    };
    let mut at = 0;
    let mut headers = Vec::new();
    headers
        .try_reserve_exact(header.e_phnum.into())
        .map_err(|_| LoadError::NoMemory)?;
    while let Ok(entry) = ProgramHeader::parse_at(LittleEndian, Class::ELF64, &mut at, &table) {
        headers.push(entry);
    }
    Ok(headers)
}
