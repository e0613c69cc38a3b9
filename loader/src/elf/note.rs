//! What the notes of a program tell about its C library.

use super::read::read_vec;
use super::{LoadError, ReadAt};
use elf::abi::PT_NOTE;
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::note::{Note, NoteIterator};
use elf::segment::ProgramHeader;

/// Bytes of notes that are looked at; a program's are a few dozen.
const MOST: u64 = 4096;

/// Whether the program was linked with the GNU C library, whose start code brings `NT_GNU_ABI_TAG` along.
pub(super) fn has_abi_tag<R: ReadAt + ?Sized>(
    file: &R,
    headers: &[ProgramHeader],
) -> Result<bool, LoadError<R::Error>> {
    for header in headers {
        if header.p_type != PT_NOTE || header.p_filesz > MOST {
            continue;
        }
        let Some(bytes) = read_vec(file, header.p_offset, header.p_filesz as usize)? else {
            continue; // beyond the end of the file, as Linux does not mind
        };
        let align = if header.p_align == 8 { 8 } else { 4 };
        let mut notes = NoteIterator::new(LittleEndian, Class::ELF64, align, &bytes);
        if notes.any(|note| matches!(note, Note::GnuAbiTag(_))) {
            return Ok(true);
        }
    }
    Ok(false)
}
