//! virtio entropy device: the host's random bytes.

mod device;
mod events;

#[cfg(test)]
mod tests;

pub use device::Rng;
pub use events::RngEvents;
