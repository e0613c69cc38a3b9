//! The network of the machine.

use super::Caller;
use alloc::sync::Arc;
use net::Network;
use syscall_shim::kernel::Net;

impl Net for Caller<'_> {
    fn network(&self) -> &Arc<Network> {
        crate::net::network()
    }
}
