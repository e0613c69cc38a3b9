//! What is under way to the peer: which parts have arrived, which are lost and are sent again, and how much may follow.
//!
//! smoltcp sends new bytes; this keeps a copy of them until they are acknowledged, since smoltcp can send nothing but the
//! first segment again. Losses are found by the peer's selective acknowledgements and by time, as RFC 8985 has it (RACK-TLP). smoltcp
//! never hears of duplicate acknowledgements, and of the peer's window only as much as may be used now.
use super::congestion::Congestion;
use super::path::is_before;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::ops::Range;

const MILLISECOND: u64 = 1_000_000;
/// Least and largest time until everything counts as lost.
const TIMEOUT_LEAST: u64 = 200 * MILLISECOND;
const TIMEOUT_MOST: u64 = 120_000 * MILLISECOND;
/// The same before there is a measurement.
const TIMEOUT_UNMEASURED: u64 = 1000 * MILLISECOND;
/// A single segment may be acknowledged late: peers delay acknowledgements for 40 ms.
const DELAYED: u64 = 50 * MILLISECOND;
const PROBE_LEAST: u64 = 2 * MILLISECOND;
/// So many duplicates, or segments that have overtaken, mean a loss where nothing was ever seen to overtake.
const DUPLICATES: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Flying,
    /// The peer has it, and nothing of it is kept.
    Arrived,
    Lost,
}

struct Piece {
    start: u32,
    end: u32,
    data: Arc<[u8]>,
    /// Where `start` lies in `data`.
    at: usize,
    /// The last number is the end of the stream.
    fin: bool,
    sent: u64,
    again: bool,
    fate: Fate,
}

/// A part that is to be sent again.
pub struct Again {
    pub start: u32,
    pub fin: bool,
    data: Arc<[u8]>,
    range: Range<usize>,
}

impl Again {
    pub fn bytes(&self) -> &[u8] {
        self.data.get(self.range.clone()).unwrap_or(&[])
    }
}

/// Times as far as they are known: smoothed, deviation, and least, in ns.
#[derive(Clone, Copy, Default)]
pub struct Times {
    pub rtt: u64,
    pub deviation: u64,
}

/// An acknowledgement.
pub struct Report<'a> {
    pub acknowledged: u32,
    /// Ranges that have arrived beyond it.
    pub blocks: &'a [(u32, u32)],
    /// It says nothing that was not known.
    pub is_duplicate: bool,
    pub peer_has_sack: bool,
    pub now: u64,
}

#[derive(Default)]
pub struct Flight {
    /// In order and without gaps, but for what lies before the first.
    pieces: VecDeque<Piece>,
    flying: u32,
    lost: u32,
    arrived: u32,
    pub congestion: Congestion,
    /// Of those that have arrived, when the one that was sent last was sent, and its end.
    newest: (u64, u32),
    /// The least round trip, and the last.
    least: Option<u64>,
    last: u64,
    /// How late segments come that were overtaken.
    lateness: u64,
    /// Since when something has arrived that lies beyond a gap.
    gap_since: Option<u64>,
    duplicates: u32,
    /// The next lost part is sent again whatever the window is: nothing else would tell more.
    is_urgent: bool,
    look_at: Option<u64>,
    /// When something is to be done if nothing comes, and how often that was so.
    alarm_at: Option<u64>,
    silences: u32,
}

impl Piece {
    fn length(&self) -> u32 {
        self.end.wrapping_sub(self.start)
    }

    /// Takes off everything from `at` on.
    fn split(&mut self, at: u32) -> Self {
        let before = at.wrapping_sub(self.start) as usize;
        let rest = Self {
            start: at,
            data: self.data.clone(),
            at: self.at + before,
            ..*self
        };
        (self.end, self.fin) = (at, false);
        rest
    }

    fn part(&self) -> Again {
        let bytes = self.length() as usize - usize::from(self.fin);
        Again {
            start: self.start,
            fin: self.fin,
            data: self.data.clone(),
            range: self.at..self.at + bytes,
        }
    }
}

impl Flight {
    /// The first number behind all that was sent, if something is under way.
    fn end(&self) -> Option<u32> {
        self.pieces.back().map(|piece| piece.end)
    }

    /// How much may be sent beyond what was.
    pub fn room(&self) -> u32 {
        self.congestion
            .window
            .saturating_sub(self.flying + self.lost)
    }

    /// The sender sends these bytes, which begin at `start`. What was sent before (it may do so after a second without
    /// an answer) is known already.
    pub fn sends(&mut self, start: u32, bytes: &[u8], fin: bool, expected: u32, now: u64) {
        let end = start.wrapping_add(bytes.len() as u32 + u32::from(fin));
        let known = self.end().unwrap_or(expected);
        if !is_before(known, end) {
            self.touch(start, end, now);
            return;
        }
        let skip = known.wrapping_sub(start).min(bytes.len() as u32) as usize;
        let start = start.wrapping_add(skip as u32);
        let piece = Piece {
            start,
            end,
            data: Arc::from(bytes.get(skip..).unwrap_or(&[])),
            at: 0,
            fin,
            sent: now,
            again: false,
            fate: Fate::Flying,
        };
        self.flying += piece.length();
        self.pieces.push_back(piece);
        self.alarm_at.get_or_insert(0);
    }

    /// These have been sent again by somebody else.
    fn touch(&mut self, start: u32, end: u32, now: u64) {
        for piece in &mut self.pieces {
            if piece.fate != Fate::Arrived
                && is_before(piece.start, end)
                && is_before(start, piece.end)
            {
                (piece.sent, piece.again) = (now, true);
                if piece.fate == Fate::Lost {
                    piece.fate = Fate::Flying;
                    self.lost -= piece.length();
                    self.flying += piece.length();
                }
            }
        }
    }

    /// An acknowledgement has come.
    pub fn heard(&mut self, report: &Report<'_>, times: Times) {
        let Some(next) = self.end() else {
            return;
        };
        let flying = self.flying + self.lost;
        let window = self.congestion.window;
        let arrived = self.acknowledge(report.acknowledged, report.now);
        let before = self.arrived;
        for (from, to) in report.blocks {
            self.select(*from, *to, report.now);
        }
        if arrived > 0 || self.arrived != before {
            (self.alarm_at, self.silences) = (Some(0), 0);
        }
        if report.is_duplicate && !report.peer_has_sack {
            self.duplicates += 1;
        }
        let recovers = self.congestion.recover.is_some();
        self.congestion.arrived(report.acknowledged);
        if arrived > 0 {
            self.duplicates = 0;
            let is_used = flying + self.congestion.mss >= window
                || window < self.congestion.threshold && flying >= window / 2;
            if is_used && self.congestion.recover.is_none() {
                self.congestion.grow(arrived, times.rtt, report.now);
            } else if self.congestion.window < self.congestion.threshold {
                // After a silence it begins anew, even while what was lost is sent again.
                self.congestion.window += arrived;
            }
        }
        let partial = arrived > 0 && recovers && self.congestion.recover.is_some();
        if !report.peer_has_sack && (partial || self.duplicates == DUPLICATES) {
            self.lose_first(next);
        }
        self.find_lost(times, report.now);
        if self.pieces.is_empty() {
            (self.alarm_at, self.look_at) = (None, None);
        }
    }

    fn acknowledge(&mut self, upto: u32, now: u64) -> u32 {
        let mut total = 0;
        while let Some(mut piece) = self
            .pieces
            .pop_front_if(|piece| is_before(piece.start, upto))
        {
            if is_before(upto, piece.end) {
                let rest = piece.split(upto);
                self.pieces.push_front(rest);
            }
            let length = piece.length();
            total += length;
            match piece.fate {
                Fate::Flying => self.flying -= length,
                Fate::Lost => self.lost -= length,
                Fate::Arrived => self.arrived -= length,
            }
            if piece.fate != Fate::Arrived {
                self.delivered(&piece, now);
            }
        }
        if total > 0 {
            self.gap_since = (self.arrived > 0).then_some(now);
        }
        total
    }

    /// Everything from `from` to `to` has arrived.
    fn select(&mut self, from: u32, to: u32, now: u64) {
        let (Some(first), Some(end)) = (self.pieces.front().map(|piece| piece.start), self.end())
        else {
            return;
        };
        // An old report, a duplicate one (RFC 2883), or nonsense.
        if is_before(from, first) || is_before(end, to) || !is_before(from, to) {
            return;
        }
        let mut index = self
            .pieces
            .partition_point(|piece| !is_before(from, piece.end));
        while let Some(piece) = self.pieces.get_mut(index) {
            if !is_before(piece.start, to) {
                break;
            }
            if piece.fate == Fate::Arrived {
                index += 1;
                continue;
            }
            if is_before(piece.start, from) {
                let rest = piece.split(from);
                index += 1;
                self.pieces.insert(index, rest);
                continue;
            }
            if is_before(to, piece.end) {
                let rest = piece.split(to);
                self.pieces.insert(index + 1, rest);
            }
            self.arrives(index, now);
            index = self.merge(index) + 1;
        }
    }

    fn arrives(&mut self, index: usize, now: u64) {
        let Some(piece) = self.pieces.get_mut(index) else {
            return;
        };
        let length = piece.length();
        match piece.fate {
            Fate::Lost => self.lost -= length,
            _ => self.flying -= length,
        }
        self.arrived += length;
        piece.fate = Fate::Arrived;
        let piece = Piece {
            data: Arc::default(),
            ..*piece
        };
        self.delivered(&piece, now);
        self.gap_since.get_or_insert(now);
    }

    /// Makes one of neighbours that have arrived. Answers where it is.
    fn merge(&mut self, index: usize) -> usize {
        let arrived = |piece: &Piece| piece.fate == Fate::Arrived;
        let end = match self.pieces.get(index + 1) {
            Some(next) if arrived(next) => Some((next.end, next.fin)),
            _ => None,
        };
        if let Some(end) = end
            && let Some(piece) = self.pieces.get_mut(index)
        {
            (piece.end, piece.fin) = end;
            self.pieces.remove(index + 1);
        }
        let Some(piece) = self.pieces.get_mut(index) else {
            return index;
        };
        piece.data = Arc::default();
        let end = (piece.end, piece.fin);
        let Some(before) = index.checked_sub(1) else {
            return index;
        };
        match self.pieces.get_mut(before) {
            Some(one) if arrived(one) => {
                (one.end, one.fin) = end;
                self.pieces.remove(index);
                before
            }
            _ => index,
        }
    }

    fn delivered(&mut self, piece: &Piece, now: u64) {
        let rtt = now.saturating_sub(piece.sent);
        let is_first = piece.again && self.least.is_some_and(|least| rtt < least);
        let (newest, end) = self.newest;
        let is_overtaken = piece.sent < newest || piece.sent == newest && is_before(piece.end, end);
        if is_first || !piece.again && is_overtaken {
            let late = now.saturating_sub(self.gap_since.unwrap_or(now));
            self.lateness = self.lateness.max(late + late / 4);
        }
        if is_first {
            // It was not lost: what was sent again cannot have come so soon.
            self.congestion.undo();
            return;
        }
        if !is_overtaken {
            self.newest = (piece.sent, piece.end);
            self.last = rtt;
        }
        if !piece.again {
            self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
        }
    }

    fn lose_first(&mut self, next: u32) {
        let mss = self.congestion.mss;
        if let Some(piece) = self.pieces.front_mut()
            && piece.fate == Fate::Flying
        {
            if piece.length() > mss {
                let rest = piece.split(piece.start.wrapping_add(mss));
                self.pieces.insert(1, rest);
            }
            self.mark_lost(0);
            self.congestion.lost(next);
            self.is_urgent = true;
        }
    }

    /// What is larger than `mss` cannot have come through, and goes in smaller parts. That says nothing about how full the way is.
    pub fn shrink(&mut self, mss: u32) {
        self.congestion.mss = self.congestion.mss.min(mss);
        for index in 0..self.pieces.len() {
            if self.pieces.get(index).is_some_and(|one| one.length() > mss) {
                self.mark_lost(index);
                self.is_urgent = true;
            }
        }
    }

    fn mark_lost(&mut self, index: usize) {
        if let Some(piece) = self.pieces.get_mut(index)
            && piece.fate == Fate::Flying
        {
            piece.fate = Fate::Lost;
            self.flying -= piece.length();
            self.lost += piece.length();
        }
    }

    /// What was sent before something that has arrived, and could have come by now, is lost.
    fn find_lost(&mut self, times: Times, now: u64) {
        self.look_at = None;
        if self.arrived == 0 {
            return;
        }
        let Some(next) = self.end() else {
            return;
        };
        let patience = self.patience(times);
        let (newest, end) = self.newest;
        let mut behind = self.arrived;
        for index in 0..self.pieces.len() {
            if behind == 0 {
                break;
            }
            let Some(piece) = self.pieces.get(index) else {
                break;
            };
            if piece.fate == Fate::Arrived {
                behind -= piece.length();
            }
            let is_overtaken =
                piece.sent < newest || piece.sent == newest && is_before(piece.end, end);
            if piece.fate != Fate::Flying || !is_overtaken {
                continue;
            }
            let due = piece.sent + self.last + patience;
            if due <= now {
                self.mark_lost(index);
                self.is_urgent |= self.congestion.recover.is_none();
                self.congestion.lost(next);
            } else {
                self.look_at = Some(self.look_at.map_or(due, |at| at.min(due)));
            }
        }
    }

    /// How long to wait for what was overtaken.
    fn patience(&self, times: Times) -> u64 {
        if self.lateness > 0 {
            return self.lateness.min(times.rtt.max(MILLISECOND));
        }
        if self.congestion.recover.is_some() || self.arrived >= DUPLICATES * self.congestion.mss {
            return 0;
        }
        self.least.unwrap_or(0) / 4
    }

    /// When to look after it.
    pub fn alarm(&self) -> Option<u64> {
        [self.look_at, self.alarm_at].into_iter().flatten().min()
    }

    /// At the end of a turn, and when time is up. `may_send`: the peer has a window. Some: this is to be sent again to learn
    /// whether it has arrived.
    pub fn check(&mut self, times: Times, may_send: bool, now: u64) -> Option<Again> {
        if self.look_at.is_some_and(|at| at <= now) {
            self.find_lost(times, now);
        }
        let at = self.alarm_at?;
        if self.pieces.is_empty() || !may_send {
            self.alarm_at = None;
            return None;
        }
        if at == 0 {
            self.alarm_at = Some(now + self.silence(times));
        }
        if at == 0 || now < at {
            return None;
        }
        self.silences += 1;
        self.alarm_at = Some(now + self.silence(times));
        if self.silences == 1 {
            return self.probe(now);
        }
        let next = self.end()?;
        for index in 0..self.pieces.len() {
            self.mark_lost(index);
        }
        self.congestion.timeout(next);
        None
    }

    /// How long to wait for the next sign of the peer: first for a probe, then until all is lost.
    fn silence(&self, times: Times) -> u64 {
        let timeout = match times.rtt {
            0 => TIMEOUT_UNMEASURED,
            rtt => (rtt + 4 * times.deviation).max(TIMEOUT_LEAST),
        };
        match self.silences {
            0 if times.rtt == 0 => TIMEOUT_LEAST,
            0 => {
                let single = self.flying + self.lost <= self.congestion.mss;
                let wait = 2 * times.rtt + if single { DELAYED } else { PROBE_LEAST };
                wait.min(timeout)
            }
            count => (timeout << (count - 1).min(10)).min(TIMEOUT_MOST),
        }
    }

    /// The end of what is under way.
    fn probe(&mut self, now: u64) -> Option<Again> {
        let mss = self.congestion.mss;
        let index = self
            .pieces
            .iter()
            .rposition(|piece| piece.fate != Fate::Arrived)?;
        let piece = self.pieces.get_mut(index)?;
        let index = if piece.length() > mss {
            let rest = piece.split(piece.end.wrapping_sub(mss));
            self.pieces.insert(index + 1, rest);
            index + 1
        } else {
            index
        };
        self.resend(index, now)
    }

    fn resend(&mut self, index: usize, now: u64) -> Option<Again> {
        let piece = self.pieces.get_mut(index)?;
        if piece.fate == Fate::Lost {
            piece.fate = Fate::Flying;
            self.lost -= piece.length();
            self.flying += piece.length();
        }
        (piece.sent, piece.again) = (now, true);
        Some(piece.part())
    }

    /// The next lost part that may be sent again now.
    pub fn next_lost(&mut self, now: u64) -> Option<Again> {
        let is_full = self.flying > 0 && self.flying + self.congestion.mss > self.congestion.window;
        if self.lost == 0 || is_full && !core::mem::take(&mut self.is_urgent) {
            return None;
        }
        let mss = self.congestion.mss.max(1);
        let index = self
            .pieces
            .iter()
            .position(|piece| piece.fate == Fate::Lost)?;
        let piece = self.pieces.get_mut(index)?;
        if piece.length() > mss {
            let rest = piece.split(piece.start.wrapping_add(mss));
            self.pieces.insert(index + 1, rest);
        }
        self.resend(index, now)
    }
}

#[cfg(test)]
#[path = "tests/flight.rs"]
mod tests;
