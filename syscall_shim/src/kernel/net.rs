use alloc::sync::Arc;
use net::Network;

/// The network. The sockets themselves are the crate `net`.
pub trait Net {
    /// The calling thread's network: one for the machine.
    fn network(&self) -> &Arc<Network>;
}
