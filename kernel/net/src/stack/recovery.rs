//! Losses that smoltcp would only notice after its least retransmission timeout of a second.
//!
//! smoltcp sends a segment again after three duplicate acknowledgements, once. When several of one window are lost, the
//! acknowledgement that comes then is a partial one, and the next lost segment should follow at once (NewReno, RFC 6582); when
//! the last ones are lost, no duplicates come at all (RFC 8985 has the tail-loss probe for that). In both cases the socket is
//! given the three duplicates that it waits for.
use super::connection::Connection;
use super::packet::{self, HOP_LIMIT, TCP, header_length};
use super::path::{ACK, Path, Segment, is_before};
use alloc::vec::Vec;

/// Least time until a probe: peers delay acknowledgements for 40 ms.
const LEAST: u64 = 50_000_000;
/// The same before there is a measurement.
const UNMEASURED: u64 = 200_000_000;
/// Probes without an answer, each after twice the time; after these smoltcp's own timer is near.
const PROBES: u8 = 3;
const DUPLICATES: usize = 3;

#[derive(Default)]
pub struct Recovery {
    duplicates: usize,
    /// Everything before this was sent when a loss was noticed.
    recover: Option<u32>,
    probe_at: Option<u64>,
    probes: u8,
}

impl Recovery {
    /// When to look for lost segments at the end of what was sent.
    pub fn alarm(&self) -> Option<u64> {
        self.probe_at
    }

    /// An acknowledgement has come; `before`: what was not acknowledged before it. Answers whether the next segment is lost, too.
    pub fn heard(&mut self, segment: &Segment, before: u32, path: &Path) -> bool {
        if path.unacknowledged != before {
            self.probe_at = None;
            self.probes = 0;
            self.duplicates = 0;
            return match self.recover {
                Some(recover) if is_before(path.unacknowledged, recover) => true,
                _ => {
                    self.recover = None;
                    false
                }
            };
        }
        let is_duplicate = segment.payload == 0
            && segment.acknowledged == before
            && is_before(path.unacknowledged, path.next);
        if is_duplicate {
            self.duplicates += 1;
            if self.duplicates == DUPLICATES {
                self.recover.get_or_insert(path.next);
            }
        }
        false
    }

    /// At the end of a turn. Answers whether it is time to send the first segment again.
    pub fn check(&mut self, path: &Path, now: u64) -> bool {
        if path.unacknowledged == path.next || self.probes >= PROBES {
            self.probe_at = None;
            return false;
        }
        let at = *self.probe_at.get_or_insert(now + self.patience(path));
        if now < at {
            return false;
        }
        self.probes += 1;
        self.probe_at = Some(now + self.patience(path));
        self.recover = Some(path.next);
        true
    }

    fn patience(&self, path: &Path) -> u64 {
        let base = match path.rtt {
            0 => UNMEASURED,
            rtt => (2 * u64::from(rtt) + 4 * u64::from(path.deviation)) * 1000,
        };
        base.max(LEAST) << self.probes
    }
}

impl Connection {
    /// The acknowledgements that make smoltcp send its first segment again, as packets for its socket.
    pub fn duplicates(&self) -> impl Iterator<Item = Vec<u8>> + use<> {
        const LENGTH: usize = 20;
        let (pair, path) = (&self.pair, &self.path);
        let start = header_length(pair.local.0);
        let mut ip = alloc::vec![0; start + LENGTH];
        packet::write_header(&mut ip, pair.remote.0, pair.local.0, TCP, LENGTH, HOP_LIMIT);
        let acknowledged = path.unacknowledged.wrapping_sub(path.shift);
        packet::write(&mut ip, start, &pair.remote.1.to_be_bytes());
        packet::write(&mut ip, start + 2, &pair.local.1.to_be_bytes());
        packet::write(&mut ip, start + 4, &self.expected().to_be_bytes());
        packet::write(&mut ip, start + 8, &acknowledged.to_be_bytes());
        packet::write(&mut ip, start + 12, &[0x50, ACK]);
        let scale = path.peer.scale.unwrap_or(0).min(14);
        let window = (path.peer_window >> scale).min(0xffff) as u16;
        packet::write(&mut ip, start + 14, &window.to_be_bytes());
        core::iter::repeat_n(ip, DUPLICATES)
    }
}
