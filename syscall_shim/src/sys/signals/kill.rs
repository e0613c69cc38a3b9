use crate::kernel::{Kernel, KillTarget};
use linux_abi::{Errno, SI_TKILL, SI_USER, Siginfo, Signal, SysResult};

/// The signal to send; none for 0, which only asks. EINVAL for what is no signal.
pub(crate) fn signal_or_probe(sig: u64) -> Result<Option<Signal>, Errno> {
    // The argument is an int.
    match sig as u32 {
        0 => Ok(None),
        number => Signal::new(u64::from(number)).map(Some),
    }
}

fn send<K: Kernel>(k: &K, target: KillTarget, sig: u64, code: i32) -> SysResult {
    let signal = signal_or_probe(sig)?;
    let uid = k.process().with_identity(|id| id.ruid);
    let info = signal.map(|signal| Siginfo::user(signal, code, k.getpid(), uid));
    k.kill(target, info.as_ref()).map(|()| 0)
}

/// kill(2)
pub fn kill<K: Kernel>(k: &K, pid: i32, sig: u64) -> SysResult {
    let target = match pid {
        1.. => KillTarget::Process(pid),
        0 => KillTarget::Group(0),
        -1 => KillTarget::All,
        // Has no negative.
        i32::MIN => return Err(Errno::ESRCH),
        _ => KillTarget::Group(-pid),
    };
    send(k, target, sig, SI_USER)
}

/// tgkill(2)
pub fn tgkill<K: Kernel>(k: &K, tgid: i32, tid: i32, sig: u64) -> SysResult {
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    send(
        k,
        KillTarget::Thread {
            tgid: Some(tgid),
            tid,
        },
        sig,
        SI_TKILL,
    )
}

/// tkill(2)
pub fn tkill<K: Kernel>(k: &K, tid: i32, sig: u64) -> SysResult {
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    send(k, KillTarget::Thread { tgid: None, tid }, sig, SI_TKILL)
}
