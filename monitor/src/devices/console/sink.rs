//! Where output goes, written without ever blocking the device thread.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use boot_abi::config::{STREAM_PIPE, STREAM_SOCKET, STREAM_TTY};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vm_memory::VolatileSlice;

use crate::scatter::{self, Method};

/// A pipe that polls writable takes this much at once.
const PIPE_BUF: usize = libc::PIPE_BUF;

pub struct Sink {
    fd: OwnedFd,
    how: How,
}

enum How {
    /// A regular file or a device that does not block; or a descriptor of our own that is non-blocking.
    Write,
    Send,
    /// A shared descriptor that could block (setting it non-blocking would change it for other processes too):
    /// ask first, then write little.
    AskFirst,
}

impl Sink {
    /// `kind` as in the `STREAMS` configuration record.
    pub fn new(fd: BorrowedFd<'_>, kind: u8) -> io::Result<Self> {
        match kind {
            STREAM_SOCKET => Ok(Self {
                fd: fd.try_clone_to_owned()?,
                how: How::Send,
            }),
            STREAM_PIPE | STREAM_TTY => reopen(fd).or_else(|_| {
                Ok(Self {
                    fd: fd.try_clone_to_owned()?,
                    how: How::AskFirst,
                })
            }),
            _ => Ok(Self {
                fd: fd.try_clone_to_owned()?,
                how: How::Write,
            }),
        }
    }

    /// `WouldBlock`: wait until the descriptor polls writable.
    pub fn write(&self, slices: &[VolatileSlice<'_>]) -> io::Result<usize> {
        let method = match self.how {
            How::Write => Method::Write,
            How::Send => Method::Send,
            How::AskFirst => return self.ask_first(slices),
        };
        scatter::write(self.fd.as_fd(), slices, method)
    }

    fn ask_first(&self, slices: &[VolatileSlice<'_>]) -> io::Result<usize> {
        let mut query = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut query, PollTimeout::ZERO)? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let Some(first) = slices.iter().find(|slice| !slice.is_empty()) else {
            return Ok(0);
        };
        let piece = first
            .subslice(0, first.len().min(PIPE_BUF))
            .map_err(io::Error::other)?;
        scatter::write(self.fd.as_fd(), &[piece], Method::Write)
    }
}

impl AsRawFd for Sink {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

/// The same pipe or terminal with flags of our own.
fn reopen(fd: BorrowedFd<'_>) -> io::Result<Sink> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    Ok(Sink {
        fd: file.into(),
        how: How::Write,
    })
}
