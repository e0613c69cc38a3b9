//! Who holds which local port: the rules of bind(2) with `SO_REUSEADDR` and `SO_REUSEPORT`, and ephemeral ports.
use super::ip::Cover;
use crate::Result;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;
use hashbrown::{HashMap, HashSet};
use linux_abi::Errno;
use rustc_hash::FxBuildHasher;

/// /proc/sys/net/ipv4/ip_local_port_range, until somebody wants another.
const EPHEMERAL: RangeInclusive<u16> = 32768..=60999;

/// What a socket claims of a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Claim {
    pub port: u16,
    pub cover: Cover,
    /// `SO_BINDTODEVICE`: the interface, 0 for any.
    pub device: u32,
    pub reuse_address: bool,
    pub reuse_port: bool,
    pub uid: u32,
    pub listening: bool,
    /// The port was chosen by connect(2), which may give it to a connection elsewhere, too.
    pub by_connect: bool,
}

impl Claim {
    /// Whether both cannot be. An ephemeral port is shared with nobody who has to be told apart by address.
    fn conflicts(&self, other: &Self, ephemeral: bool) -> bool {
        let same_device = self.device == 0 || other.device == 0 || self.device == other.device;
        if !same_device || !self.cover.overlaps(other.cover) {
            return false;
        }
        if self.reuse_address && other.reuse_address && !other.listening {
            return ephemeral;
        }
        !(self.reuse_port && other.reuse_port && self.uid == other.uid) || ephemeral
    }
}

/// Equal claims are counted, so that ten thousand connections of a server weigh as much as one.
struct Held {
    claim: Claim,
    count: usize,
}

/// The ports of one protocol.
pub(crate) struct Ports {
    held: HashMap<u16, Vec<Held>, FxBuildHasher>,
    /// The ephemeral ports, and how many of them nobody holds.
    ephemeral: RangeInclusive<u16>,
    unused: usize,
    /// Both ends of the connections that were begun here.
    pairs: HashSet<(SocketAddr, SocketAddr), FxBuildHasher>,
    /// State of a xorshift generator; where the next search for a port starts must not be guessed easily, no more.
    random: u64,
}

impl Ports {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            held: HashMap::default(),
            unused: EPHEMERAL.len(),
            ephemeral: EPHEMERAL,
            pairs: HashSet::default(),
            random: seed | 1,
        }
    }

    pub(crate) const fn ephemeral(&self) -> &RangeInclusive<u16> {
        &self.ephemeral
    }

    /// Which ports are ephemeral from now on; `range` is not empty. Those that are held stay so.
    pub(crate) fn set_ephemeral(&mut self, range: RangeInclusive<u16>) {
        let held = self.held.keys().filter(|port| range.contains(port)).count();
        self.unused = range.len() - held;
        self.ephemeral = range;
    }

    /// Takes the port that `claim` names; 0 asks for any. Answers the port. `EADDRINUSE`
    pub(crate) fn take(&mut self, mut claim: Claim) -> Result<u16> {
        if claim.port == 0 {
            claim.port = self
                .search(|held| !held.iter().any(|held| claim.conflicts(&held.claim, true)))
                .ok_or(Errno::EADDRINUSE)?;
        } else if self.is_refused(&claim, None) {
            return Err(Errno::EADDRINUSE);
        }
        self.add(claim);
        Ok(claim.port)
    }

    /// Takes a port for a connection to `remote`, which `claim` says nothing about. `EADDRNOTAVAIL`
    pub(crate) fn take_for_connection(
        &mut self,
        mut claim: Claim,
        local: IpAddr,
        remote: SocketAddr,
    ) -> Result<u16> {
        claim.by_connect = true;
        // Not to look through all of them each time when there is none.
        let unused = if self.unused > 0 {
            self.search(<[Held]>::is_empty)
        } else {
            None
        };
        let pairs = core::mem::take(&mut self.pairs);
        let port = unused.or_else(|| {
            self.search_ports(|port, held| {
                held.iter().all(|held| held.claim.by_connect)
                    && !pairs.contains(&(SocketAddr::new(local, port), remote))
            })
        });
        self.pairs = pairs;
        claim.port = port.ok_or(Errno::EADDRNOTAVAIL)?;
        self.add(claim);
        Ok(claim.port)
    }

    /// Notes a connection. `EADDRNOTAVAIL`: there is one with these ends.
    pub(crate) fn add_pair(&mut self, local: SocketAddr, remote: SocketAddr) -> Result<()> {
        if self.pairs.insert((local, remote)) {
            Ok(())
        } else {
            Err(Errno::EADDRNOTAVAIL)
        }
    }

    pub(crate) fn remove_pair(&mut self, local: SocketAddr, remote: SocketAddr) {
        self.pairs.remove(&(local, remote));
    }

    fn search(&mut self, fits: impl Fn(&[Held]) -> bool) -> Option<u16> {
        self.search_ports(|_, held| fits(held))
    }

    fn search_ports(&mut self, fits: impl Fn(u16, &[Held]) -> bool) -> Option<u16> {
        let count = self.ephemeral.len() as u32;
        let start = self.next_random() as u32 % count;
        (0..count)
            .map(|step| self.ephemeral.start() + ((start + step) % count) as u16)
            .find(|port| fits(*port, self.held.get(port).map_or(&[], Vec::as_slice)))
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 16
    }

    /// Whether somebody else's claim stands against it. `own`: the claim of the same socket, which does not count.
    pub(crate) fn is_refused(&self, claim: &Claim, own: Option<&Claim>) -> bool {
        self.held.get(&claim.port).is_some_and(|held| {
            held.iter().any(|held| {
                let others = held.count - usize::from(own == Some(&held.claim));
                others > 0 && claim.conflicts(&held.claim, false)
            })
        })
    }

    /// Holds a claim without asking: an accepted connection has its listener's port.
    pub(crate) fn add(&mut self, claim: Claim) {
        let held = self.held.entry(claim.port).or_default();
        if held.is_empty() && self.ephemeral.contains(&claim.port) {
            self.unused -= 1;
        }
        match held.iter_mut().find(|held| held.claim == claim) {
            Some(known) => known.count += 1,
            None => held.push(Held { claim, count: 1 }),
        }
    }

    pub(crate) fn release(&mut self, claim: &Claim) {
        let Some(held) = self.held.get_mut(&claim.port) else {
            return;
        };
        if let Some(at) = held.iter().position(|held| held.claim == *claim) {
            if let Some(known) = held.get_mut(at) {
                known.count -= 1;
            }
            held.retain(|held| held.count > 0);
        }
        if held.is_empty() {
            self.held.remove(&claim.port);
            self.unused += usize::from(self.ephemeral.contains(&claim.port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inet::ip::Family;

    fn claim(ip: &str, port: u16) -> Claim {
        let ip: IpAddr = ip.parse().unwrap();
        Claim {
            port,
            cover: Cover::new(Family::of(ip), ip, false),
            device: 0,
            reuse_address: false,
            reuse_port: false,
            uid: 0,
            listening: false,
            by_connect: false,
        }
    }

    #[test]
    fn addresses_that_overlap_need_reuse() {
        let mut ports = Ports::new(1);
        assert_eq!(ports.take(claim("127.0.0.1", 80)), Ok(80));
        assert_eq!(ports.take(claim("127.0.0.2", 80)), Ok(80));
        for ip in ["127.0.0.1", "0.0.0.0", "::"] {
            assert_eq!(ports.take(claim(ip, 80)), Err(Errno::EADDRINUSE));
        }
        assert_eq!(ports.take(claim("::1", 80)), Ok(80));
        ports.release(&claim("127.0.0.1", 80));
        assert_eq!(ports.take(claim("127.0.0.1", 80)), Ok(80));
    }

    #[test]
    fn reuse_address_does_not_share_with_a_listener() {
        let mut ports = Ports::new(1);
        let reuse = Claim {
            reuse_address: true,
            ..claim("0.0.0.0", 80)
        };
        let listening = Claim {
            listening: true,
            ..reuse
        };
        ports.take(reuse).unwrap();
        ports.take(reuse).unwrap();
        assert!(!ports.is_refused(&listening, Some(&reuse)));
        ports.release(&reuse);
        ports.add(listening);
        assert!(ports.is_refused(&listening, Some(&reuse)));
        assert_eq!(ports.take(reuse), Err(Errno::EADDRINUSE));
    }

    #[test]
    fn reuse_port_shares_within_a_user() {
        let mut ports = Ports::new(1);
        let shared = Claim {
            reuse_port: true,
            listening: true,
            ..claim("0.0.0.0", 80)
        };
        ports.take(shared).unwrap();
        ports.take(shared).unwrap();
        let other = Claim { uid: 7, ..shared };
        assert_eq!(ports.take(other), Err(Errno::EADDRINUSE));
        assert_eq!(ports.take(claim("1.2.3.4", 80)), Err(Errno::EADDRINUSE));
    }

    #[test]
    fn ephemeral_ports_are_all_given_out_once() {
        let mut ports = Ports::new(12345);
        let mut seen = HashSet::<u16, FxBuildHasher>::default();
        for _ in EPHEMERAL {
            let port = ports.take(claim("127.0.0.1", 0)).unwrap();
            assert!(EPHEMERAL.contains(&port) && seen.insert(port));
        }
        assert_eq!(ports.take(claim("0.0.0.0", 0)), Err(Errno::EADDRINUSE));
        let (local, remote) = ("127.0.0.1".parse().unwrap(), "9.9.9.9:80".parse().unwrap());
        assert_eq!(
            ports.take_for_connection(claim("127.0.0.1", 0), local, remote),
            Err(Errno::EADDRNOTAVAIL)
        );
    }

    #[test]
    fn another_range_counts_from_then_on() {
        let mut ports = Ports::new(7);
        ports.take(claim("127.0.0.1", 5001)).unwrap();
        ports.take(claim("127.0.0.1", 0)).unwrap();
        ports.set_ephemeral(5000..=5002);
        let mut given = [(); 2].map(|()| ports.take(claim("127.0.0.1", 0)).unwrap());
        given.sort_unstable();
        assert_eq!(given, [5000, 5002]);
        assert_eq!(ports.take(claim("127.0.0.1", 0)), Err(Errno::EADDRINUSE));
        ports.release(&claim("127.0.0.1", 5002));
        assert_eq!(ports.take(claim("127.0.0.1", 0)), Ok(5002));
    }

    #[test]
    fn connections_to_different_places_share_ports_when_they_must() {
        let mut ports = Ports::new(99);
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        for remote in ["9.9.9.9:80", "9.9.9.9:81"] {
            let remote = remote.parse().unwrap();
            for _ in EPHEMERAL {
                let port = ports
                    .take_for_connection(claim("127.0.0.1", 0), local, remote)
                    .unwrap();
                ports
                    .add_pair(SocketAddr::new(local, port), remote)
                    .unwrap();
            }
            assert_eq!(
                ports.take_for_connection(claim("127.0.0.1", 0), local, remote),
                Err(Errno::EADDRNOTAVAIL)
            );
        }
    }
}
