//! The machine as the file layer sees it.

use super::{SECOND, add_timer, monotonic, monotonic_at, realtime};
use crate::drivers::random;
use alloc::sync::{Arc, Weak};
use linux_abi::raw::general::CLOCK_REALTIME;
use spin::Once;
use vfs::{Host, Timestamp, Wake};

/// Clocks, timers and random numbers for `vfs`.
pub struct HostClock;

/// The one shared by all who need it.
pub fn host() -> Arc<dyn Host> {
    static HOST: Once<Arc<HostClock>> = Once::new();
    HOST.call_once(|| Arc::new(HostClock)).clone()
}

impl Host for HostClock {
    fn wall_time(&self) -> Timestamp {
        let now = realtime();
        Timestamp {
            sec: (now / SECOND) as i64,
            nsec: (now % SECOND) as u32,
        }
    }

    fn clock(&self, clock: u32) -> u64 {
        if clock == CLOCK_REALTIME {
            realtime()
        } else {
            monotonic()
        }
    }

    fn wake_at(&self, clock: u32, deadline: u64, whom: Weak<dyn Wake>) {
        // Nobody takes this back: it fires once, and a waker that is gone by then is skipped.
        add_timer(
            if clock == CLOCK_REALTIME {
                monotonic_at(deadline)
            } else {
                deadline
            },
            whom,
        );
    }

    fn random(&self, into: &mut [u8]) {
        random::fill(into);
    }
}
