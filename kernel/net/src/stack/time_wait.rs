//! Connections in TIME-WAIT that nobody holds, as records of a few bytes.
use super::connection::Pair;
use super::output::Output;
use super::path::{RST, Segment, is_before};
use super::segment;
use alloc::collections::VecDeque;
use hashbrown::HashMap;
use rustc_hash::FxSeededState;

/// Half of Linux's, and as long as Linux's own peers need.
const TIME: u64 = 30_000_000_000;
/// `tcp_max_tw_buckets`: the oldest is forgotten.
const MOST: usize = 16384;

#[derive(Clone, Copy)]
struct Record {
    next: u32,
    acknowledged: u32,
    until: u64,
}

pub struct TimeWaits {
    records: HashMap<Pair, Record, FxSeededState>,
    order: VecDeque<(u64, Pair)>,
}

impl TimeWaits {
    pub fn new(seed: usize) -> Self {
        Self {
            records: HashMap::with_hasher(FxSeededState::with_seed(seed)),
            order: VecDeque::new(),
        }
    }

    pub fn add(&mut self, pair: Pair, next: u32, acknowledged: u32, now: u64) {
        if self.order.len() >= MOST {
            self.forget_first();
        }
        let until = now + TIME;
        let record = Record {
            next,
            acknowledged,
            until,
        };
        self.records.insert(pair, record);
        self.order.push_back((until, pair));
    }

    pub fn contains(&self, pair: &Pair) -> bool {
        self.records.contains_key(pair)
    }

    fn forget_first(&mut self) {
        if let Some((until, pair)) = self.order.pop_front()
            && self
                .records
                .get(&pair)
                .is_some_and(|record| record.until == until)
        {
            self.records.remove(&pair);
        }
    }

    pub fn next(&self) -> Option<u64> {
        self.order.front().map(|(until, _)| *until)
    }

    pub fn expire(&mut self, now: u64) {
        while self.next().is_some_and(|until| until <= now) {
            self.forget_first();
        }
    }

    /// A segment for one of them. Answers whether it is a SYN that may begin a new connection in its place.
    pub fn receive(&mut self, pair: &Pair, seen: &Segment, output: &mut Output) -> bool {
        let Some(record) = self.records.get(pair).copied() else {
            return false;
        };
        if seen.is_syn() && is_before(record.acknowledged, seen.sequence) {
            self.records.remove(pair);
            return true;
        }
        // As Linux does, unless `tcp_rfc1337` is set.
        if seen.has(RST) && seen.sequence == record.acknowledged {
            self.records.remove(pair);
        }
        // Anything that takes sequence space is a repetition.
        if !seen.has(RST) && seen.length() > 0 {
            segment::send(output, pair, record.next, record.acknowledged, 0);
        }
        false
    }
}
