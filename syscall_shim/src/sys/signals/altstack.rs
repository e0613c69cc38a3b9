use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, SsFlags, StackT, SysResult};

/// The smallest stack that is accepted.
const MINSIGSTKSZ: u64 = 2048;

/// sigaltstack(2)
pub fn sigaltstack<K: Kernel>(k: &K, new: UserPtr<StackT>, old: UserPtr<StackT>) -> SysResult {
    let new = new.read_if(k)?.map(checked).transpose();
    let now = k.sigaltstack(None)?;
    let on_it = now.flags & SsFlags::SS_ONSTACK.bits() != 0;
    if let Ok(Some(_)) = new
        && on_it
    {
        return Err(Errno::EPERM);
    }
    if let Some(new) = new? {
        k.sigaltstack(Some(&new))?;
    }
    old.write_if(k, &now)?;
    Ok(0)
}

fn checked(new: StackT) -> Result<StackT, Errno> {
    let flags = SsFlags::from_bits(new.flags).ok_or(Errno::EINVAL)?;
    let mode = flags - SsFlags::SS_AUTODISARM;
    if mode == SsFlags::SS_DISABLE {
        return Ok(StackT {
            sp: 0,
            size: 0,
            pad: 0,
            ..new
        });
    }
    // SS_ONSTACK is taken as "use it", as Linux does for old programs.
    if !mode.is_empty() && mode != SsFlags::SS_ONSTACK {
        return Err(Errno::EINVAL);
    }
    if new.size < MINSIGSTKSZ {
        return Err(Errno::ENOMEM);
    }
    Ok(StackT {
        flags: (flags & SsFlags::SS_AUTODISARM).bits(),
        pad: 0,
        ..new
    })
}
