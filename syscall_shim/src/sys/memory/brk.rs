use crate::kernel::Kernel;
use linux_abi::SysResult;

/// brk(2): never fails, answers the break that holds.
pub fn brk<K: Kernel>(k: &K, addr: u64) -> SysResult {
    Ok(k.brk(addr) as usize)
}
