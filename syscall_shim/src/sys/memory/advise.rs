use super::{PAGE, pages, range};
use crate::Buffer;
use crate::kernel::Kernel;
use linux_abi::{Advice, Errno, MsyncFlags, SysResult};

/// madvise(2)
pub fn madvise<K: Kernel>(k: &K, addr: u64, len: u64, advice: u32) -> SysResult {
    let advice = Advice::from_raw(advice).ok_or(Errno::EINVAL)?;
    match advice {
        // Without memory failure handling and page merging, as Linux built without them.
        Advice::HwPoison | Advice::SoftOffline | Advice::Mergeable | Advice::Unmergeable => {
            return Err(Errno::EINVAL);
        }
        Advice::Collapse => {
            k.unsupported_part("madvise: MADV_COLLAPSE");
            return Err(Errno::EINVAL);
        }
        // Whoever asks for guard pages relies on them; before Linux 6.13 nobody got any.
        Advice::GuardInstall | Advice::GuardRemove => {
            k.unsupported_part("madvise: MADV_GUARD_INSTALL, MADV_GUARD_REMOVE");
            return Err(Errno::EINVAL);
        }
        _ => {}
    }
    let len = range(addr, len, Errno::EINVAL)?;
    if len == 0 {
        return Ok(0);
    }
    k.madvise(addr, len, advice).map(|()| 0)
}

/// msync(2)
pub fn msync<K: Kernel>(k: &K, addr: u64, len: u64, flags: u32) -> SysResult {
    let flags = MsyncFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(MsyncFlags::MS_ASYNC | MsyncFlags::MS_SYNC) {
        return Err(Errno::EINVAL);
    }
    let len = range(addr, len, Errno::ENOMEM)?;
    if len == 0 {
        return Ok(0);
    }
    k.msync(addr, len, flags).map(|()| 0)
}

/// How many pages one step of mincore(2) asks about.
const STEP: usize = 512;

/// mincore(2)
pub fn mincore<K: Kernel>(k: &K, addr: u64, len: u64, vec: Buffer) -> SysResult {
    if !super::is_aligned(addr) {
        return Err(Errno::EINVAL);
    }
    if !k.access_ok(addr, len) {
        return Err(Errno::ENOMEM);
    }
    let total = pages(len).ok_or(Errno::ENOMEM)? / PAGE;
    if !k.access_ok(vec.addr(), total) {
        return Err(Errno::EFAULT);
    }
    let mut present = [0; STEP];
    let mut done = 0;
    while done < total {
        let step = (total - done).min(STEP as u64) as usize;
        let part = present.get_mut(..step).ok_or(Errno::EFAULT)?;
        k.mincore(addr + done * PAGE, part)?;
        vec.at(done as usize).write_slice(k, part)?;
        done += step as u64;
    }
    Ok(0)
}
