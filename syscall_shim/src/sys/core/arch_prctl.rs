use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, SysResult};

const ARCH_SET_GS: i32 = 0x1001;
const ARCH_SET_FS: i32 = 0x1002;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;
const ARCH_GET_CPUID: i32 = 0x1011;
const ARCH_SET_CPUID: i32 = 0x1012;

/// arch_prctl(2)
pub fn arch_prctl<K: Kernel>(k: &K, code: i32, addr: u64) -> SysResult {
    match code {
        ARCH_SET_FS => k.set_fs_base(addr)?,
        ARCH_SET_GS => k.set_gs_base(addr)?,
        ARCH_GET_FS => UserPtr::new(addr).write(k, &k.fs_base())?,
        ARCH_GET_GS => UserPtr::new(addr).write(k, &k.gs_base())?,
        // CPUID works and cannot be made to fault.
        ARCH_GET_CPUID => return Ok(1),
        ARCH_SET_CPUID => return Err(Errno::ENODEV),
        // Among them the shadow stack and tagging codes, whose absence C libraries probe for.
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
