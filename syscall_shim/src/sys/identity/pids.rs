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

/// getpgid(2)
pub fn getpgid<K: Kernel>(k: &K, pid: i32) -> SysResult {
    let mut group = 0;
    k.with_process(pid, &mut |state| group = state.pgid.load(Relaxed))?;
    Ok(group as usize)
}

/// getsid(2)
pub fn getsid<K: Kernel>(k: &K, pid: i32) -> SysResult {
    let mut session = 0;
    k.with_process(pid, &mut |state| session = state.sid.load(Relaxed))?;
    Ok(session as usize)
}

/// setpgid(2)
pub fn setpgid<K: Kernel>(k: &K, pid: i32, pgid: i32) -> SysResult {
    if pgid < 0 {
        return Err(Errno::EINVAL);
    }
    k.set_process_group(pid, pgid).map(|()| 0)
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
