use crate::kernel::{Kernel, WaitTarget};
use crate::sys::identity::rusage;
use crate::user::UserPtr;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, Rusage, Siginfo, SysResult, WaitFlags};

/// wait4(2)
pub fn wait4<K: Kernel>(
    k: &K,
    pid: i32,
    status: UserPtr<i32>,
    options: u32,
    usage: UserPtr<Rusage>,
) -> SysResult {
    let allowed = WaitFlags::WNOHANG
        | WaitFlags::WUNTRACED
        | WaitFlags::WCONTINUED
        | WaitFlags::__WNOTHREAD
        | WaitFlags::__WCLONE
        | WaitFlags::__WALL;
    let flags = WaitFlags::from_bits(options)
        .filter(|flags| allowed.contains(*flags))
        .ok_or(Errno::EINVAL)?;
    let target = match pid {
        1.. => WaitTarget::Pid(pid),
        0 => WaitTarget::Group(0),
        -1 => WaitTarget::Any,
        i32::MIN => return Err(Errno::ESRCH),
        _ => WaitTarget::Group(-pid),
    };
    let Some(waited) = k.wait_child(target, flags | WaitFlags::WEXITED)? else {
        return Ok(0);
    };
    status.write_if(k, &waited.status)?;
    usage.write_if(k, &rusage(&waited.usage))?;
    Ok(waited.pid as usize)
}

/// waitid(2)
pub fn waitid<K: Kernel>(
    k: &K,
    idtype: u32,
    id: i32,
    info: UserPtr<Siginfo>,
    options: u32,
    usage: UserPtr<Rusage>,
) -> SysResult {
    let mut flags = WaitFlags::from_bits(options).ok_or(Errno::EINVAL)?;
    let mut nonblocking = false;
    if !flags.intersects(WaitFlags::WEXITED | WaitFlags::WUNTRACED | WaitFlags::WCONTINUED) {
        return Err(Errno::EINVAL);
    }
    let target = match idtype {
        raw::P_ALL => WaitTarget::Any,
        raw::P_PID if id > 0 => WaitTarget::Pid(id),
        raw::P_PGID if id >= 0 => WaitTarget::Group(id),
        raw::P_PIDFD if id >= 0 => {
            let file = k.files().get(id)?;
            let pid = k.pidfd_target(&file)?;
            if file.is_nonblocking() {
                flags |= WaitFlags::WNOHANG;
                nonblocking = true;
            }
            WaitTarget::Pid(pid)
        }
        _ => return Err(Errno::EINVAL),
    };
    let waited = match k.wait_child(target, flags)? {
        None if nonblocking => return Err(Errno::EAGAIN),
        waited => waited,
    };
    // Nobody yet (WNOHANG): signo and pid are zero.
    info.write_if(
        k,
        &waited.map_or_else(Siginfo::default, |waited| waited.info),
    )?;
    if let Some(waited) = waited {
        usage.write_if(k, &rusage(&waited.usage))?;
    }
    Ok(0)
}
