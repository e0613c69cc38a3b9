//! Sockets.

use super::Caller;
use crate::net::network;
use ::net::Network;
use alloc::sync::Arc;
use syscall_shim::kernel::Net;

impl Net for Caller<'_> {
    fn network(&self) -> &Arc<Network> {
        network()
    }
}
