use super::Mock;
use crate::kernel::Net;
use alloc::sync::Arc;
use linux_abi::SysResult;
use net::{Env, Network};

impl Net for Mock {
    fn network(&self) -> &Arc<Network> {
        &self.network
    }

    fn interface_ioctl(&self, command: u32, argument: u64, env: &dyn Env) -> SysResult {
        self.network.ioctl(command, argument, self, env)
    }
}
