//! The network of the machine.

use super::Caller;
use alloc::sync::Arc;
use linux_abi::SysResult;
use net::{Env, Network};
use syscall_shim::kernel::Net;

impl Net for Caller<'_> {
    fn network(&self) -> &Arc<Network> {
        crate::net::network()
    }

    fn interface_ioctl(&self, command: u32, argument: u64, env: &dyn Env) -> SysResult {
        crate::net::ioctl(command, argument, self, env)
    }
}
