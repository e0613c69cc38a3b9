//! How much may be under way: Cubic (RFC 9438) in whole numbers, since MXCSR is the program's.

/// Segments that may be under way at first (RFC 6928).
const INITIAL: u32 = 10;
/// What is left after a loss, in tenths.
const KEPT: u32 = 7;
/// The most that the clock of an epoch counts, in ms from its middle: its cube must fit.
const FARTHEST: i64 = 50_000;
const MILLISECOND: u64 = 1_000_000;

#[derive(Clone, Copy)]
pub struct Congestion {
    /// Bytes.
    pub window: u32,
    pub threshold: u32,
    pub mss: u32,
    /// Everything before this was sent when the window was made smaller last; until it is acknowledged, the loss is not a new one.
    pub recover: Option<u32>,
    /// Window and threshold before that.
    before: Option<(u32, u32)>,
    /// The window at the last loss, and the epoch since: its beginning, and how long it takes to get there again, in ms.
    peak: u32,
    epoch: Option<(u64, i64)>,
    /// What Reno's window would be.
    reno: u32,
}

impl Default for Congestion {
    fn default() -> Self {
        Self::new(536)
    }
}

impl Congestion {
    pub fn new(mss: u32) -> Self {
        Self {
            window: mss * INITIAL,
            threshold: u32::MAX,
            mss,
            recover: None,
            before: None,
            peak: 0,
            epoch: None,
            reno: 0,
        }
    }

    /// `bytes` were acknowledged while the window was in use.
    pub fn grow(&mut self, bytes: u32, rtt: u64, now: u64) {
        if self.window < self.threshold {
            self.window = self.window.saturating_add(bytes).min(1 << 30);
            return;
        }
        let window = self.window.max(1);
        let (since, middle) = *self.epoch.get_or_insert_with(|| {
            self.reno = window;
            self.peak = self.peak.max(window);
            let distance = u64::from((self.peak - window) / self.mss.max(1));
            // (W - Wmax) = 0.4 (t - K)^3, in segments and seconds.
            (now, cube_root(distance * 2_500_000_000) as i64)
        });
        let share = |of: u32| (u64::from(of) * u64::from(bytes) / u64::from(window)) as u32;
        // 3 * (1 - 0.7) / (1 + 0.7)
        self.reno = self
            .reno
            .saturating_add(share(self.mss * 53 / 100))
            .min(1 << 30);
        let at = (now.saturating_sub(since) + rtt) / MILLISECOND;
        let at = (at as i64 - middle).clamp(-FARTHEST, FARTHEST);
        let cubic =
            i64::from(self.peak) + i64::from(self.mss) * 4 * (at * at * at / 1_000_000) / 10_000;
        let target = (cubic.max(0) as u64).min(u64::from(window) * 3 / 2) as u32;
        let step = share(target.saturating_sub(window)).max(u32::from(target > window));
        self.window = window.saturating_add(step).max(self.reno);
    }

    /// Something was lost; `next`: the first number that was not sent yet.
    pub fn lost(&mut self, next: u32) {
        if self.recover.is_some() {
            return;
        }
        self.reduce(next);
        self.window = self.threshold;
    }

    /// Nothing has come for long.
    pub fn timeout(&mut self, next: u32) {
        if self.recover.is_none() {
            self.reduce(next);
        }
        self.recover = Some(next);
        self.window = self.mss;
    }

    fn reduce(&mut self, next: u32) {
        self.recover = Some(next);
        self.before = Some((self.window, self.threshold));
        // Fast convergence: who is losing room makes some more.
        self.peak = if self.window < self.peak {
            (u64::from(self.window) * 17 / 20) as u32
        } else {
            self.window
        };
        self.epoch = None;
        let kept = (u64::from(self.window) * u64::from(KEPT) / 10) as u32;
        self.threshold = kept.max(2 * self.mss);
    }

    /// Nothing was lost: it was only late.
    pub fn undo(&mut self) {
        if let Some((window, threshold)) = self.before.take() {
            self.window = self.window.max(window);
            self.threshold = self.threshold.max(threshold);
            self.peak = self.peak.max(window);
            self.epoch = None;
            self.recover = None;
        }
    }

    /// All before `acknowledged` has arrived. Answers whether that is the end of a recovery.
    pub fn arrived(&mut self, acknowledged: u32) {
        if self
            .recover
            .is_some_and(|recover| !super::path::is_before(acknowledged, recover))
        {
            self.recover = None;
        }
    }
}

fn cube_root(of: u64) -> u64 {
    let mut root = 0;
    for bit in (0..21).rev() {
        let more = root | 1 << bit;
        if more * more * more <= of {
            root = more;
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    #[test]
    fn cube_roots() {
        for (of, root) in [
            (0, 0),
            (1, 1),
            (7, 1),
            (8, 2),
            (1_000_000_000, 1000),
            (1 << 60, 1 << 20),
        ] {
            assert_eq!(cube_root(of), root);
        }
    }

    #[test]
    fn it_starts_slowly_shrinks_once_a_loss_and_comes_back() {
        let mut one = Congestion::new(MSS);
        assert_eq!(one.window, 10 * MSS);
        one.grow(10 * MSS, 0, 0);
        assert_eq!(one.window, 20 * MSS);
        one.grow(180 * MSS, 0, 0);
        one.lost(77);
        one.lost(77);
        assert_eq!((one.window, one.threshold), (140 * MSS, 140 * MSS));
        one.arrived(76);
        assert!(one.recover.is_some());
        one.arrived(77);
        assert!(one.recover.is_none());
        // K = cbrt(60 / 0.4) = 5.3 s: then it is where it was, and goes on.
        let window_after = |seconds: u64| {
            let mut one = one;
            let rtt = 50 * MILLISECOND;
            for round in 0..seconds * 20 {
                one.grow(one.window, rtt, round * rtt);
            }
            one.window / MSS
        };
        assert!(
            (190..=201).contains(&window_after(5)),
            "{}",
            window_after(5)
        );
        assert!(window_after(2) > 170 && window_after(9) > 210);
    }

    #[test]
    fn what_was_only_late_is_no_loss() {
        let mut one = Congestion::new(MSS);
        one.lost(5);
        assert_eq!(one.window, 7 * MSS);
        one.undo();
        assert_eq!((one.window, one.threshold), (10 * MSS, u32::MAX));
        one.timeout(5);
        assert_eq!(one.window, MSS);
    }
}
