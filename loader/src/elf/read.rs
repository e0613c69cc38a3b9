//! How the loader sees a file.

use super::LoadError;
use alloc::vec::Vec;

/// A file of known length that can be read at any offset.
pub trait ReadAt {
    /// What a failed read reports; handed through unchanged.
    type Error;

    /// Reads up to `buf.len()` bytes; 0 means end of file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Self::Error>;

    /// The length of the file in bytes.
    fn len(&self) -> u64;

    /// Whether the file holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ReadAt for [u8] {
    type Error = core::convert::Infallible;

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..))
            .unwrap_or_default();
        let (from, to): (&[u8], &mut [u8]) = match (rest.get(..buf.len()), rest.len()) {
            (Some(whole), _) => (whole, buf),
            (None, len) => (rest, buf.get_mut(..len).unwrap_or_default()),
        };
        to.copy_from_slice(from);
        Ok(from.len())
    }

    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    type Error = T::Error;

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Self::Error> {
        (**self).read_at(offset, buf)
    }

    fn len(&self) -> u64 {
        (**self).len()
    }
}

/// Fills `buf` as far as the file goes; the number of bytes that were there.
pub(super) fn read_up_to<R: ReadAt + ?Sized>(
    file: &R,
    offset: u64,
    buf: &mut [u8],
) -> Result<usize, R::Error> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let Some(at) = offset.checked_add(done as u64) else {
            break;
        };
        let room = rest.len();
        match file.read_at(at, rest)? {
            0 => break,
            got => done += got.min(room),
        }
    }
    Ok(done)
}

/// Reads exactly `len` bytes into fresh memory; `None` when the file ends first.
pub(super) fn read_vec<R: ReadAt + ?Sized>(
    file: &R,
    offset: u64,
    len: usize,
) -> Result<Option<Vec<u8>>, LoadError<R::Error>> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len)
        .map_err(|_| LoadError::NoMemory)?;
    bytes.resize(len, 0);
    let got = read_up_to(file, offset, &mut bytes).map_err(LoadError::Read)?;
    Ok((got == len).then_some(bytes))
}
