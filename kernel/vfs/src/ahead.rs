//! How many pages to make present when one is touched: some around it, and more and more ahead where pages are touched one after
//! the other, as files are read ahead. A page that is not needed costs little more than an entry or its clearing, a fault a
//! thousand times an access.

use core::ops::Range;

/// Pages around one that is touched.
pub const AROUND: u64 = 16;
/// The same where a page is mapped where it lies and takes no memory.
pub const AROUND_IN_PLACE: u64 = 64;
/// The most pages at once, and none beyond a multiple of it: long runs come to cover whole blocks of 2 MiB.
pub const MOST: u64 = 512;
/// As many runs are followed at a time.
const RUNS: usize = 4;

/// Pages that are touched one after the other.
#[derive(Clone, Copy, Default)]
struct Run {
    /// The page after those that were made present.
    next: u64,
    /// How many these were the last time.
    pages: u64,
}

/// The runs of one address space.
#[derive(Default)]
pub struct Ahead {
    runs: [Run; RUNS],
    /// Whose place a new one takes.
    oldest: usize,
}

impl Ahead {
    /// Page `number` is touched and not present: which ones to make present with it, `around` of them (a power of two) at least.
    pub fn touch(&mut self, number: u64, around: u64) -> Range<u64> {
        let start = number & !(around - 1);
        let known = self
            .runs
            .iter_mut()
            .find(|run| (run.next..run.next + around).contains(&number));
        let run = match known {
            Some(run) => {
                run.pages = (2 * run.pages).clamp(around, MOST);
                run
            }
            None => {
                self.oldest = (self.oldest + 1) % RUNS;
                let run = &mut self.runs[self.oldest];
                run.pages = around;
                run
            }
        };
        run.next = (start + run.pages).min((start | (MOST - 1)) + 1);
        start..run.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_brings_those_around_it() {
        assert_eq!(Ahead::default().touch(1000, AROUND), 992..1008);
        assert_eq!(Ahead::default().touch(1000, AROUND_IN_PLACE), 960..1024);
    }

    #[test]
    fn a_run_brings_more_and_more_up_to_a_limit() {
        let mut ahead = Ahead::default();
        let mut next = 160;
        let lengths = [(); 7].map(|()| {
            let range = ahead.touch(next, AROUND);
            next = range.end;
            range.end - range.start
        });
        assert_eq!(lengths, [16, 32, 64, 128, 112, 512, 512]);
    }

    #[test]
    fn a_run_may_leave_out_a_few_pages() {
        let mut ahead = Ahead::default();
        ahead.touch(160, AROUND);
        assert_eq!(ahead.touch(183, AROUND), 176..208);
        // Too far, and backwards.
        assert_eq!(ahead.touch(230, AROUND), 224..240);
        assert_eq!(ahead.touch(100, AROUND), 96..112);
    }

    #[test]
    fn several_runs_do_not_disturb_each_other() {
        let mut ahead = Ahead::default();
        for i in 0..3 {
            for begin in [1024, 10_240, 102_400] {
                let page = begin + 16 * ((1 << i) - 1);
                assert_eq!(ahead.touch(page, AROUND), page..page + (16 << i));
            }
        }
    }

    #[test]
    fn the_last_pages_are_no_trouble() {
        let mut ahead = Ahead::default();
        let last = (1 << 52) - 1;
        ahead.touch(last, AROUND);
        assert_eq!(ahead.touch(last + 1, AROUND).end, last + 1 + 2 * AROUND);
    }
}
