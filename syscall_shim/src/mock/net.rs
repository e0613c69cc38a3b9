use super::Mock;
use crate::kernel::Net;
use alloc::sync::Arc;
use net::Network;

impl Net for Mock {
    fn network(&self) -> &Arc<Network> {
        &self.network
    }
}
