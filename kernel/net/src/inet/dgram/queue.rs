//! What has arrived for a datagram socket: datagrams and errors.
use crate::inet::ip::Family;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;

/// What Linux counts for a datagram besides its bytes (`SKB_TRUESIZE`).
const OVERHEAD: usize = 576;
/// `SO_EE_ORIGIN_*`
const ORIGIN_LOCAL: u8 = 1;
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;
/// More errors than this are not kept for who does not read them.
const ERRORS_MAX: usize = 64;

/// A datagram on its way to a reader.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub bytes: Vec<u8>,
    pub from: SocketAddr,
    pub to: IpAddr,
    pub hop_limit: u8,
    pub traffic_class: u8,
    /// Where it came in.
    pub interface: u32,
    /// `CLOCK_REALTIME`, if somebody wanted to know then; else 0.
    pub at: u64,
}

/// An entry of the error queue, see `IP_RECVERR` in ip(7).
#[derive(Clone, Debug)]
pub(super) struct ErrorEntry {
    pub errno: Errno,
    pub origin: u8,
    pub kind: u8,
    pub code: u8,
    pub offender: Option<IpAddr>,
    /// Where the datagram was sent.
    pub remote: SocketAddr,
    /// What it said, as far as known.
    pub bytes: Vec<u8>,
}

impl ErrorEntry {
    /// As the ICMP message would have it that tells of `errno`.
    pub(super) fn new(errno: Errno, remote: SocketAddr, offender: IpAddr, bytes: Vec<u8>) -> Self {
        let v6 = Family::of(remote.ip()) == Family::V6;
        // Type and code of destination unreachable, packet too big and time exceeded.
        let (kind, code) = match (errno, v6) {
            (Errno::ECONNREFUSED, false) => (3, 3),
            (Errno::ECONNREFUSED, true) => (1, 4),
            (Errno::ENETUNREACH, false) => (3, 0),
            (Errno::ENETUNREACH, true) => (1, 0),
            (Errno::EHOSTUNREACH, false) => (3, 1),
            (Errno::EHOSTUNREACH, true) => (1, 3),
            (Errno::EACCES, false) => (3, 13),
            (Errno::EACCES, true) => (1, 1),
            (Errno::EMSGSIZE, false) => (3, 4),
            (Errno::EMSGSIZE, true) => (2, 0),
            // No message is known for it, so it did not come from the network.
            _ => (0, 0),
        };
        let origin = match ((kind, code), v6) {
            ((0, 0), _) => ORIGIN_LOCAL,
            (_, false) => ORIGIN_ICMP,
            (_, true) => ORIGIN_ICMP6,
        };
        Self {
            errno,
            origin,
            kind,
            code,
            offender: (origin != ORIGIN_LOCAL).then_some(offender),
            remote,
            bytes,
        }
    }
}

#[derive(Default)]
pub(super) struct Queue {
    pub datagrams: VecDeque<Datagram>,
    used: usize,
    /// `sk_err`: what the next call answers.
    pub error: Option<Errno>,
    pub errors: VecDeque<ErrorEntry>,
    /// Datagrams that found no room.
    pub dropped: u32,
    /// The uplink has no room; it will tell.
    pub blocked: bool,
    pub shut_read: bool,
    pub shut_write: bool,
}

impl Queue {
    /// False: there was no room within `limit`, and the datagram is gone.
    pub(super) fn push(&mut self, datagram: Datagram, limit: usize) -> bool {
        if self.used > limit {
            self.dropped += 1;
            return false;
        }
        self.used += datagram.bytes.len() + OVERHEAD;
        self.datagrams.push_back(datagram);
        true
    }

    pub(super) fn pop(&mut self) -> Option<Datagram> {
        let datagram = self.datagrams.pop_front()?;
        self.used -= datagram.bytes.len() + OVERHEAD;
        if self.datagrams.is_empty() {
            // An idle socket is small.
            self.datagrams = VecDeque::new();
        }
        Some(datagram)
    }

    /// Bytes accounted, as /proc/net/udp shows.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) fn push_error(&mut self, entry: ErrorEntry) {
        self.error = Some(entry.errno);
        if self.errors.len() < ERRORS_MAX {
            self.errors.push_back(entry);
        }
    }

    /// The oldest error; the next one becomes the socket's.
    pub(super) fn pop_error(&mut self) -> Option<ErrorEntry> {
        let entry = self.errors.pop_front()?;
        self.error = self.errors.front().map(|next| next.errno);
        Some(entry)
    }
}
