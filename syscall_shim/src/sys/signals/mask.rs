use super::SIGSET_SIZE;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::raw::general::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK};
use linux_abi::{Errno, SigSet, SysResult};

/// rt_sigprocmask(2)
pub fn rt_sigprocmask<K: Kernel>(
    k: &K,
    how: u32,
    set: UserPtr<SigSet>,
    oldset: UserPtr<SigSet>,
    size: usize,
) -> SysResult {
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let old = k.sigmask();
    if let Some(set) = set.read_if(k)? {
        let set = set.without(SigSet::UNBLOCKABLE);
        k.set_sigmask(match how {
            SIG_BLOCK => old.union(set),
            SIG_UNBLOCK => old.without(set),
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        });
    }
    oldset.write_if(k, &old)?;
    Ok(0)
}

/// rt_sigpending(2). A shorter set than the kernel's is filled as far as it goes.
pub fn rt_sigpending<K: Kernel>(k: &K, set: UserPtr<SigSet>, size: usize) -> SysResult {
    let bytes = k.sigpending().bits.to_le_bytes();
    let part = bytes.get(..size).ok_or(Errno::EINVAL)?;
    set.cast::<u8>().write_slice(k, part)?;
    Ok(0)
}
