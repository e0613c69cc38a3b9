use super::env::Caller;
use crate::kernel::Kernel;
use linux_abi::SysResult;
use net::{Socket, is_interface_ioctl};
use vfs::File;

/// ioctl(2) about an interface, see netdevice(7). None: `command` is none, or `file` is not a socket.
pub(crate) fn interface_ioctl<K: Kernel>(
    k: &K,
    file: &File,
    command: u32,
    argument: u64,
) -> Option<SysResult> {
    if !is_interface_ioctl(command) || file.ops_as::<Socket>().is_none() {
        return None;
    }
    Some(k.interface_ioctl(command, argument, &Caller(k)))
}
