use crate::Fd;
use crate::kernel::Kernel;
use linux_abi::{Errno, OpenFlags, SysResult};

/// dup(2)
pub fn dup<K: Kernel>(k: &K, oldfd: Fd) -> SysResult {
    let file = k.files().get(oldfd)?;
    k.files().insert(file, false).map(|fd| fd as usize)
}

/// dup2(2)
pub fn dup2<K: Kernel>(k: &K, oldfd: Fd, newfd: Fd) -> SysResult {
    if oldfd == newfd {
        k.files().get(oldfd)?;
        return Ok(newfd as usize);
    }
    replace(k, oldfd, newfd, false)
}

/// dup3(2)
pub fn dup3<K: Kernel>(k: &K, oldfd: Fd, newfd: Fd, flags: u32) -> SysResult {
    if flags & !OpenFlags::O_CLOEXEC.bits() != 0 || oldfd == newfd {
        return Err(Errno::EINVAL);
    }
    replace(k, oldfd, newfd, flags != 0)
}

fn replace<K: Kernel>(k: &K, oldfd: Fd, newfd: Fd, cloexec: bool) -> SysResult {
    let file = k.files().get(oldfd)?;
    if let Some(closed) = k.files().replace(newfd, file, cloexec)? {
        k.file_locks().closed(&closed, k.getpid());
    }
    Ok(newfd as usize)
}
