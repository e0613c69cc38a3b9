//! Reads and writes of scattered guest memory in one system call.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use vm_memory::VolatileSlice;

/// The most pieces that Linux takes in one call (`UIO_MAXIOV`).
pub const MOST_PIECES: usize = 1024;

/// How to write, which depends on what the descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Write,
    /// `sendmsg` that does not block, whatever the socket is set to.
    Send,
}

fn pieces(slices: &[VolatileSlice<'_>]) -> Vec<libc::iovec> {
    let piece = |slice: &VolatileSlice<'_>| libc::iovec {
        iov_base: slice.ptr_guard_mut().as_ptr().cast(),
        iov_len: slice.len(),
    };
    slices.iter().take(MOST_PIECES).map(piece).collect()
}

pub fn write(
    fd: BorrowedFd<'_>,
    slices: &[VolatileSlice<'_>],
    method: Method,
) -> io::Result<usize> {
    let mut list = pieces(slices);
    let written = match method {
        // SAFETY: the pieces lie in guest memory, which stays mapped; the kernel only reads them.
        Method::Write => unsafe {
            libc::writev(fd.as_raw_fd(), list.as_ptr(), list.len() as libc::c_int)
        },
        Method::Send => {
            // SAFETY: all zeroes is a valid `msghdr`.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_iov = list.as_mut_ptr();
            message.msg_iovlen = list.len();
            // SAFETY: as above; `message` points to `list`, which outlives the call.
            unsafe {
                libc::sendmsg(
                    fd.as_raw_fd(),
                    &raw const message,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            }
        }
    };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

pub fn read(fd: BorrowedFd<'_>, slices: &[VolatileSlice<'_>]) -> io::Result<usize> {
    let list = pieces(slices);
    // SAFETY: the pieces lie in guest memory, which stays mapped and which all sides treat as volatile.
    let got = unsafe { libc::readv(fd.as_raw_fd(), list.as_ptr(), list.len() as libc::c_int) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// pread(2): the position of the descriptor stays where it is.
pub fn read_at(fd: BorrowedFd<'_>, slices: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
    let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let list = pieces(slices);
    let count = list.len() as libc::c_int;
    // SAFETY: as in `read`.
    let got = unsafe { libc::preadv(fd.as_raw_fd(), list.as_ptr(), count, offset) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// Drops the first `bytes` of what the slices cover.
pub fn skip(slices: &mut Vec<VolatileSlice<'_>>, mut bytes: usize) {
    while let Some(first) = slices.first_mut() {
        if bytes < first.len() {
            if let Ok(rest) = first.offset(bytes) {
                *first = rest;
            }
            return;
        }
        bytes -= first.len();
        slices.remove(0);
    }
}

/// Drops all but the first `bytes` of what the slices cover.
pub fn cut(slices: &mut Vec<VolatileSlice<'_>>, mut bytes: usize) {
    slices.retain_mut(|slice| {
        let len = slice.len().min(bytes);
        bytes -= len;
        if let Ok(part) = slice.subslice(0, len) {
            *slice = part;
        }
        len > 0
    });
}

/// Moves the first bytes into `to`. Answers how many there were.
pub fn take(slices: &mut Vec<VolatileSlice<'_>>, to: &mut [u8]) -> usize {
    let mut done = 0;
    for slice in slices.iter() {
        done += slice.copy_to(to.get_mut(done..).unwrap_or(&mut []));
    }
    skip(slices, done);
    done
}

/// Puts bytes into the slices, from their start on.
pub fn give(slices: &[VolatileSlice<'_>], mut bytes: &[u8]) {
    for slice in slices {
        let (now, later) = bytes.split_at(slice.len().min(bytes.len()));
        slice.copy_from(now);
        bytes = later;
    }
}

/// A copy of what the slices hold.
pub fn gather(slices: &[VolatileSlice<'_>]) -> Vec<u8> {
    let mut bytes = vec![0; slices.iter().map(VolatileSlice::len).sum()];
    take(&mut slices.to_vec(), &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_and_filled_at_any_place() {
        let (mut a, mut b, mut c) = (*b"abc", *b"", *b"defg");
        let all: Vec<_> = [&mut a[..], &mut b, &mut c].map(VolatileSlice::from).into();
        let mut some = all.clone();
        let mut head = [0; 4];
        assert_eq!(take(&mut some, &mut head), 4);
        assert_eq!((&head, gather(&some).as_slice()), (b"abcd", &b"efg"[..]));
        cut(&mut some, 2);
        assert_eq!(gather(&some), b"ef");
        give(&some, b"XYZ");
        skip(&mut some, 9);
        assert!(some.is_empty());
        assert_eq!(gather(&all), b"abcdXYg");
        let mut short = [0; 9];
        assert_eq!(take(&mut all.clone(), &mut short), 7);
    }
}
