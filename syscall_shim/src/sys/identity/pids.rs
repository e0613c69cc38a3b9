use crate::kernel::Kernel;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, SysResult};

/// getpid(2)
pub fn getpid<K: Kernel>(k: &K) -> SysResult {
    Ok(k.getpid() as usize)
}

/// gettid(2)
pub fn gettid<K: Kernel>(k: &K) -> SysResult {
    Ok(k.gettid() as usize)
}

/// getppid(2)
pub fn getppid<K: Kernel>(k: &K) -> SysResult {
    Ok(k.getppid() as usize)
}

/// getpgrp(2)
pub fn getpgrp<K: Kernel>(k: &K) -> SysResult {
    Ok(k.process().pgid.load(Relaxed) as usize)
}

fn own<K: Kernel>(k: &K, pid: i32) -> Result<(), Errno> {
    if pid == 0 || pid == k.getpid() {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

/// getpgid(2)
pub fn getpgid<K: Kernel>(k: &K, pid: i32) -> SysResult {
    own(k, pid)?;
    getpgrp(k)
}

/// getsid(2)
pub fn getsid<K: Kernel>(k: &K, pid: i32) -> SysResult {
    own(k, pid)?;
    Ok(k.process().sid.load(Relaxed) as usize)
}

/// setpgid(2), for the calling process.
pub fn setpgid<K: Kernel>(k: &K, pid: i32, pgid: i32) -> SysResult {
    if pgid < 0 {
        return Err(Errno::EINVAL);
    }
    own(k, pid)?;
    let state = k.process();
    let wanted = if pgid == 0 { k.getpid() } else { pgid };
    // A session leader stays where it is, and no group exists but its own.
    if state.sid.load(Relaxed) == k.getpid()
        || (wanted != k.getpid() && wanted != state.pgid.load(Relaxed))
    {
        return Err(Errno::EPERM);
    }
    state.pgid.store(wanted, Relaxed);
    Ok(0)
}

/// setsid(2): EPERM for who leads a process group.
pub fn setsid<K: Kernel>(k: &K) -> SysResult {
    let (state, pid) = (k.process(), k.getpid());
    if state.pgid.load(Relaxed) == pid {
        return Err(Errno::EPERM);
    }
    state.sid.store(pid, Relaxed);
    state.pgid.store(pid, Relaxed);
    Ok(pid as usize)
}
