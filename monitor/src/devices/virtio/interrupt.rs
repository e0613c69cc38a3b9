//! A device's interrupt: an edge on its line, and the reason in a register.

use std::sync::atomic::{AtomicU32, Ordering};

use virtio_bindings::virtio_mmio::{VIRTIO_MMIO_INT_CONFIG, VIRTIO_MMIO_INT_VRING};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::error::{Result, host};
use crate::stats::Counter;

pub struct Interrupt {
    /// `InterruptStatus`; outside the device's lock, so that a CPU reads it without waiting.
    status: AtomicU32,
    /// KVM turns each write into an edge.
    pub line: EventFd,
    /// How many edges there were.
    pub raised: Counter,
}

impl Interrupt {
    pub fn new() -> Result<Self> {
        let line = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(host("eventfd"))?;
        Ok(Self {
            status: AtomicU32::new(0),
            line,
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
    }

    pub fn status(&self) -> u32 {
        self.status.load(Ordering::Acquire)
    }

    pub fn acknowledge(&self, reasons: u32) {
        self.status.fetch_and(!reasons, Ordering::AcqRel);
    }
}
