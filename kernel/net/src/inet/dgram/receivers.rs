//! Who gets a datagram.
use super::Dgram;
use crate::inet::ip::Cover;
use crate::inet::tcp::spread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// Which sockets may be meant: those of a UDP port, of an echo identifier, of a raw protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Key {
    Udp(u16),
    Echo(u16),
    Raw(u8),
}

/// What a socket wants of those.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interest {
    pub cover: Cover,
    pub device: u32,
    /// The only one it hears, when it is connected. Its port does not count for ICMP.
    pub peer: Option<SocketAddr>,
    pub reuse_port: bool,
}

impl Interest {
    /// None: not for this socket. Else the more the better it fits.
    fn score(&self, from: SocketAddr, to: IpAddr, device: u32, ports: bool) -> Option<u32> {
        let from_peer = self
            .peer
            .is_none_or(|peer| peer.ip() == from.ip() && (!ports || peer.port() == from.port()));
        let from_device = self.device == 0 || self.device == device;
        if !from_peer || !from_device || !self.cover.contains(to) {
            return None;
        }
        let closer = u32::from(self.peer.is_some()) * 2 + u32::from(self.device != 0);
        Some(self.cover.rank() * 4 + closer)
    }
}

#[derive(Default)]
pub(crate) struct Receivers(HashMap<Key, Vec<Arc<Dgram>>, FxBuildHasher>);

impl Receivers {
    pub(super) fn add(&mut self, key: Key, socket: Arc<Dgram>) {
        self.0.entry(key).or_default().push(socket);
    }

    pub(super) fn remove(&mut self, key: Key, socket: &Dgram) {
        if let Some(known) = self.0.get_mut(&key) {
            known.retain(|other| !core::ptr::eq(&**other, socket));
            if known.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    /// The one socket for a datagram: the best fit; of equals with `SO_REUSEPORT` the sender's address picks one, of others
    /// the latest has it.
    pub(super) fn find(
        &self,
        key: Key,
        from: SocketAddr,
        to: IpAddr,
        device: u32,
    ) -> Option<Arc<Dgram>> {
        let known = self.0.get(&key)?;
        let ports = matches!(key, Key::Udp(_));
        let mut best: (u32, usize, bool) = (0, 0, false);
        let scores = || {
            known
                .iter()
                .map(|socket| (socket, *socket.interest.lock()))
                .filter_map(|(socket, interest)| {
                    let score = interest.score(from, to, device, ports)?;
                    Some((socket, score, interest.reuse_port))
                })
        };
        for (_, score, reuse_port) in scores() {
            best = match score.cmp(&best.0) {
                _ if best.1 == 0 => (score, 1, reuse_port),
                core::cmp::Ordering::Greater => (score, 1, reuse_port),
                core::cmp::Ordering::Equal => (score, best.1 + 1, best.2 && reuse_port),
                core::cmp::Ordering::Less => best,
            };
        }
        let (score, count, reuse_port) = best;
        let choice = match count {
            0 => return None,
            1 => 0,
            _ if reuse_port => spread(from, count),
            _ => count - 1,
        };
        scores()
            .filter(|(_, other, _)| *other == score)
            .nth(choice)
            .map(|(socket, ..)| socket.clone())
    }

    /// All sockets for a datagram: multicast, broadcast, raw.
    pub(super) fn find_all(
        &self,
        key: Key,
        from: SocketAddr,
        to: IpAddr,
        device: u32,
    ) -> Vec<Arc<Dgram>> {
        let ports = matches!(key, Key::Udp(_));
        let known = self.0.get(&key).map_or(&[][..], Vec::as_slice);
        known
            .iter()
            .filter(|socket| {
                let interest = *socket.interest.lock();
                interest.score(from, to, device, ports).is_some()
            })
            .cloned()
            .collect()
    }
}
