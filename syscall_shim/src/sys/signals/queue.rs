use super::kill::signal_or_probe;
use crate::kernel::{Kernel, KillTarget};
use crate::user::UserPtr;
use linux_abi::{Errno, SI_TKILL, Siginfo, SysResult};

fn queue<K: Kernel>(
    k: &K,
    target: KillTarget,
    pid: i32,
    sig: u64,
    info: UserPtr<Siginfo>,
) -> SysResult {
    let mut info = info.read(k)?;
    info.signo = sig as i32;
    // Only the kernel may claim what kill(2) and the kernel itself write; to oneself anything goes.
    if (info.code >= 0 || info.code == SI_TKILL) && pid != k.getpid() {
        return Err(Errno::EPERM);
    }
    let signal = signal_or_probe(sig)?;
    k.kill(target, signal.map(|_| &info)).map(|()| 0)
}

/// rt_sigqueueinfo(2)
pub fn rt_sigqueueinfo<K: Kernel>(k: &K, tgid: i32, sig: u64, info: UserPtr<Siginfo>) -> SysResult {
    queue(k, KillTarget::Process(tgid), tgid, sig, info)
}

/// rt_tgsigqueueinfo(2)
pub fn rt_tgsigqueueinfo<K: Kernel>(
    k: &K,
    tgid: i32,
    tid: i32,
    sig: u64,
    info: UserPtr<Siginfo>,
) -> SysResult {
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    queue(
        k,
        KillTarget::Thread {
            tgid: Some(tgid),
            tid,
        },
        tgid,
        sig,
        info,
    )
}
