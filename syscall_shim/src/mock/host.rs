use alloc::sync::Weak;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use spin::Mutex;
use vfs::{Host, Timestamp, Wake};

/// CLOCK_REALTIME when the monotonic clock reads zero.
pub const EPOCH: u64 = 1_700_000_000 * 1_000_000_000;

/// Clocks that stand still unless somebody waits.
pub struct MockHost {
    now: AtomicU64,
    alarms: Mutex<Vec<(u64, Weak<dyn Wake>)>>,
}

impl Default for MockHost {
    fn default() -> Self {
        Self {
            now: AtomicU64::new(1_000_000_000),
            alarms: Mutex::default(),
        }
    }
}

impl MockHost {
    pub fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    pub fn advance_to(&self, time: u64) {
        self.now.fetch_max(time, Relaxed);
        let due: Vec<_> = self
            .alarms
            .lock()
            .extract_if(.., |(deadline, _)| *deadline <= self.now())
            .collect();
        for (_, whom) in due {
            if let Some(whom) = whom.upgrade() {
                whom.wake(0);
            }
        }
    }
}

impl Host for MockHost {
    fn wall_time(&self) -> Timestamp {
        let now = self.clock(0);
        Timestamp {
            sec: (now / 1_000_000_000) as i64,
            nsec: (now % 1_000_000_000) as u32,
        }
    }

    fn clock(&self, clock: u32) -> u64 {
        if clock == 0 {
            EPOCH + self.now()
        } else {
            self.now()
        }
    }

    fn wake_at(&self, clock: u32, deadline: u64, whom: Weak<dyn Wake>) {
        let deadline = if clock == 0 {
            deadline.saturating_sub(EPOCH)
        } else {
            deadline
        };
        self.alarms.lock().push((deadline, whom));
    }

    fn random(&self, into: &mut [u8]) {
        into.fill(0x5a);
    }
}
