//! The devices of the machine, one folder each, and what they share.

pub mod console;
pub mod net;
pub mod rng;
pub mod virtio;
