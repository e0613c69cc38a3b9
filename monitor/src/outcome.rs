//! How a machine ended, handed from a CPU's thread to the main thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::error::{Result, host};
use crate::terminal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The program ended with this status.
    Exited(u8),
    /// The kernel gave up; it wrote its report to the debug port.
    KernelPanic,
    /// The machine cannot go on; the text says why and in which state.
    Crashed(String),
    /// The monitor itself failed.
    Failed(String),
    /// A signal ended the monitor, because the guest would not.
    Killed(u8),
}

/// Holds the first outcome given, and wakes the main thread.
pub struct Verdict {
    outcome: Mutex<Option<Outcome>>,
    pub wake: EventFd,
    /// Do not wait for output to leave.
    hurry: AtomicBool,
}

impl Verdict {
    pub fn new() -> Result<Self> {
        let wake = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(host("eventfd"))?;
        Ok(Self {
            outcome: Mutex::new(None),
            wake,
            hurry: AtomicBool::new(false),
        })
    }

    pub fn give(&self, outcome: Outcome) {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(outcome);
        // The counter cannot overflow, so the write does not fail.
        let _ = self.wake.write(1);
    }

    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    pub fn is_hurried(&self) -> bool {
        self.hurry.load(Ordering::Relaxed)
    }

    pub fn get(&self) -> Option<Outcome> {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Wakes the event loop, which then looks at the verdict by itself.
pub struct VerdictEvents(pub Arc<Verdict>);

impl MutEventSubscriber for VerdictEvents {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        if let Err(e) = ops.add(Events::new(&self.0.wake, EventSet::IN)) {
            terminal::message(
                format!("compat-monitor: cannot watch for the end: {e}\n").as_bytes(),
            );
        }
    }

    fn process(&mut self, _: Events, _: &mut EventOps<'_>) {
        let _ = self.0.wake.read();
    }
}
