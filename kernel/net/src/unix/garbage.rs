//! Sockets that only queues of such sockets refer to: nobody can receive what is in them, so they are emptied, and
//! that closes them.
//!
//! A socket in flight that nothing but queues refers to is a candidate. It is reachable when a queue holds it that belongs
//! to no candidate, or to a reachable one. The more sockets are in flight, the less often they are looked through.
use super::endpoint::Endpoint;
use super::flight::{Flight, endpoint_of};
use super::names::Names;
use super::packets::Packet;
use super::stream::Stream;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A candidate, and how many queues hold it that are no candidate's.
struct Candidate {
    endpoint: Arc<Endpoint>,
    outside: usize,
}

type Queues = (Stream, VecDeque<Packet>);

impl Names {
    /// Called whenever a socket was closed.
    pub fn collect_garbage(&self) {
        let Some(_alone) = self.flights.begin_collecting() else {
            return;
        };
        let mut candidates = self.candidates();
        let held: Vec<u64> = candidates
            .values()
            .flat_map(|candidate| held_by(&candidate.endpoint))
            .collect();
        for id in held {
            if let Some(candidate) = candidates.get_mut(&id) {
                candidate.outside = candidate.outside.saturating_sub(1);
            }
        }
        let reachable = reachable(&candidates);
        candidates.retain(|id, _| !reachable.contains(id));
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
        let (files, counts): (Vec<_>, Vec<_>) = {
            let sockets = self.flights.sockets.lock();
            let known = sockets.values();
            known
                .filter_map(|flying| Some((flying.file.upgrade()?, flying.count)))
                .unzip()
        };
        let mut candidates = BTreeMap::new();
        for (file, count) in files.iter().zip(counts) {
            // The reference in `files` is one more.
            if let Some(endpoint) = endpoint_of(file)
                && Arc::strong_count(file) == count + 1
            {
                let candidate = Candidate {
                    endpoint: endpoint.clone(),
                    outside: count,
                };
                candidates.insert(endpoint.id, candidate);
            }
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
    let mut found: BTreeSet<u64> = roots.map(|(id, _)| *id).collect();
    let mut work: Vec<u64> = found.iter().copied().collect();
    while let Some(candidate) = work.pop().and_then(|id| candidates.get(&id)) {
        for id in held_by(&candidate.endpoint) {
            if candidates.contains_key(&id) && found.insert(id) {
                work.push(id);
            }
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
