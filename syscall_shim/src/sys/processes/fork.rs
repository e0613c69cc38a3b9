use crate::kernel::{CloneRequest, Kernel};
use linux_abi::{CloneFlags, Signal, SysResult};

fn start<K: Kernel>(k: &K, flags: CloneFlags) -> SysResult {
    let request = CloneRequest {
        flags,
        exit_signal: Some(Signal::SIGCHLD),
        ..CloneRequest::default()
    };
    k.start_process(&request).map(|pid| pid as usize)
}

/// fork(2)
pub fn fork<K: Kernel>(k: &K) -> SysResult {
    start(k, CloneFlags::empty())
}

/// vfork(2)
pub fn vfork<K: Kernel>(k: &K) -> SysResult {
    start(k, CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK)
}
