//! What packet sockets see of a connection inside: the segments that its bytes would have been in.
use super::{End, LoopStream, both};
use crate::Result;
use crate::inet::counters::Counters;
use crate::packet::Observers;
use crate::packet::made_up::{self, ACK, FIN, PSH, RST, SYN, Segment};
use crate::uplink::Connection;
use alloc::sync::Arc;
use alloc::vec::Vec;
use vfs::Source;

/// `lo`, for what goes over it.
#[derive(Clone)]
pub(crate) struct Lo {
    pub counters: Arc<Counters>,
    pub observers: Arc<Observers>,
}

/// A source that keeps a copy of what was taken from it.
pub(super) struct Tee<'a> {
    source: &'a mut dyn Source,
    copy: Option<Vec<u8>>,
}

impl<'a> Tee<'a> {
    pub(super) fn new(source: &'a mut dyn Source, is_wanted: bool) -> Self {
        let copy = is_wanted.then(Vec::new);
        Self { source, copy }
    }

    /// The first `count` bytes that were taken.
    pub(super) fn taken(self, count: usize) -> Vec<u8> {
        let mut copy = self.copy.unwrap_or_default();
        copy.truncate(count);
        copy
    }
}

impl Source for Tee<'_> {
    fn remaining(&self) -> usize {
        self.source.remaining()
    }

    fn take(&mut self, into: &mut [u8]) -> Result<()> {
        self.source.take(into)?;
        if let Some(copy) = &mut self.copy
            && copy.try_reserve(into.len()).is_ok()
        {
            copy.extend_from_slice(into);
        }
        Ok(())
    }
}

/// The next sequence number of `own`; the first is 0.
fn next(own: &End, peer: &End) -> u32 {
    (1 + peer.received + u64::from(own.finished)) as u32
}

/// The next segment of `own`.
pub(super) fn segment(own: &End, peer: &End, flags: u8) -> Segment {
    Segment {
        sequence: next(own, peer),
        acknowledged: next(peer, own),
        flags: flags | ACK,
    }
}

/// How `own` says that it sends no more, if that is still to be said.
pub(super) fn last_segment(own: &End, peer: &End) -> Option<Segment> {
    let is_news = own.connection == Connection::Established && !own.finished;
    is_news.then(|| segment(own, peer, FIN))
}

impl LoopStream {
    pub(super) fn is_watched(&self) -> bool {
        self.pair.lo.observers.is_watched()
    }

    /// A segment from the end on `side`.
    fn show(&self, side: usize, segment: Segment, bytes: &[u8]) {
        if !self.is_watched() {
            return;
        }
        let [client, server] = self.pair.addresses;
        let (from, to) = if side == 0 {
            (client, server)
        } else {
            (server, client)
        };
        let frame = made_up::tcp(from, to, segment, bytes);
        self.pair.lo.observers.loopback(&frame);
    }

    /// The client asks for the connection.
    pub(crate) fn show_attempt(&self) {
        let (sequence, acknowledged) = (0, 0);
        let flags = SYN;
        self.show(
            0,
            Segment {
                sequence,
                acknowledged,
                flags,
            },
            b"",
        );
    }

    /// The server has answered.
    pub(super) fn show_answer(&self, is_accepted: bool) {
        let answer = |sequence, flags| Segment {
            sequence,
            acknowledged: 1,
            flags: flags | ACK,
        };
        if is_accepted {
            self.show(1, answer(0, SYN), b"");
            self.show(0, answer(1, 0), b"");
        } else {
            self.show(1, answer(0, RST), b"");
        }
    }

    /// This end has sent `bytes`, in as few segments as can be.
    pub(super) fn show_bytes(&self, first: Segment, bytes: &[u8]) {
        let mut segment = first;
        segment.flags |= PSH;
        for part in bytes.chunks(made_up::SEGMENT_MAX) {
            self.show(self.side, segment, part);
            segment.sequence = segment.sequence.wrapping_add(part.len() as u32);
        }
    }

    /// This end sends no more, and the other has heard of it.
    pub(super) fn show_end(&self, end: Segment) {
        self.show(self.side, end, b"");
        let heard = Segment {
            sequence: end.acknowledged,
            acknowledged: end.sequence.wrapping_add(1),
            flags: ACK,
        };
        self.show(1 - self.side, heard, b"");
    }

    /// A reset comes from this end, or from its peer.
    pub(super) fn show_reset(&self, from_peer: bool, reset: Segment) {
        let side = if from_peer { 1 - self.side } else { self.side };
        self.show(side, reset, b"");
    }

    /// The reset that this end, or its peer, would send now.
    pub(super) fn reset(&self, ends: &mut [End; 2], from_peer: bool) -> Segment {
        let (own, peer) = both(ends, self.side);
        if from_peer {
            segment(peer, own, RST)
        } else {
            segment(own, peer, RST)
        }
    }
}
