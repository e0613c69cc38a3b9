//! Where records go: a pipe, a file, a connection.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

/// As much as a pipe that is ready takes without waiting.
const READY: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    None,
    /// Until the reader has taken it, as strace waits.
    Endless,
}

pub struct Sink(OwnedFd);

impl Sink {
    pub fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    fn poll(&self, patience: Patience) -> PollFlags {
        let timeout = match patience {
            Patience::None => PollTimeout::ZERO,
            Patience::Endless => PollTimeout::NONE,
        };
        let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
        // Interrupted, it is asked again by whoever waits.
        let _ = poll(&mut watched, timeout);
        let [watched] = watched;
        watched.revents().unwrap_or(PollFlags::empty())
    }

    /// Nobody reads any more.
    pub fn is_gone(&self) -> bool {
        self.poll(Patience::None)
            .intersects(PollFlags::POLLERR | PollFlags::POLLHUP)
    }

    /// How much was taken; None: nobody will take anything any more.
    pub fn write(&mut self, bytes: &[u8], patience: Patience) -> Option<usize> {
        loop {
            if !self.poll(patience).contains(PollFlags::POLLOUT) {
                if self.is_gone() {
                    return None;
                }
                if patience == Patience::None {
                    return Some(0);
                }
                continue;
            }
            match write(self.0.as_fd(), bytes.get(..READY).unwrap_or(bytes)) {
                Ok(taken) => return Some(taken),
                Err(Errno::EAGAIN | Errno::EINTR) if patience == Patience::Endless => {}
                Err(Errno::EAGAIN | Errno::EINTR) => return Some(0),
                Err(_) => return None,
            }
        }
    }
}
