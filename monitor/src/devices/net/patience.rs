//! How long to look for more work before sleeping: longer while it pays, shorter while it does not.

use std::time::Duration;

/// A driver that rings pays an exit, and a thread that sleeps pays a wake-up: looking for as long as those take costs at
/// most twice the best that one could do.
const LONGEST: Duration = Duration::from_micros(300);
/// What a lone frame now and then costs.
const SHORTEST: Duration = Duration::from_micros(20);

pub struct Patience {
    window: Duration,
}

impl Patience {
    pub fn new() -> Self {
        Self { window: SHORTEST }
    }

    /// Is it time to sleep, after so long without work?
    pub fn is_over(&self, idle: Duration) -> bool {
        idle >= self.window
    }

    /// Work came after `idle`, which was spent looking.
    pub fn rewarded(&mut self, idle: Duration) {
        if idle > SHORTEST / 2 {
            self.window = (self.window * 2).min(LONGEST);
        }
    }

    pub fn disappointed(&mut self) {
        self.window = (self.window / 2).max(SHORTEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_shrinks_within_bounds() {
        let mut patience = Patience::new();
        for _ in 0..10 {
            patience.rewarded(SHORTEST);
        }
        assert!(!patience.is_over(LONGEST / 2) && patience.is_over(LONGEST));
        for _ in 0..10 {
            patience.disappointed();
        }
        assert!(patience.is_over(SHORTEST));
        patience.rewarded(Duration::ZERO);
        assert!(patience.is_over(SHORTEST));
    }
}
