use super::SIGSET_SIZE;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, SaFlags, SigAction, SigSet, Signal, SysResult};

/// rt_sigaction(2)
pub fn rt_sigaction<K: Kernel>(
    k: &K,
    signum: u64,
    act: UserPtr<SigAction>,
    oldact: UserPtr<SigAction>,
    size: usize,
) -> SysResult {
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let new = act.read_if(k)?;
    // The argument is an int.
    let signal = Signal::new(u64::from(signum as u32))?;
    if new.is_some() && SigSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    let new = new.map(|new| SigAction {
        // Unknown flags read back as clear, so that programs can tell which are known.
        flags: new.flags & (SaFlags::all() - SaFlags::SA_UNSUPPORTED).bits(),
        mask: new.mask.without(SigSet::UNBLOCKABLE),
        ..new
    });
    let old = k.sigaction(signal, new.as_ref())?;
    oldact.write_if(k, &old)?;
    Ok(0)
}
