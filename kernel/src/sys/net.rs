//! The network of the machine.

use super::Caller;
use crate::time;
use alloc::sync::Arc;
use net::Network;
use spin::Once;
use syscall_shim::kernel::Net;

/// Made when the first socket is, or when a driver offers it a way out.
pub fn network() -> &'static Arc<Network> {
    static NETWORK: Once<Arc<Network>> = Once::new();
    NETWORK.call_once(|| Network::new(time::host()))
}

impl Net for Caller<'_> {
    fn network(&self) -> &Arc<Network> {
        network()
    }
}
