use crate::kernel::Kernel;
use crate::state::Resource;
use crate::user::UserPtr;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, Rlimit64, SysResult};

/// The highest `RLIMIT_NOFILE` (`fs.nr_open`).
const NR_OPEN: u64 = 1 << 20;

fn get<K: Kernel>(k: &K, resource: Resource) -> Rlimit64 {
    k.process().limits.lock().get(resource)
}

/// prlimit(2) of another process, whose ids all have to be the caller's.
fn get_of<K: Kernel>(k: &K, pid: i32, resource: Resource) -> Result<Rlimit64, Errno> {
    let (ruid, privileged) = k
        .process()
        .with_identity(|id| (id.ruid, id.is_privileged()));
    let mut found = Err(Errno::EPERM);
    k.with_process(pid, &mut |state| {
        let same = state.with_identity(|id| [id.ruid, id.euid, id.suid] == [ruid; 3]);
        if same || privileged {
            found = Ok(state.limits.lock().get(resource));
        }
    })?;
    found
}

fn set<K: Kernel>(k: &K, resource: Resource, new: Rlimit64) -> Result<Rlimit64, Errno> {
    if new.cur > new.max {
        return Err(Errno::EINVAL);
    }
    if resource == Resource::NOFILE && new.max > NR_OPEN {
        return Err(Errno::EPERM);
    }
    let privileged = k.process().with_identity(|id| id.is_privileged());
    let old = {
        let mut limits = k.process().limits.lock();
        let old = limits.get(resource);
        if new.max > old.max && !privileged {
            return Err(Errno::EPERM);
        }
        limits.set(resource, new);
        old
    };
    if resource == Resource::FSIZE {
        k.process().file_size_limit.store(new.cur, Relaxed);
    }
    k.limits_changed();
    Ok(old)
}

/// getrlimit(2)
pub fn getrlimit<K: Kernel>(k: &K, resource: u32, rlim: UserPtr<Rlimit64>) -> SysResult {
    rlim.write(k, &get(k, Resource::new(resource)?))?;
    Ok(0)
}

/// setrlimit(2)
pub fn setrlimit<K: Kernel>(k: &K, resource: u32, rlim: UserPtr<Rlimit64>) -> SysResult {
    let new = rlim.read(k)?;
    set(k, Resource::new(resource)?, new)?;
    Ok(0)
}

/// Whether the number is the caller's process's, or one of its threads'. ESRCH: nobody's.
fn is_own<K: Kernel>(k: &K, pid: i32) -> Result<bool, Errno> {
    let mut own = pid == 0 || pid == k.getpid();
    k.with_process(pid, &mut |state| own |= core::ptr::eq(state, k.process()))?;
    Ok(own)
}

/// prlimit(2); it changes limits of the calling process only.
pub fn prlimit64<K: Kernel>(
    k: &K,
    pid: i32,
    resource: u32,
    new: UserPtr<Rlimit64>,
    old: UserPtr<Rlimit64>,
) -> SysResult {
    let resource = Resource::new(resource)?;
    let new = new.read_if(k)?;
    if !is_own(k, pid)? {
        if new.is_some() {
            k.unsupported_part("prlimit64: changing another process's limits");
            return Err(Errno::EPERM);
        }
        old.write_if(k, &get_of(k, pid, resource)?)?;
        return Ok(0);
    }
    let before = match new {
        Some(new) => set(k, resource, new)?,
        None => get(k, resource),
    };
    old.write_if(k, &before)?;
    Ok(0)
}
