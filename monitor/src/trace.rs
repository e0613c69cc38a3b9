//! Takes the records of traced system calls out of guest memory; see `boot_abi::trace`. Their bytes go on as they are: nothing
//! here looks into them.

mod events;
mod ring;
mod sink;
#[cfg(test)]
mod tests;

pub use events::TraceEvents;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use boot_abi::trace::EMPTY;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::error::{Result, host};
use crate::memory::GuestMemory;
use ring::Ring;
use sink::{Patience, Sink};

/// How old a record of a guest that does little may become.
const INTERVAL: Duration = Duration::from_millis(20);

pub struct Trace {
    memory: Arc<GuestMemory>,
    state: Mutex<State>,
    /// Runs while somebody takes the records.
    timer: TimerFd,
}

#[derive(Default)]
struct State {
    ring: Option<Ring>,
    sink: Option<Sink>,
}

impl Trace {
    pub fn new(memory: &Arc<GuestMemory>) -> Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(host("timerfd"))?;
        Ok(Self {
            memory: Arc::clone(memory),
            state: Mutex::default(),
            timer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records go to `fd` from here on. False: somebody else takes them.
    pub fn attach(&self, fd: OwnedFd) -> bool {
        let mut state = self.lock();
        if state.sink.is_some() {
            return false;
        }
        // What is left of an earlier trace concerns nobody.
        state.empty(&self.memory, Patience::None);
        state.sink = Some(Sink::new(fd));
        let every = Expiration::Interval(TimeSpec::from_duration(INTERVAL));
        // With these arguments it cannot fail; without the timer the records come when the ring is full.
        let _ = self.timer.set(every, TimerSetTimeFlags::empty());
        true
    }

    pub fn is_attached(&self) -> bool {
        match self.state.try_lock() {
            Ok(state) => state.sink.is_some(),
            // Only somebody who writes to it takes long.
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Poisoned(e)) => e.into_inner().sink.is_some(),
        }
    }

    /// The guest wrote to the port: it has a ring, or that one is full. Returns when there is room. False: there is no ring.
    pub fn port_write(&self, value: u32) -> bool {
        let mut state = self.lock();
        if value != EMPTY {
            let Some(ring) = Ring::open(&self.memory, value) else {
                return false;
            };
            state.ring = Some(ring);
        }
        state.empty(&self.memory, Patience::Endless);
        state.ring.is_some()
    }

    /// Takes what there is, as far as the reader takes it at once. False: the reader has gone, just now.
    fn look(&self) -> bool {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::WouldBlock) => return true,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
        };
        let had = state.sink.is_some();
        state.empty(&self.memory, Patience::None);
        if had && state.sink.is_none() {
            let _ = self.timer.unset();
            return false;
        }
        true
    }

    /// The machine has ended. `hurried`: somebody wants the process to end at once.
    pub fn finish(&self, hurried: bool) {
        if hurried {
            self.look();
        } else {
            self.lock().empty(&self.memory, Patience::Endless);
        }
    }
}

impl State {
    /// Hands on what the ring holds. What nobody takes is gone.
    fn empty(&mut self, memory: &GuestMemory, patience: Patience) {
        if self.sink.as_ref().is_some_and(Sink::is_gone) {
            self.sink = None;
        }
        let Some(ring) = &mut self.ring else { return };
        // A guest that never stops must not keep the device thread.
        let mut left = ring.size as usize;
        while left > 0 {
            let bytes = ring.peek(memory);
            if bytes.is_empty() {
                return;
            }
            let taken = match &mut self.sink {
                None => bytes.len(),
                Some(sink) => match sink.write(&bytes, patience) {
                    Some(taken) => taken,
                    None => {
                        self.sink = None;
                        continue;
                    }
                },
            };
            if taken == 0 {
                return;
            }
            ring.advance(memory, taken);
            left = left.saturating_sub(taken);
        }
    }
}
