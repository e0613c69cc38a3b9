//! Reading what the device says. Every length is checked: the device can say what it likes.
use boot_abi::hostnet::{ADDRESS_SIZE, Header, decode_address};
use core::net::SocketAddr;
use core::ops::Range;
use linux_abi::Errno;

/// The messages in a buffer: each header, and where its payload lies. Ends at the first one that is not whole.
pub struct Messages<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Messages<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether what is left is not a message.
    pub fn is_broken(&self) -> bool {
        self.at < self.bytes.len()
    }
}

impl Iterator for Messages<'_> {
    type Item = (Header, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.bytes.get(self.at..)?.first_chunk()?;
        let header = Header::from_bytes(*header);
        let start = self.at + Header::SIZE;
        let end = start.checked_add(header.length as usize)?;
        if end > self.bytes.len() {
            return None;
        }
        // The padding of the last one may be missing.
        self.at = end.next_multiple_of(8).min(self.bytes.len());
        Some((header, start..end))
    }
}

/// Takes a message's payload apart.
pub struct Payload<'a>(pub &'a [u8]);

impl<'a> Payload<'a> {
    fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(chunk)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.chunk().copied().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.chunk().copied().map(u64::from_le_bytes)
    }

    pub fn address(&mut self) -> Option<SocketAddr> {
        decode_address(self.chunk::<ADDRESS_SIZE>()?)
    }

    /// A byte, and the zeros after it.
    pub fn byte(&mut self) -> Option<u8> {
        self.chunk::<8>().map(|[byte, ..]| *byte)
    }

    pub fn errno(&mut self) -> Option<Errno> {
        self.u32().map(errno)
    }
}

/// What connections and datagrams fail with. `EIO` for anything else.
fn errno(number: u32) -> Errno {
    const KNOWN: [Errno; 22] = [
        Errno::EPERM,
        Errno::EAGAIN,
        Errno::ENOMEM,
        Errno::EACCES,
        Errno::EINVAL,
        Errno::ENFILE,
        Errno::EMFILE,
        Errno::EPIPE,
        Errno::EMSGSIZE,
        Errno::EPROTO,
        Errno::EOPNOTSUPP,
        Errno::EAFNOSUPPORT,
        Errno::EADDRINUSE,
        Errno::EADDRNOTAVAIL,
        Errno::ENETDOWN,
        Errno::ENETUNREACH,
        Errno::ECONNABORTED,
        Errno::ECONNRESET,
        Errno::ENOBUFS,
        Errno::ETIMEDOUT,
        Errno::ECONNREFUSED,
        Errno::EHOSTUNREACH,
    ];
    KNOWN
        .into_iter()
        .find(|errno| u32::from(errno.raw()) == number)
        .unwrap_or(Errno::EIO)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn message(kind: u16, payload: &[u8], padded: bool) -> Vec<u8> {
        let mut bytes = Header::new(kind, 1, payload.len()).to_bytes().to_vec();
        bytes.extend_from_slice(payload);
        if padded {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    #[test]
    fn messages_follow_each_other_at_multiples_of_eight() {
        let bytes = [
            message(1, b"abc", true),
            message(2, b"", true),
            message(3, b"defgh", false),
        ]
        .concat();
        let mut messages = Messages::new(&bytes);
        let found: Vec<_> = messages
            .by_ref()
            .map(|(header, range)| (header.kind, &bytes[range]))
            .collect();
        let expected: [(u16, &[u8]); 3] = [(1, b"abc"), (2, b""), (3, b"defgh")];
        assert_eq!(found, expected);
        assert!(!messages.is_broken());
    }

    #[test]
    fn whatever_is_cut_short_ends_it() {
        let whole = [message(1, b"abcdefgh", true), message(2, b"ijk", true)].concat();
        for len in 0..whole.len() {
            let bytes = &whole[..len];
            let mut messages = Messages::new(bytes);
            let count = messages.by_ref().count();
            assert_eq!(count, usize::from(len >= 24) + usize::from(len >= 43));
            assert_eq!(messages.is_broken(), !matches!(len, 0 | 24 | 43..));
        }
        let mut header = Header::new(4, 1, 0);
        header.length = u32::MAX;
        assert!(Messages::new(&header.to_bytes()).next().is_none());
    }

    #[test]
    fn unknown_numbers_are_an_error_all_the_same() {
        assert_eq!(errno(111), Errno::ECONNREFUSED);
        for number in [0, 5, 512, 4096, u32::MAX] {
            assert_eq!(errno(number), Errno::EIO);
        }
    }
}
