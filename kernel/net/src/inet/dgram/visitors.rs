//! Who is outside although the address says loopback.
use alloc::collections::BTreeSet;
use core::net::SocketAddr;

/// So many are remembered at least, the latest.
const MOST: usize = 1024;

/// Peers on the host's loopback interface that have written to a published port. A server that is bound to a loopback
/// address sees them at one, and what it sends to them leaves.
#[derive(Default)]
pub struct Visitors {
    recent: BTreeSet<SocketAddr>,
    before: BTreeSet<SocketAddr>,
}

impl Visitors {
    pub fn add(&mut self, peer: SocketAddr) {
        if self.recent.len() >= MOST {
            self.before = core::mem::take(&mut self.recent);
        }
        self.recent.insert(peer);
    }

    pub fn contains(&self, peer: SocketAddr) -> bool {
        self.recent.contains(&peer) || self.before.contains(&peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered() {
        let mut visitors = Visitors::default();
        let peer = |number: usize| SocketAddr::from(([127, 0, 0, 1], number as u16));
        for number in 1..=3 * MOST {
            visitors.add(peer(number));
        }
        assert!(!visitors.contains(peer(1)));
        assert!((2 * MOST..=3 * MOST).all(|number| visitors.contains(peer(number))));
        assert!(visitors.recent.len() + visitors.before.len() <= 2 * MOST);
    }
}
