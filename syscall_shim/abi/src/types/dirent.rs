//! Directory entries as getdents64(2) and getdents(2) write them.
use crate::Errno;

/// Bytes before the name in `struct linux_dirent64`.
const DIRENT64_HEADER: usize = 19;
/// Bytes before the name in `struct linux_dirent`; the type is the record's last byte.
const DIRENT_HEADER: usize = 18;

/// One entry, before encoding.
#[derive(Clone, Copy, Debug)]
pub struct Dirent<'a> {
    pub ino: u64,
    /// The cookie of the entry that follows.
    pub off: i64,
    /// `DT_*`.
    pub type_: u8,
    pub name: &'a [u8],
}

impl Dirent<'_> {
    /// Length of the `linux_dirent64` record.
    #[must_use]
    pub const fn len64(&self) -> usize {
        (DIRENT64_HEADER + self.name.len() + 1).next_multiple_of(8)
    }

    /// Writes the `linux_dirent64` record to the start of `out`. EINVAL if it does not fit (the caller's buffer is too
    /// small for one entry).
    pub fn encode64(&self, out: &mut [u8]) -> Result<usize, Errno> {
        let len = self.len64();
        let out = out.get_mut(..len).ok_or(Errno::EINVAL)?;
        let reclen = u16::try_from(len).map_err(|_| Errno::EINVAL)?;
        out.fill(0);
        put(out, 0, &self.ino.to_le_bytes());
        put(out, 8, &self.off.to_le_bytes());
        put(out, 16, &reclen.to_le_bytes());
        put(out, 18, &[self.type_]);
        put(out, DIRENT64_HEADER, self.name);
        Ok(len)
    }

    /// Writes the old `linux_dirent` record: the type goes to its last byte.
    pub fn encode_old(&self, out: &mut [u8]) -> Result<usize, Errno> {
        let len = (DIRENT_HEADER + self.name.len() + 2).next_multiple_of(8);
        let out = out.get_mut(..len).ok_or(Errno::EINVAL)?;
        let reclen = u16::try_from(len).map_err(|_| Errno::EINVAL)?;
        out.fill(0);
        put(out, 0, &self.ino.to_le_bytes());
        put(out, 8, &self.off.to_le_bytes());
        put(out, 16, &reclen.to_le_bytes());
        put(out, DIRENT_HEADER, self.name);
        put(out, len - 1, &[self.type_]);
        Ok(len)
    }
}

/// Copies `bytes` to `out[at..]`; the callers have checked the length.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_padded_to_eight_bytes() {
        let entry = Dirent {
            ino: 1,
            off: 2,
            type_: 8,
            name: b"abcd",
        };
        let mut out = [0xff; 32];
        assert_eq!(entry.encode64(&mut out), Ok(24));
        assert_eq!(
            &out[..24],
            b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x18\0\x08abcd\0"
        );
        assert_eq!(entry.encode64(&mut out[..23]), Err(Errno::EINVAL));
    }

    #[test]
    fn the_old_record_ends_with_the_type() {
        let entry = Dirent {
            ino: 1,
            off: 2,
            type_: 4,
            name: b".",
        };
        let mut out = [0xff; 32];
        assert_eq!(entry.encode_old(&mut out), Ok(24));
        assert_eq!(&out[16..24], b"\x18\0.\0\0\0\0\x04");
    }
}
