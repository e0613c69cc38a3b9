//! How long an idle CPU looks at the device before it halts: as KVM's halt polling, by experience.
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Without experience, and where nothing comes, in ns.
const SHORTEST: u64 = 20_000;
const LONGEST: u64 = 300_000;
/// Spinning a little longer would have saved a halt that ends this early, waking up included, which takes about 265 us on KVM
/// without hardware virtualisation.
const SOON: u64 = 2 * LONGEST;
/// After so many of the longest spins in vain, each followed by something soon, it is spinning that keeps the host from bringing
/// anything: it has other uses for the CPU.
const IN_VAIN: u32 = 4;
/// So many halts come before the next try.
const PAUSE: u32 = 128;

pub struct SpinTime {
    ns: AtomicU64,
    in_vain: AtomicU32,
    pause: AtomicU32,
}

impl Default for SpinTime {
    fn default() -> Self {
        Self::new()
    }
}

impl SpinTime {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ns: AtomicU64::new(SHORTEST),
            in_vain: AtomicU32::new(0),
            pause: AtomicU32::new(0),
        }
    }

    /// In ns.
    pub fn get(&self) -> u64 {
        self.ns.load(Relaxed)
    }

    /// Something came while the CPU was spinning.
    pub fn hit(&self) {
        self.in_vain.store(0, Relaxed);
    }

    /// The CPU was idle for `ns`, and had to halt meanwhile; `traffic`: what ended it came from the device.
    pub fn learn(&self, ns: u64, traffic: bool) {
        let pause = self.pause.load(Relaxed);
        if pause > 0 {
            self.pause.store(pause - 1, Relaxed);
            return;
        }
        let now = self.get();
        let next = if ns > SOON {
            now / 2
        } else if !traffic {
            now
        } else if now < LONGEST || !self.is_in_vain() {
            now * 2
        } else {
            self.hit();
            self.pause.store(PAUSE, Relaxed);
            SHORTEST
        };
        self.ns.store(next.clamp(SHORTEST, LONGEST), Relaxed);
    }

    fn is_in_vain(&self) -> bool {
        self.in_vain.fetch_add(1, Relaxed) + 1 >= IN_VAIN
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
        for _ in 0..4 {
            spin.learn(300_000, true);
        }
        assert_eq!(spin.get(), LONGEST);
        for _ in 0..10 {
            spin.learn(400_000, true);
            spin.hit();
        }
        assert_eq!(spin.get(), LONGEST);
        spin.learn(5_000_000, true);
        assert_eq!(spin.get(), LONGEST / 2);
        for _ in 0..10 {
            spin.learn(5_000_000, false);
        }
        assert_eq!(spin.get(), SHORTEST);
    }

    #[test]
    fn stops_where_spinning_is_what_keeps_things_from_coming() {
        let spin = SpinTime::new();
        for _ in 0..4 + IN_VAIN {
            spin.learn(390_000, true);
        }
        assert_eq!(spin.get(), SHORTEST);
        for _ in 0..PAUSE {
            spin.learn(100_000, true);
            assert_eq!(spin.get(), SHORTEST);
        }
        spin.learn(100_000, true);
        assert_eq!(spin.get(), 2 * SHORTEST);
    }
}
