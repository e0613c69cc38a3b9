use crate::Fd;
use crate::kernel::{Kernel, KillTarget};
use crate::sys::signals::signal_or_probe;
use crate::user::UserPtr;
use linux_abi::raw::general::O_NONBLOCK;
use linux_abi::{Errno, SI_TKILL, SI_USER, Siginfo, SysResult};

/// `PIDFD_NONBLOCK`
const PIDFD_NONBLOCK: u32 = O_NONBLOCK;

/// pidfd_open(2)
pub fn pidfd_open<K: Kernel>(k: &K, pid: i32, flags: u32) -> SysResult {
    if flags & !PIDFD_NONBLOCK != 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let file = k.pidfd(pid, flags)?;
    Ok(k.files().insert(file, true)? as usize)
}

/// pidfd_send_signal(2)
pub fn pidfd_send_signal<K: Kernel>(
    k: &K,
    pidfd: Fd,
    sig: u64,
    info: UserPtr<Siginfo>,
    flags: u32,
) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let pid = k.signal_target(&*k.files().get(pidfd)?)?;
    let signal = signal_or_probe(sig)?;
    let info = match info.read_if(k)? {
        Some(info) if info.signo != sig as i32 => return Err(Errno::EINVAL),
        // As for rt_sigqueueinfo(2): what the kernel itself writes cannot be claimed.
        Some(info) if (info.code >= 0 || info.code == SI_TKILL) && pid != k.getpid() => {
            return Err(Errno::EPERM);
        }
        Some(info) => Some(info),
        None => signal.map(|signal| {
            let uid = k.process().with_identity(|id| id.ruid);
            Siginfo::user(signal, SI_USER, k.getpid(), uid)
        }),
    };
    let info = info.filter(|_| signal.is_some());
    k.kill(KillTarget::Process(pid), info.as_ref()).map(|()| 0)
}

/// pidfd_getfd(2)
pub fn pidfd_getfd<K: Kernel>(k: &K, pidfd: Fd, targetfd: Fd, flags: u32) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let pid = k.pidfd_target(&*k.files().get(pidfd)?)?;
    let file = k.file_of(pid, targetfd)?;
    Ok(k.files().insert(file, true)? as usize)
}
