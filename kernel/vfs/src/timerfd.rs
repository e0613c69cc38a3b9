//! timerfd_create(2).
use crate::Result;
use crate::file::File;
use crate::host::Host;
use crate::io::Sink;
use crate::ops::FileOps;
use crate::types::poll;
use crate::wait::{WaitList, Wake};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::general::{O_CLOEXEC, O_NONBLOCK, O_RDWR};
use spin::Mutex;

const TFD_TIMER_ABSTIME: u32 = 1;
/// Accepted; the clock of a guest is never set, so there is nothing to cancel on.
const TFD_TIMER_CANCEL_ON_SET: u32 = 2;
/// `CLOCK_REALTIME`, `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME` and the alarm clocks, which here never sleep.
const CLOCKS: [(u32, u32); 5] = [(0, 0), (1, 1), (7, 7), (8, 0), (9, 7)];

/// When a timer goes off, in nanoseconds: `struct itimerspec`. A value of 0 means that it is not armed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TimerSpec {
    pub value: u64,
    pub interval: u64,
}

#[derive(Default)]
struct State {
    /// The next time to go off, on the clock; 0 if not armed.
    deadline: u64,
    interval: u64,
    /// Expirations not yet read.
    expired: u64,
    /// The earliest call that the host still owes, on the clock; 0: none.
    call: u64,
}

pub struct TimerFd {
    host: Arc<dyn Host>,
    clock: u32,
    state: Mutex<State>,
    waiters: WaitList,
    this: Weak<TimerFd>,
}

/// timerfd_create(2).
pub fn timerfd(host: &Arc<dyn Host>, clock: u32, flags: u32) -> Result<Arc<File>> {
    if flags & !(O_NONBLOCK | O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let &(_, clock) = CLOCKS
        .iter()
        .find(|(id, _)| *id == clock)
        .ok_or(Errno::EINVAL)?;
    let timer = Arc::new_cyclic(|this| TimerFd {
        host: host.clone(),
        clock,
        state: Mutex::new(State::default()),
        waiters: WaitList::new(),
        this: this.clone(),
    });
    Ok(File::from_ops(timer, O_RDWR | (flags & O_NONBLOCK)))
}

impl State {
    /// Counts what has expired by `now`.
    fn advance(&mut self, now: u64) {
        if self.deadline == 0 || now < self.deadline {
            return;
        }
        if self.interval == 0 {
            (self.deadline, self.expired) = (0, self.expired + 1);
            return;
        }
        let times = (now - self.deadline) / self.interval + 1;
        self.expired = self.expired.saturating_add(times);
        self.deadline = self
            .deadline
            .saturating_add(times.saturating_mul(self.interval));
    }

    fn remaining(&self, now: u64) -> TimerSpec {
        let value = if self.deadline == 0 {
            0
        } else {
            self.deadline.saturating_sub(now).max(1)
        };
        TimerSpec {
            value,
            interval: self.interval,
        }
    }
}

impl TimerFd {
    fn now(&self) -> u64 {
        self.host.clock(self.clock)
    }

    /// timerfd_settime(2): answers the old setting.
    pub fn set(&self, flags: u32, spec: TimerSpec) -> Result<TimerSpec> {
        if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
            return Err(Errno::EINVAL);
        }
        let now = self.now();
        let old = {
            let mut state = self.state.lock();
            state.advance(now);
            let old = state.remaining(now);
            let absolute = flags & TFD_TIMER_ABSTIME != 0;
            let deadline = match spec.value {
                0 => 0,
                value if absolute => value,
                value => now.saturating_add(value),
            };
            *state = State {
                deadline,
                interval: spec.interval,
                expired: 0,
                call: state.call,
            };
            old
        };
        self.arm();
        Ok(old)
    }

    /// timerfd_gettime(2).
    #[must_use]
    pub fn get(&self) -> TimerSpec {
        let now = self.now();
        let remaining = {
            let mut state = self.state.lock();
            state.advance(now);
            state.remaining(now)
        };
        self.arm();
        remaining
    }

    /// Asks the host to call at the next deadline, unless it does so earlier: then it is asked again. So a program that puts
    /// its timer off again and again does not fill the host's queue.
    fn arm(&self) {
        let deadline = {
            let mut state = self.state.lock();
            if state.deadline == 0 || (state.call != 0 && state.call <= state.deadline) {
                return;
            }
            state.call = state.deadline;
            state.deadline
        };
        let this: Weak<dyn Wake> = self.this.clone();
        self.host.wake_at(self.clock, deadline, this);
    }
}

impl Wake for TimerFd {
    fn wake(&self, _events: u32) {
        let now = self.now();
        let expired = {
            let mut state = self.state.lock();
            state.advance(now);
            // A call that is late stands for all until now.
            if state.call <= now {
                state.call = 0;
            }
            state.expired > 0
        };
        // As Linux: an interval goes on when the program reads, or asks for the time left. Otherwise many short ones would
        // leave it no time to do so.
        if expired {
            self.waiters.notify(poll::IN | poll::RDNORM);
        } else {
            self.arm();
        }
    }
}

impl FileOps for TimerFd {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        if sink.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let now = self.now();
        {
            let mut state = self.state.lock();
            state.advance(now);
            if state.expired == 0 {
                return Err(Errno::EAGAIN);
            }
            sink.put(&state.expired.to_le_bytes())?;
            state.expired = 0;
        }
        self.arm();
        Ok(8)
    }

    fn poll(&self) -> u32 {
        let now = self.now();
        let mut state = self.state.lock();
        state.advance(now);
        if state.expired > 0 {
            poll::IN | poll::RDNORM
        } else {
            0
        }
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.waiters)
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(b"anon_inode:[timerfd]".to_vec())
    }
}
