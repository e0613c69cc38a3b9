use alloc::sync::Arc;
use linux_abi::SysResult;
use net::{Env, Network};

/// The network. The sockets themselves are the crate `net`.
pub trait Net {
    /// The calling thread's network: one for the machine. Only calls that make sockets ask for it: an image holds it
    /// where one of them is, and ...
    fn network(&self) -> &Arc<Network>;

    /// ... ioctl(2), which every program has, reaches it so: a command of netdevice(7) on a socket.
    fn interface_ioctl(&self, command: u32, argument: u64, env: &dyn Env) -> SysResult;
}
