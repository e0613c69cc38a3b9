use crate::kernel::Kernel;
use linux_abi::SysResult;

/// exit(2): ends the thread.
pub fn exit<K: Kernel>(k: &K, status: i32) -> SysResult {
    k.exit(status as u8)
}

/// exit_group(2): ends the process.
pub fn exit_group<K: Kernel>(k: &K, status: i32) -> SysResult {
    k.exit_group(status as u8)
}
