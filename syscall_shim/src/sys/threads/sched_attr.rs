use super::policy::{check_policy, check_thread};
use crate::kernel::Kernel;
use crate::user::{UserPtr, require_zeros};
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::general as raw;
use linux_abi::zerocopy::IntoBytes;
use linux_abi::{Errno, PAGE_SIZE, SchedAttr, SysResult};

/// `SCHED_ATTR_SIZE_VER0`
const SIZE: u32 = size_of::<SchedAttr>() as u32;

/// sched_setattr(2)
pub fn sched_setattr<K: Kernel>(
    k: &K,
    pid: i32,
    attr: UserPtr<SchedAttr>,
    flags: u32,
) -> SysResult {
    if attr.is_null() || pid < 0 || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let size = match attr.cast::<u32>().read(k)? {
        // As Linux: zero means the first published size.
        0 => SIZE,
        size => size,
    };
    if size < SIZE || size as usize > PAGE_SIZE {
        attr.cast::<u32>().write(k, &SIZE)?;
        return Err(Errno::E2BIG);
    }
    let value = attr.read(k)?;
    require_zeros(
        k,
        attr.cast::<u8>().at(SIZE as usize),
        (size - SIZE) as usize,
    )?;
    if value.flags & !u64::from(raw::SCHED_FLAG_ALL) != 0 {
        return Err(Errno::EINVAL);
    }
    check_thread(k, pid)?;
    if value.policy & raw::SCHED_RESET_ON_FORK != 0 {
        return Err(Errno::EINVAL);
    }
    check_policy(k, value.policy, value.priority as i32)?;
    let reset = value.flags & u64::from(raw::SCHED_FLAG_RESET_ON_FORK) != 0;
    let flag = if reset { raw::SCHED_RESET_ON_FORK } else { 0 };
    k.set_sched_policy(pid, value.policy | flag)?;
    k.process().nice.store(value.nice.clamp(-20, 19), Relaxed);
    Ok(0)
}

/// sched_getattr(2)
pub fn sched_getattr<K: Kernel>(
    k: &K,
    pid: i32,
    attr: UserPtr<SchedAttr>,
    size: u32,
    flags: u32,
) -> SysResult {
    if attr.is_null() || flags != 0 || size < SIZE || size as usize > PAGE_SIZE {
        return Err(Errno::EINVAL);
    }
    check_thread(k, pid)?;
    let policy = k.sched_policy(pid)?;
    let reset = policy & raw::SCHED_RESET_ON_FORK != 0;
    let value = SchedAttr {
        size: SIZE,
        policy: policy & !raw::SCHED_RESET_ON_FORK,
        flags: u64::from(reset) * u64::from(raw::SCHED_FLAG_RESET_ON_FORK),
        nice: k.process().nice.load(Relaxed),
        ..SchedAttr::default()
    };
    attr.cast::<u8>().write_slice(k, value.as_bytes())?;
    Ok(0)
}
