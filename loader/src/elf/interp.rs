//! The path in `PT_INTERP`.

use super::read::read_vec;
use super::{ElfError, LoadError, ReadAt};
use alloc::vec::Vec;
use elf::abi::PT_INTERP;
use elf::segment::ProgramHeader;

/// Linux's `PATH_MAX`, which counts the NUL.
const PATH_MAX: u64 = 4096;

/// The interpreter's path without its NUL; like Linux, the first `PT_INTERP` counts.
pub(super) fn read_interp<R: ReadAt + ?Sized>(
    file: &R,
    headers: &[ProgramHeader],
) -> Result<Option<Vec<u8>>, LoadError<R::Error>> {
    let Some((index, header)) = (0u16..)
        .zip(headers)
        .find(|(_, header)| header.p_type == PT_INTERP)
    else {
        return Ok(None);
    };
    let size = header.p_filesz;
    if size > PATH_MAX {
        return Err(ElfError::InterpTooLong { index, size }.into());
    }
    if size < 2 {
        return Err(ElfError::InterpEmpty { index }.into());
    }
    let mut path = read_vec(file, header.p_offset, size as usize)?
        .ok_or(ElfError::InterpBeyondEof { index })?;
    if path.last() != Some(&0) {
        return Err(ElfError::InterpNotTerminated { index }.into());
    }
    let end = path.iter().position(|&byte| byte == 0).unwrap_or_default();
    path.truncate(end);
    match path.first() {
        None => Err(ElfError::InterpEmpty { index }.into()),
        Some(b'/') => Ok(Some(path)),
        Some(_) => Err(ElfError::InterpRelative { index }.into()),
    }
}
