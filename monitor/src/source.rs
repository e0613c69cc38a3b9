//! Where the image comes from: a file of its own, or the end of this executable.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::image::{ImageError, ImageFile};
use crate::layout::PAGE;

pub const SELF: &str = "/proc/self/exe";
/// Ends a stand-alone file, after the image's offset and length (u64 each).
const MAGIC: &[u8; 8] = b"CMPTSELF";
const TRAILER: u64 = 24;

pub fn open(path: &Path) -> Result<ImageFile> {
    let failed = |source| Error::Open {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::Image {
            path: path.to_owned(),
            source: ImageError::NotElf("it is not a regular file"),
        });
    }
    Ok(ImageFile {
        file,
        offset: 0,
        len: meta.len(),
    })
}

/// The image at the end of this executable, if there is one.
pub fn embedded() -> Result<Option<ImageFile>> {
    match File::open(SELF) {
        Ok(file) => embedded_in(file).map_err(|source| Error::Image {
            path: SELF.into(),
            source,
        }),
        // No /proc: then this cannot be known, and the ordinary command line is the better guess.
        Err(_) => Ok(None),
    }
}

fn embedded_in(file: File) -> std::result::Result<Option<ImageFile>, ImageError> {
    let size = file.metadata()?.len();
    let Some(end) = size.checked_sub(TRAILER) else {
        return Ok(None);
    };
    let mut raw = [0u8; TRAILER as usize];
    file.read_exact_at(&mut raw, end)?;
    let ([offset, len], magic) = ([word(&raw, 0), word(&raw, 8)], &raw[16..]);
    if magic != MAGIC {
        return Ok(None);
    }
    if !offset.is_multiple_of(PAGE) {
        return Err(ImageError::Damaged(
            "the image in this file is not page-aligned",
        ));
    }
    if offset
        .checked_add(len)
        .is_none_or(|image_end| image_end > end)
    {
        return Err(ImageError::Damaged("the image in this file is cut off"));
    }
    Ok(Some(ImageFile { file, offset, len }))
}

fn word(raw: &[u8; TRAILER as usize], at: usize) -> u64 {
    raw.get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn with_trailer(offset: u64, len: u64) -> File {
        let mut bytes = vec![0; 8192];
        bytes.extend(offset.to_le_bytes());
        bytes.extend(len.to_le_bytes());
        bytes.extend(MAGIC);
        file(&bytes)
    }

    #[test]
    fn files_without_trailer_are_plain() {
        assert!(embedded_in(file(b"short")).unwrap().is_none());
        assert!(embedded_in(file(&[0; 100])).unwrap().is_none());
    }

    #[test]
    fn the_trailer_says_where_the_image_is() {
        let image = embedded_in(with_trailer(4096, 4096)).unwrap().unwrap();
        assert_eq!((image.offset, image.len), (4096, 4096));
    }

    #[test]
    fn trailers_that_lie_are_refused() {
        for (offset, len) in [
            (4097, 1),
            (4096, 4097),
            (8192, 1),
            (u64::MAX - 4095, 8192),
            (4096, u64::MAX),
        ] {
            assert!(
                embedded_in(with_trailer(offset, len)).is_err(),
                "{offset} {len}"
            );
        }
    }
}
