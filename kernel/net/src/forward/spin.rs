//! How long an idle CPU looks at the device before it halts: as KVM's halt polling, by experience.
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Without experience, and where nothing comes, in ns.
const SHORTEST: u64 = 20_000;
const LONGEST: u64 = 300_000;
/// Spinning a little longer would have saved a halt that ends this early, waking up included, which takes about 265 us on KVM
/// without hardware virtualisation.
const SOON: u64 = 2 * LONGEST;

pub struct SpinTime(AtomicU64);

impl Default for SpinTime {
    fn default() -> Self {
        Self::new()
    }
}

impl SpinTime {
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(SHORTEST))
    }

    /// In ns.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// The CPU was idle for `ns`, and had to halt meanwhile; `traffic`: what ended it came from the device.
    pub fn learn(&self, ns: u64, traffic: bool) {
        let now = self.get();
        let next = if ns > SOON {
            now / 2
        } else if traffic {
            now * 2
        } else {
            now
        };
        self.0.store(next.clamp(SHORTEST, LONGEST), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spins_longer_while_that_pays() {
        let spin = SpinTime::new();
        assert_eq!(spin.get(), SHORTEST);
        spin.learn(100_000, false);
        assert_eq!(spin.get(), SHORTEST);
        for _ in 0..10 {
            spin.learn(300_000, true);
        }
        assert_eq!(spin.get(), LONGEST);
        spin.learn(5_000_000, true);
        assert_eq!(spin.get(), LONGEST / 2);
        for _ in 0..10 {
            spin.learn(5_000_000, false);
        }
        assert_eq!(spin.get(), SHORTEST);
    }
}
