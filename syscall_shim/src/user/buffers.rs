//! The buffers of read(2), readv(2) and their kin as `vfs` wants to see them.
use crate::kernel::UserMemory;
use crate::user::UserPtr;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::{Errno, IOV_MAX, Iovec, MAX_RW_COUNT};
use vfs::{Sink, Source};

/// Vectors up to this length are read without an allocation.
const SHORT: usize = 8;

/// Where the next bytes lie.
struct Cursor<'a> {
    addr: u64,
    left: usize,
    rest: &'a [Iovec],
    total: usize,
}

impl<'a> Cursor<'a> {
    fn new(first: Iovec, rest: &'a [Iovec], total: usize) -> Self {
        Self {
            addr: first.base,
            left: first.len as usize,
            rest,
            total,
        }
    }

    /// The next stretch of at most `want` bytes: address and length. None at the end.
    fn stretch(&mut self, want: usize) -> Option<(u64, usize)> {
        while self.left == 0 {
            let (next, rest) = self.rest.split_first()?;
            (self.addr, self.left, self.rest) = (next.base, next.len as usize, rest);
        }
        let len = want.min(self.left).min(self.total);
        (len > 0).then_some((self.addr, len))
    }

    fn advance(&mut self, len: usize) {
        self.addr = self.addr.wrapping_add(len as u64);
        self.left -= len;
        self.total -= len;
    }

    /// EFAULT if there are not that many.
    fn skip(&mut self, count: usize) -> Result<(), Errno> {
        let mut left = count;
        while left > 0 {
            let (_, len) = self.stretch(left).ok_or(Errno::EFAULT)?;
            self.advance(len);
            left -= len;
        }
        Ok(())
    }
}

/// Buffers that bytes go to.
pub struct UserSink<'a, K> {
    k: &'a K,
    cursor: Cursor<'a>,
}

impl<K> UserSink<'_, K> {
    /// How many of the next `want` bytes lie in one buffer.
    pub fn stretch(&mut self, want: usize) -> usize {
        self.cursor.stretch(want).map_or(0, |(_, len)| len)
    }

    /// Leaves the next `count` bytes as they are.
    pub fn skip(&mut self, count: usize) -> Result<(), Errno> {
        self.cursor.skip(count)
    }
}

impl<K: vfs::UserMemory> Sink for UserSink<'_, K> {
    fn remaining(&self) -> usize {
        self.cursor.total
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let (addr, len) = self.cursor.stretch(bytes.len()).ok_or(Errno::EFAULT)?;
            let (here, after) = bytes.split_at_checked(len).ok_or(Errno::EFAULT)?;
            self.k.write(addr, here)?;
            self.cursor.advance(len);
            bytes = after;
        }
        Ok(())
    }

    fn put_zeros(&mut self, count: usize) -> Result<(), Errno> {
        let mut left = count;
        while left > 0 {
            let (addr, len) = self.cursor.stretch(left).ok_or(Errno::EFAULT)?;
            self.k.zero(addr, len)?;
            self.cursor.advance(len);
            left -= len;
        }
        Ok(())
    }
}

/// Buffers that bytes come from.
pub struct UserSource<'a, K> {
    k: &'a K,
    cursor: Cursor<'a>,
}

impl<K> UserSource<'_, K> {
    /// How many of the next `want` bytes lie in one buffer.
    pub fn stretch(&mut self, want: usize) -> usize {
        self.cursor.stretch(want).map_or(0, |(_, len)| len)
    }
}

impl<K: vfs::UserMemory> Source for UserSource<'_, K> {
    fn remaining(&self) -> usize {
        self.cursor.total
    }

    #[inline]
    fn take(&mut self, into: &mut [u8]) -> Result<(), Errno> {
        let mut at = 0;
        while let Some(place) = into.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let (addr, len) = self.cursor.stretch(place.len()).ok_or(Errno::EFAULT)?;
            self.k
                .read(addr, place.get_mut(..len).ok_or(Errno::EFAULT)?)?;
            self.cursor.advance(len);
            at += len;
        }
        Ok(())
    }

    fn skip(&mut self, count: usize) -> Result<(), Errno> {
        self.cursor.skip(count)
    }
}

/// The buffers of one call, checked: every one lies in the program's half, and together they are no longer than what
/// one call moves.
pub struct IoBuffers {
    first: Iovec,
    rest: Vec<Iovec>,
    total: usize,
}

impl IoBuffers {
    /// One buffer.
    #[inline]
    pub fn single<K: UserMemory>(k: &K, buf: UserPtr<u8>, count: usize) -> Result<Self, Errno> {
        if !k.access_ok(buf.addr(), count as u64) {
            return Err(Errno::EFAULT);
        }
        let total = count.min(MAX_RW_COUNT);
        Ok(Self {
            first: Iovec {
                base: buf.addr(),
                len: total as u64,
            },
            rest: Vec::new(),
            total,
        })
    }

    /// The buffers of readv(2) and writev(2). EINVAL for too many or a negative length, EFAULT for what cannot be the
    /// program's.
    pub fn vector<K: UserMemory>(k: &K, iov: UserPtr<Iovec>, count: usize) -> Result<Self, Errno> {
        if count > IOV_MAX {
            return Err(Errno::EINVAL);
        }
        let mut short = [Iovec::default(); SHORT];
        let mut long;
        let entries = match short.get_mut(..count) {
            Some(short) => short,
            None => {
                long = vec![Iovec::default(); count];
                long.as_mut_slice()
            }
        };
        iov.read_slice(k, entries)?;
        Self::check(k, entries)
    }

    fn check<K: UserMemory>(k: &K, entries: &mut [Iovec]) -> Result<Self, Errno> {
        let mut total = 0;
        for entry in entries.iter_mut() {
            if i64::try_from(entry.len).is_err() {
                return Err(Errno::EINVAL);
            }
            if !k.access_ok(entry.base, entry.len) {
                return Err(Errno::EFAULT);
            }
            entry.len = entry.len.min((MAX_RW_COUNT - total) as u64);
            total += entry.len as usize;
        }
        match entries.split_first() {
            Some((first, rest)) => Ok(Self {
                first: *first,
                rest: rest.to_vec(),
                total,
            }),
            None => Ok(Self {
                first: Iovec::default(),
                rest: Vec::new(),
                total: 0,
            }),
        }
    }

    /// How many bytes there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Cuts the buffers to at most `total` bytes.
    pub fn limit(&mut self, total: usize) {
        self.total = self.total.min(total);
    }

    #[must_use]
    pub fn sink<'a, K: vfs::UserMemory>(&'a self, k: &'a K) -> UserSink<'a, K> {
        UserSink {
            k,
            cursor: Cursor::new(self.first, &self.rest, self.total),
        }
    }

    #[must_use]
    pub fn source<'a, K: vfs::UserMemory>(&'a self, k: &'a K) -> UserSource<'a, K> {
        UserSource {
            k,
            cursor: Cursor::new(self.first, &self.rest, self.total),
        }
    }
}
