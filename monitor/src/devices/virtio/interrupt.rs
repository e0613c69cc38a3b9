//! A device's interrupt: an edge on its line, and the reason in a register.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use virtio_bindings::virtio_mmio::{VIRTIO_MMIO_INT_CONFIG, VIRTIO_MMIO_INT_VRING};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::error::{Result, host};
use crate::stats::Counter;

/// Calls a CPU that waits in the monitor instead of in KVM, where an interrupt would not reach it.
pub struct Bell {
    pub wake: EventFd,
    raised: AtomicU64,
    attended: AtomicBool,
}

impl Bell {
    pub fn new() -> Result<Arc<Self>> {
        let wake = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(host("eventfd"))?;
        Ok(Arc::new(Self {
            wake,
            raised: AtomicU64::new(0),
            attended: AtomicBool::new(false),
        }))
    }

    /// How many interrupts there have been.
    pub fn raised(&self) -> u64 {
        self.raised.load(Ordering::SeqCst)
    }

    /// Somebody waits for `wake`. Who does must look at `raised` after this and before the wait.
    pub fn attend(&self, on: bool) {
        self.attended.store(on, Ordering::SeqCst);
    }

    pub fn ring(&self) {
        // Cannot overflow.
        let _ = self.wake.write(1);
    }

    fn interrupt(&self) {
        self.raised.fetch_add(1, Ordering::SeqCst);
        if self.attended.load(Ordering::SeqCst) {
            self.ring();
        }
    }
}

pub struct Interrupt {
    /// `InterruptStatus`; outside the device's lock, so that a CPU reads it without waiting.
    status: AtomicU32,
    /// KVM turns each write into an edge.
    pub line: EventFd,
    /// Whom else to tell.
    pub bell: OnceLock<Arc<Bell>>,
    /// How many edges there were.
    pub raised: Counter,
}

impl Interrupt {
    pub fn new() -> Result<Self> {
        let line = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(host("eventfd"))?;
        Ok(Self {
            status: AtomicU32::new(0),
            line,
            bell: OnceLock::new(),
            raised: Counter::default(),
        })
    }

    pub fn queue_used(&self) {
        self.raise(VIRTIO_MMIO_INT_VRING);
    }

    pub fn config_changed(&self) {
        self.raise(VIRTIO_MMIO_INT_CONFIG);
    }

    fn raise(&self, reason: u32) {
        self.status.fetch_or(reason, Ordering::Release);
        self.raised.add(1);
        // Cannot fail: KVM takes the count away, and it cannot overflow.
        let _ = self.line.write(1);
        if let Some(bell) = self.bell.get() {
            bell.interrupt();
        }
    }

    pub fn status(&self) -> u32 {
        self.status.load(Ordering::Acquire)
    }

    pub fn acknowledge(&self, reasons: u32) {
        self.status.fetch_and(!reasons, Ordering::AcqRel);
    }
}
