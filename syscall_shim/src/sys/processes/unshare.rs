use crate::kernel::Kernel;
use linux_abi::{CloneFlags, Errno, SysResult};

/// unshare(2)
pub fn unshare<K: Kernel>(k: &K, flags: u32) -> SysResult {
    let flags = CloneFlags::from_bits(u64::from(flags)).ok_or(Errno::EINVAL)?;
    let own = CloneFlags::CLONE_FILES | CloneFlags::CLONE_FS | CloneFlags::CLONE_SYSVSEM;
    if flags.intersects(CloneFlags::NAMESPACES) {
        k.unsupported_part("unshare: new namespaces");
        return Err(Errno::EPERM);
    }
    if !own.contains(flags) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(CloneFlags::CLONE_FILES) {
        k.unshare_files()?;
    }
    Ok(0)
}
