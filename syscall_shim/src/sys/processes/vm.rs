use crate::kernel::Kernel;
use crate::user::{IoBuffers, UserPtr};
use linux_abi::{Errno, Iovec, SysResult};
use vfs::{Sink, Source};

/// How much is moved at a time, and within a buffer how exact a short count is.
const STEP: usize = 512;

/// Copies as far as both sides reach and can be reached; buffers before one that cannot are copied whole.
fn copy<K: Kernel>(k: &K, from: &IoBuffers, to: &IoBuffers) -> SysResult {
    let (mut source, mut sink) = (from.source(k), to.sink(k));
    let total = from.total().min(to.total());
    let mut bytes = [0; STEP];
    let mut done = 0;
    while done < total {
        let step = sink.stretch(source.stretch((total - done).min(STEP)));
        let part = bytes.get_mut(..step).ok_or(Errno::EFAULT)?;
        if part.is_empty() {
            break;
        }
        match source.take(part).and_then(|()| sink.put(part)) {
            Ok(()) => done += part.len(),
            Err(errno) => return if done > 0 { Ok(done) } else { Err(errno) },
        }
    }
    Ok(done)
}

/// The vectors: ours, and "the other process's", which is us as well.
fn vectors<K: Kernel>(
    k: &K,
    pid: i32,
    local: (u64, u64),
    remote: (u64, u64),
    flags: u64,
) -> Result<(IoBuffers, IoBuffers), Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let vector =
        |(at, count): (u64, u64)| IoBuffers::vector(k, UserPtr::<Iovec>::new(at), count as usize);
    let (local, remote) = (vector(local)?, vector(remote)?);
    if pid != k.getpid() && !k.thread_exists(pid) {
        return Err(Errno::ESRCH);
    }
    Ok((local, remote))
}

/// process_vm_readv(2), of the calling process: how programs read memory that may not be there.
pub fn process_vm_readv<K: Kernel>(
    k: &K,
    pid: i32,
    local: u64,
    liovcnt: u64,
    remote: u64,
    riovcnt: u64,
    flags: u64,
) -> SysResult {
    let (local, remote) = vectors(k, pid, (local, liovcnt), (remote, riovcnt), flags)?;
    copy(k, &remote, &local)
}

/// process_vm_writev(2), of the calling process
pub fn process_vm_writev<K: Kernel>(
    k: &K,
    pid: i32,
    local: u64,
    liovcnt: u64,
    remote: u64,
    riovcnt: u64,
    flags: u64,
) -> SysResult {
    let (local, remote) = vectors(k, pid, (local, liovcnt), (remote, riovcnt), flags)?;
    copy(k, &local, &remote)
}
