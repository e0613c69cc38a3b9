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
