//! Sockets that only queues of such sockets refer to: nobody can receive what is in them, so they are emptied, and
//! that closes them.
//!
//! A socket in flight that nothing but queues refers to is a candidate. It is reachable when a queue holds it that belongs
//! to no candidate, or to a reachable one. The more sockets are in flight, the less often they are looked through.
//!
//! Others go on sending and receiving meanwhile. Only who receives a candidate can take anything out of its queue or put
//! anything of it elsewhere, so where nothing was received between the first look and the last, what is found is so for good.
use super::endpoint::Endpoint;
use super::flight::{Collecting, Flight, endpoint_of};
use super::names::Names;
use super::packets::Packet;
use super::stream::Stream;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

struct Candidate {
    endpoint: Arc<Endpoint>,
    /// How many queues hold it that are no candidate's.
    outside: usize,
    /// The sockets in its queues.
    held: Vec<u64>,
}

type Queues = (Stream, VecDeque<Packet>);

impl Names {
    /// Called whenever a socket was closed.
    pub fn collect_garbage(&self) {
        if let Some(alone) = self.flights.begin_after_close() {
            self.collect(&alone);
        }
    }

    /// Called before files are sent, by programs that may never close a socket that is not in flight.
    pub fn collect_garbage_if_many(&self) {
        if let Some(alone) = self.flights.begin_if_many() {
            self.collect(&alone);
            self.flights.many_are_twice_as_many();
        }
    }

    fn collect(&self, _alone: &Collecting<'_>) {
        let landed = self.flights.landed();
        let mut candidates = self.candidates();
        for candidate in candidates.values_mut() {
            candidate.held = held_by(&candidate.endpoint);
        }
        let held = candidates.values().flat_map(|candidate| &candidate.held);
        for id in held.copied().collect::<Vec<u64>>() {
            if let Some(candidate) = candidates.get_mut(&id) {
                candidate.outside = candidate.outside.saturating_sub(1);
            }
        }
        let reachable = reachable(&candidates);
        candidates.retain(|id, _| !reachable.contains(id));
        if self.flights.landed() != landed {
            return;
        }
        let garbage: Vec<Queues> = candidates
            .values()
            .flat_map(|candidate| empty(&candidate.endpoint))
            .collect();
        drop(candidates);
        for (_stream, packets) in garbage {
            packets.into_iter().for_each(Packet::leave);
        }
    }

    fn candidates(&self) -> BTreeMap<u64, Candidate> {
        // Let go once the sockets are unlocked: that may be what closes them.
        let mut files = Vec::new();
        let mut candidates = BTreeMap::new();
        for flying in self.flights.sockets.lock().values() {
            let Some(file) = flying.file.upgrade() else {
                continue;
            };
            // The reference just made is one more.
            if let Some(endpoint) = endpoint_of(&file)
                && Arc::strong_count(&file) == flying.count + 1
            {
                let candidate = Candidate {
                    endpoint: endpoint.clone(),
                    outside: flying.count,
                    held: Vec::new(),
                };
                candidates.insert(endpoint.id, candidate);
            }
            files.push(file);
        }
        candidates
    }
}

/// The sockets in the queues of an endpoint, and in those of connections that wait for its accept(2).
fn held_by(endpoint: &Endpoint) -> Vec<u64> {
    let state = endpoint.state.lock();
    let packets = state
        .packets
        .iter()
        .filter_map(|packet| packet.flight.as_ref());
    let mut held: Vec<u64> = state
        .stream
        .flights()
        .chain(packets)
        .flat_map(Flight::files)
        .filter_map(|file| endpoint_of(file).map(|endpoint| endpoint.id))
        .collect();
    let arrivals = state.arrivals.clone();
    drop(state);
    held.extend(arrivals.iter().flat_map(|arrival| held_by(arrival)));
    held
}

fn reachable(candidates: &BTreeMap<u64, Candidate>) -> BTreeSet<u64> {
    let roots = candidates
        .iter()
        .filter(|(_, candidate)| candidate.outside > 0);
    let mut work: Vec<u64> = roots.map(|(id, _)| *id).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = work.pop() {
        if let Some(candidate) = candidates.get(&id)
            && found.insert(id)
        {
            work.extend(&candidate.held);
        }
    }
    found
}

/// Takes everything out of the queues of an endpoint.
fn empty(endpoint: &Endpoint) -> Vec<Queues> {
    let mut state = endpoint.state.lock();
    let stream = core::mem::replace(&mut state.stream, Stream::new());
    let packets = core::mem::take(&mut state.packets);
    let arrivals = state.arrivals.clone();
    drop(state);
    let mut taken = alloc::vec![(stream, packets)];
    taken.extend(arrivals.iter().flat_map(|arrival| empty(arrival)));
    taken
}
