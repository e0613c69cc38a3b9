use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::vec;
use linux_abi::{Capability, Errno, SysResult};

/// Most supplementary groups.
const NGROUPS_MAX: usize = 65536;

/// getgroups(2)
pub fn getgroups<K: Kernel>(k: &K, size: i32, list: UserPtr<u32>) -> SysResult {
    let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    let groups = k.process().identity().groups;
    if size > 0 {
        if groups.len() > size {
            return Err(Errno::EINVAL);
        }
        list.write_slice(k, &groups)?;
    }
    Ok(groups.len())
}

/// setgroups(2)
pub fn setgroups<K: Kernel>(k: &K, size: i32, list: UserPtr<u32>) -> SysResult {
    if !k.process().with_identity(|id| id.can(Capability::SETGID)) {
        return Err(Errno::EPERM);
    }
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= NGROUPS_MAX)
        .ok_or(Errno::EINVAL)?;
    let mut groups = vec![0; size];
    list.read_slice(k, &mut groups)?;
    groups.sort_unstable();
    k.process().change_identity(|id| {
        id.groups = groups;
        Ok(())
    })?;
    Ok(0)
}
