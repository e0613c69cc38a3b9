//! Configuration records: what to run, in which environment.
//!
//! A blob is [`MAGIC`] followed by records: little-endian u32 tag, u32 length, the bytes, zero padding to 8.
//! A run-time blob is laid over the image's: scalars replace, `ARG` records (if any) replace all arguments,
//! `ENV` records replace by key.

/// First eight bytes of a blob.
pub const MAGIC: &[u8; 8] = b"CPTCFG1\0";

/// Absolute path of the program inside the root file system.
pub const EXE: u32 = 1;
/// One argument (argv[1..]), in order.
pub const ARG: u32 = 2;
/// One `KEY=VALUE`.
pub const ENV: u32 = 3;
/// Working directory.
pub const CWD: u32 = 4;
pub const HOSTNAME: u32 = 5;
/// u32 uid, u32 gid.
pub const IDS: u32 = 6;
/// Four bytes: kind of stdin, stdout, stderr (`STREAM_*`), flags (`SAME_OUTPUT`); then u16 rows, u16 columns of the terminal.
pub const STREAMS: u32 = 7;
/// At least 32 bytes of entropy.
pub const SEED: u32 = 8;
/// argv[0]; absent: the same as `EXE`.
pub const ARG0: u32 = 9;
/// u32 umask.
pub const UMASK: u32 = 10;
/// Empty, before the `ENV` records of a run-time blob: the image's `ENV` records do not count.
pub const CLEAR_ENV: u32 = 11;
/// Text: how the network is set up, see [`crate::netconf`]. Absent: `lo` only.
pub const NET: u32 = 12;
/// u64 file position. Standard input is a file that can be read at any offset, see [`crate::input`]. Absent: bytes come as through a pipe.
pub const STDIN_FILE: u32 = 13;
/// Text of [`crate::trace::Settings`]: trace from the first call on.
pub const TRACE: u32 = 16;

/// Flag: stdout and stderr are the same file, so their bytes keep one order.
pub const SAME_OUTPUT: u8 = 1;

pub const STREAM_CLOSED: u8 = 0;
pub const STREAM_PIPE: u8 = 1;
pub const STREAM_FILE: u8 = 2;
pub const STREAM_NULL: u8 = 3;
pub const STREAM_TTY: u8 = 4;
pub const STREAM_SOCKET: u8 = 5;

/// The records of a blob, in order. Stops at the first malformed one; no magic, no records.
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    #[must_use]
    pub fn new(blob: &'a [u8]) -> Self {
        Self {
            rest: blob.strip_prefix(MAGIC.as_slice()).unwrap_or(&[]),
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_at_checked(8)?;
        let tag = u32::from_le_bytes(head[..4].try_into().ok()?);
        let len = u32::from_le_bytes(head[4..].try_into().ok()?) as usize;
        let (data, _) = rest.split_at_checked(len)?;
        self.rest = rest.get(len.checked_next_multiple_of(8)?..).unwrap_or(&[]);
        Some((tag, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_in_order() {
        let blob = b"CPTCFG1\0\x04\0\0\0\x01\0\0\0/\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0ab";
        let mut records = Records::new(blob);
        assert_eq!(records.next(), Some((CWD, b"/".as_slice())));
        assert_eq!(records.next(), Some((ARG, b"ab".as_slice())));
        assert_eq!(records.next(), None);
    }

    #[test]
    fn truncated_or_foreign_blobs_end_early() {
        assert_eq!(Records::new(b"CPTCFG1\0\x04\0\0\0\xff\0\0\0/").next(), None);
        assert_eq!(Records::new(b"nonsense").next(), None);
    }
}
