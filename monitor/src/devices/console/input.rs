//! The host's stdin, to the receive queue of a port. Read only when the guest has room for it.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use boot_abi::config::{STREAM_CLOSED, STREAM_FILE, STREAM_NULL};
use vm_memory::Permissions;

use crate::devices::virtio::{Chain, DeviceError, Rings};
use crate::scatter;
use crate::stats::Counter;

/// Reads of a file before others get their turn.
const MOST_READS: usize = 64;

pub struct Input {
    fd: OwnedFd,
    /// The end was read. The descriptor stays open all the same, as epoll may know it.
    ended: bool,
    /// Files are always readable, and epoll does not take them.
    always_ready: bool,
    queue: usize,
    /// Taken from the queue for a read that then found nothing.
    spare: Option<Chain>,
    counter: Arc<Counter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing to do before the guest gives a buffer.
    NeedsBuffer,
    /// Watch the descriptor.
    NeedsData,
    /// Call again soon.
    More,
    /// The end was reached just now.
    End,
}

impl Input {
    pub fn new(fd: OwnedFd, kind: u8, queue: usize, counter: Arc<Counter>) -> Self {
        let always_ready = matches!(kind, STREAM_FILE | STREAM_NULL | STREAM_CLOSED);
        Self {
            fd,
            ended: false,
            always_ready,
            queue,
            spare: None,
            counter,
        }
    }

    /// What to watch, if it can be watched.
    pub fn watched(&self) -> Option<RawFd> {
        (!self.always_ready).then(|| self.fd.as_raw_fd())
    }

    pub fn reset(&mut self) {
        self.spare = None;
    }

    /// `ready`: the descriptor polled readable.
    pub fn fill(&mut self, rings: &mut Rings<'_>, mut ready: bool) -> Result<Next, DeviceError> {
        for _ in 0..MOST_READS {
            if self.ended {
                return Ok(Next::NeedsBuffer);
            }
            if self.spare.is_none() && !rings.available(self.queue)? && !rings.listen(self.queue)? {
                return Ok(Next::NeedsBuffer);
            }
            if !ready && !self.always_ready {
                return Ok(Next::NeedsData);
            }
            // One readiness is good for one read that does not block.
            ready = false;
            let Some(chain) = self
                .spare
                .take()
                .map_or_else(|| rings.pop(self.queue), |c| Ok(Some(c)))?
            else {
                continue;
            };
            match self.read(rings, &chain)? {
                Ok(0) => {
                    self.ended = true;
                    self.spare = Some(chain);
                    return Ok(Next::End);
                }
                Ok(got) => {
                    self.counter.add(got as u64);
                    rings.put(
                        self.queue,
                        chain.head,
                        u32::try_from(got).unwrap_or(u32::MAX),
                    )?;
                }
                Err(e) => {
                    self.spare = Some(chain);
                    match e.kind() {
                        ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                        // A terminal that hung up, or an unreadable descriptor: as the end, to the guest.
                        _ => {
                            self.ended = true;
                            return Ok(Next::End);
                        }
                    }
                }
            }
        }
        Ok(Next::More)
    }

    fn read(&self, rings: &Rings<'_>, chain: &Chain) -> Result<io::Result<usize>, DeviceError> {
        let mut slices = Vec::new();
        Rings::slices(
            rings.memory,
            &chain.writable,
            Permissions::Write,
            &mut slices,
        )?;
        if slices.iter().all(|s| s.is_empty()) {
            return Err(DeviceError::Protocol("gave an empty receive buffer"));
        }
        Ok(scatter::read(self.fd.as_fd(), &slices))
    }
}
