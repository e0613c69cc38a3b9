use crate::kernel::Kernel;
use crate::state::{ProcessState, Resource};
use crate::user::UserPtr;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Capability, Errno, Rlimit64, SysResult};

/// The highest `RLIMIT_NOFILE` (`fs.nr_open`).
const NR_OPEN: u64 = 1 << 20;

fn get<K: Kernel>(k: &K, resource: Resource) -> Rlimit64 {
    k.process().limits.lock().get(resource)
}

/// Changes a process's limit, or only looks; answers what it was.
fn change<K: Kernel>(
    k: &K,
    state: &ProcessState,
    resource: Resource,
    new: Option<Rlimit64>,
) -> Result<Rlimit64, Errno> {
    let privileged = k
        .process()
        .with_identity(|id| id.can(Capability::SYS_RESOURCE));
    let mut limits = state.limits.lock();
    let old = limits.get(resource);
    if let Some(new) = new {
        if new.max > old.max && !privileged {
            return Err(Errno::EPERM);
        }
        limits.set(resource, new);
        if resource == Resource::FSIZE {
            state.file_size_limit.store(new.cur, Relaxed);
        }
    }
    Ok(old)
}

fn check(resource: Resource, new: Rlimit64) -> Result<(), Errno> {
    if new.cur > new.max {
        Err(Errno::EINVAL)
    } else if resource == Resource::NOFILE && new.max > NR_OPEN {
        Err(Errno::EPERM)
    } else {
        Ok(())
    }
}

/// Whether the caller may see and set another process's limits: all its ids have to be the caller's.
fn may_limit<K: Kernel>(k: &K, state: &ProcessState) -> bool {
    let (uid, gid, privileged) = k
        .process()
        .with_identity(|id| (id.ruid, id.rgid, id.can(Capability::SYS_RESOURCE)));
    let same = state.with_identity(|id| {
        [id.ruid, id.euid, id.suid] == [uid; 3] && [id.rgid, id.egid, id.sgid] == [gid; 3]
    });
    same || privileged
}

/// getrlimit(2)
pub fn getrlimit<K: Kernel>(k: &K, resource: u32, rlim: UserPtr<Rlimit64>) -> SysResult {
    rlim.write(k, &get(k, Resource::new(resource)?))?;
    Ok(0)
}

/// setrlimit(2)
pub fn setrlimit<K: Kernel>(k: &K, resource: u32, rlim: UserPtr<Rlimit64>) -> SysResult {
    let new = rlim.read(k)?;
    let resource = Resource::new(resource)?;
    check(resource, new)?;
    change(k, k.process(), resource, Some(new))?;
    k.limits_changed(0);
    Ok(0)
}

/// prlimit(2)
pub fn prlimit64<K: Kernel>(
    k: &K,
    pid: i32,
    resource: u32,
    new: UserPtr<Rlimit64>,
    old: UserPtr<Rlimit64>,
) -> SysResult {
    let resource = Resource::new(resource)?;
    let new = new.read_if(k)?;
    if let Some(new) = new {
        check(resource, new)?;
    }
    let mut before = Err(Errno::EPERM);
    k.with_process(pid, &mut |state| {
        if core::ptr::eq(state, k.process()) || may_limit(k, state) {
            before = change(k, state, resource, new);
        }
    })?;
    let before = before?;
    if new.is_some() {
        k.limits_changed(pid);
    }
    old.write_if(k, &before)?;
    Ok(0)
}
