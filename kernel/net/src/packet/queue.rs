//! Frames that wait for the program.
use crate::address::Address;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What Linux counts for a frame besides its bytes (`SKB_TRUESIZE`).
const OVERHEAD: usize = 576;

/// About a frame that a socket takes.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// A `struct sockaddr_ll`.
    pub from: Address,
    /// Of the whole packet, as the socket sees it.
    pub length: usize,
    /// Where in what the socket sees the network header is.
    pub network: usize,
    /// `CLOCK_REALTIME`
    pub at: u64,
}

/// One with as much of its bytes as the filter wanted.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub frame: Frame,
    pub bytes: Vec<u8>,
}

#[derive(Default)]
pub(super) struct Queue {
    frames: VecDeque<Waiting>,
    used: usize,
}

impl Queue {
    /// False: there was no room within `limit`.
    pub(super) fn push(&mut self, frame: Frame, bytes: &[u8], limit: usize) -> bool {
        if self.used > limit {
            return false;
        }
        self.used += bytes.len() + OVERHEAD;
        self.frames.push_back(Waiting {
            frame,
            bytes: bytes.to_vec(),
        });
        true
    }

    pub(super) fn front(&self) -> Option<&Waiting> {
        self.frames.front()
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let first = self.frames.pop_front()?;
        self.used -= first.bytes.len() + OVERHEAD;
        Some(first)
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }
}
