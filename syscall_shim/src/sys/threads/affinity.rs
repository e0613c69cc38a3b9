use crate::Buffer;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, SysResult};

/// Bytes of the kernel's own mask: as many processors as a machine of ours can have.
const MASK: usize = size_of::<u64>();

/// sched_yield(2)
pub fn sched_yield<K: Kernel>(k: &K) -> SysResult {
    k.sched_yield();
    Ok(0)
}

/// sched_getaffinity(2): answers how many bytes were written, which C libraries turn into 0.
pub fn sched_getaffinity<K: Kernel>(k: &K, pid: i32, size: usize, mask: Buffer) -> SysResult {
    if size < MASK || !size.is_multiple_of(MASK) {
        return Err(Errno::EINVAL);
    }
    let allowed = k.sched_getaffinity(pid)?;
    mask.write_slice(k, &allowed.to_le_bytes())?;
    Ok(MASK)
}

/// sched_setaffinity(2): bits beyond the existing processors are ignored, as long as one is left.
pub fn sched_setaffinity<K: Kernel>(k: &K, pid: i32, size: usize, mask: Buffer) -> SysResult {
    let mut bytes = [0; MASK];
    let part = bytes.get_mut(..size.min(MASK)).ok_or(Errno::EINVAL)?;
    mask.read_slice(k, part)?;
    if !k.thread_exists(pid) {
        return Err(Errno::ESRCH);
    }
    let existing = 1_u64
        .checked_shl(k.cpu_count() as u32)
        .map_or(u64::MAX, |bit| bit - 1);
    match u64::from_le_bytes(bytes) & existing {
        0 => Err(Errno::EINVAL),
        wanted => k.sched_setaffinity(pid, wanted).map(|()| 0),
    }
}

/// getcpu(2)
pub fn getcpu<K: Kernel>(k: &K, cpu: UserPtr<u32>, node: UserPtr<u32>, _unused: u64) -> SysResult {
    cpu.write_if(k, &k.current_cpu())?;
    node.write_if(k, &0)?;
    Ok(0)
}
