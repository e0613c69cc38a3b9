//! Threads that fight for a word. A mutex of the C library is not handed over: who finds it taken comes to the kernel to wait,
//! mostly finds it free again, goes back, finds it taken again, and each time takes the word's cache line from the thread that
//! works. A thread to which that happens again and again is held back a little, as locks that spin back off: meanwhile the
//! others get on undisturbed.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Who is back after less than this, in ns, has got little else done.
const AT_ONCE: u64 = 4_000;
/// How long a thread is held back at first, in ns; every further time it is twice as long.
const FIRST: u64 = 2_000;
/// Twice so often, at most: then it is not much longer than going to sleep and being woken takes.
const DOUBLED: u32 = 3;

/// What a thread remembers of its waits for words. Only the thread itself uses it.
#[derive(Default)]
pub struct Backoff {
    /// The word for which it came in vain.
    word: AtomicU64,
    /// When it last went back from there.
    left: AtomicU64,
    /// How often in a row.
    in_vain: AtomicU32,
}

impl Backoff {
    /// The thread has slept, and was woken: it did not come in vain.
    pub fn slept(&self) {
        self.in_vain.store(0, Relaxed);
    }

    /// The thread wanted to wait for `word`, which had changed before it could: until when, by a clock of ns that shows `now`, it is
    /// held back.
    #[must_use]
    pub fn in_vain(&self, word: u64, now: u64) -> u64 {
        let again = self.word.swap(word, Relaxed) == word
            && now.saturating_sub(self.left.load(Relaxed)) < AT_ONCE;
        let before = if again { self.in_vain.load(Relaxed) } else { 0 };
        self.in_vain.store(before.saturating_add(1), Relaxed);
        // Once is no fight.
        let pause = before
            .checked_sub(1)
            .map_or(0, |times| FIRST << times.min(DOUBLED));
        self.left.store(now + pause, Relaxed);
        now + pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comes so often in vain, `apart` ns each time; answers how long it is held back the last time.
    fn held_back(backoff: &Backoff, word: u64, times: u32, apart: u64) -> u64 {
        let (mut now, mut pause) = (1_000_000, 0);
        for _ in 0..times {
            now += apart;
            let until = backoff.in_vain(word, now);
            pause = until - now;
            now = until;
        }
        pause
    }

    #[test]
    fn holds_back_longer_and_longer_who_comes_in_vain_again_and_again() {
        let held =
            [1, 2, 3, 4, 5, 6, 100].map(|times| held_back(&Backoff::default(), 8, times, 300));
        assert_eq!(held, [0, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000]);
    }

    #[test]
    fn lets_go_who_has_something_else_to_do() {
        assert_eq!(held_back(&Backoff::default(), 8, 100, AT_ONCE), 0);
    }

    #[test]
    fn begins_anew_for_another_word_and_after_a_sleep() {
        let backoff = Backoff::default();
        held_back(&backoff, 8, 5, 300);
        assert_eq!(held_back(&backoff, 16, 1, 300), 0);
        held_back(&backoff, 16, 5, 300);
        backoff.slept();
        assert_eq!(held_back(&backoff, 16, 1, 300), 0);
    }
}
