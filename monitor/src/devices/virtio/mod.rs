//! What all virtio devices share: the register window of virtio-mmio, the rings, the interrupt.

mod interrupt;
mod queue_table;
mod rings;
mod transport;
mod used;

#[cfg(test)]
pub mod driver;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use interrupt::{Bell, Interrupt};
pub use rings::{Buffer, Chain, Rings};
pub use transport::{Registers, Transport};

/// Why a device gave up on its driver. It then asks to be reset.
#[derive(Debug, Error)]
pub enum DeviceError {
    #[error("malformed queue: {0}")]
    Queue(#[from] virtio_queue::Error),
    #[error("a buffer outside memory: {0}")]
    Memory(#[from] vm_memory::GuestMemoryError),
    #[error("the driver {0}")]
    Protocol(&'static str),
}

/// What makes one virtio device different from another.
pub trait Device: Send + 'static {
    /// What `process` tells the device thread.
    type Wants: Default;
    /// Device type of the specification.
    const ID: u32;
    /// Largest size of each queue.
    const QUEUES: &'static [u16];

    /// Feature bits besides those of the transport.
    fn features(&self) -> u64;
    fn config(&self) -> &[u8];
    /// The driver has accepted these features and starts. Called on a CPU's thread, so nothing is asked of the host here.
    fn start(&mut self, _features: u64) {}
    /// Forgets all that the driver did.
    fn reset(&mut self);
    /// What the device counts, by name.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
    /// Does all that can be done now, on the device's thread. Never blocks.
    fn process(&mut self, rings: &mut Rings<'_>) -> Result<Self::Wants, DeviceError>;
}
