//! `VTIME`: when a read that waits is over. Times are in ns of one clock, the caller's.

/// What `VTIME` counts in.
const TENTH: u64 = 100_000_000;
/// A limit that ran out so long ago was of a read that nobody waits for any more.
const STALE: u64 = 100_000_000;

/// The limit of the read that waits, if one does.
#[derive(Default)]
pub struct TimeLimit(Option<u64>);

impl TimeLimit {
    /// Whether it is over. If there is none one of `tenths` starts, and `wake_at` hears when it will be over.
    pub fn is_over(&mut self, now: u64, tenths: u8, wake_at: impl FnOnce(u64)) -> bool {
        match self.0 {
            Some(deadline) if now < deadline => false,
            Some(deadline) if now < deadline + STALE => {
                self.0 = None;
                true
            }
            _ => {
                let deadline = now + u64::from(tenths) * TENTH;
                self.0 = Some(deadline);
                wake_at(deadline);
                false
            }
        }
    }

    /// Whether there is one that is over, by a clock that is asked only then.
    pub fn has_passed(&self, now: impl FnOnce() -> u64) -> bool {
        self.0
            .is_some_and(|deadline| (deadline..deadline + STALE).contains(&now()))
    }

    /// Something was typed: the time starts anew.
    pub fn restart(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_starts_once_and_ends_once() {
        let mut limit = TimeLimit::default();
        let mut told = None;
        assert!(!limit.has_passed(|| 0));
        assert!(!limit.is_over(7, 2, |deadline| told = Some(deadline)));
        assert_eq!(told, Some(7 + 2 * TENTH));
        let end = 7 + 2 * TENTH;
        assert!(!limit.is_over(end - 1, 2, |_| panic!("it has started")));
        assert!(!limit.has_passed(|| end - 1) && limit.has_passed(|| end));
        assert!(limit.is_over(end, 2, |_| panic!("it has started")));
        assert!(!limit.has_passed(|| end));
    }

    #[test]
    fn a_limit_of_long_ago_is_none() {
        let mut limit = TimeLimit::default();
        limit.is_over(0, 1, |_| {});
        let late = TENTH + STALE;
        assert!(!limit.has_passed(|| late));
        let mut told = None;
        assert!(!limit.is_over(late, 1, |deadline| told = Some(deadline)));
        assert_eq!(told, Some(late + TENTH));
    }

    #[test]
    fn what_is_typed_starts_the_time_anew() {
        let mut limit = TimeLimit::default();
        limit.is_over(0, 1, |_| {});
        limit.restart();
        assert!(!limit.has_passed(|| TENTH));
        assert!(!limit.is_over(TENTH, 1, |_| {}));
    }
}
