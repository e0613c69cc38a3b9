use crate::kernel::Kernel;
use crate::user::{IoBuffers, UserPtr};
use linux_abi::{Errno, Iovec, SysResult};
use vfs::{Sink, Source, UserMemory};

/// How much is moved at a time, and within a buffer how exact a short count is.
const STEP: usize = 512;

/// Another process's memory.
struct Remote<'a, K> {
    k: &'a K,
    pid: i32,
}

impl<K: Kernel> UserMemory for Remote<'_, K> {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        self.k.read_of(self.pid, addr, into)
    }

    fn write(&self, addr: u64, from: &[u8]) -> Result<(), Errno> {
        self.k.write_of(self.pid, addr, from)
    }
}

/// Copies as far as both sides reach and can be reached; buffers before one that cannot are copied whole.
fn copy<F: UserMemory, T: UserMemory>(from: (&F, &IoBuffers), to: (&T, &IoBuffers)) -> SysResult {
    let (mut source, mut sink) = (from.1.source(from.0), to.1.sink(to.0));
    let total = from.1.total().min(to.1.total());
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

/// The vectors: ours, and the other process's.
fn vectors<K: Kernel>(
    k: &K,
    local: (u64, u64),
    remote: (u64, u64),
    flags: u64,
) -> Result<(IoBuffers, IoBuffers), Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let vector =
        |(at, count): (u64, u64)| IoBuffers::vector(k, UserPtr::<Iovec>::new(at), count as usize);
    Ok((vector(local)?, vector(remote)?))
}

/// Whether it is the caller's own memory. ESRCH, EPERM.
fn is_own<K: Kernel>(k: &K, pid: i32) -> Result<bool, Errno> {
    if pid == k.getpid() || (pid != 0 && k.is_own_thread(pid)) {
        return Ok(true);
    }
    // 0 is no process here.
    if pid <= 0 {
        return Err(Errno::ESRCH);
    }
    k.may_inspect(pid).map(|()| false)
}

/// process_vm_readv(2): also how programs read memory of their own that may not be there.
pub fn process_vm_readv<K: Kernel>(
    k: &K,
    pid: i32,
    local: u64,
    liovcnt: u64,
    remote: u64,
    riovcnt: u64,
    flags: u64,
) -> SysResult {
    let (local, remote) = vectors(k, (local, liovcnt), (remote, riovcnt), flags)?;
    if is_own(k, pid)? {
        copy((k, &remote), (k, &local))
    } else {
        copy((&Remote { k, pid }, &remote), (k, &local))
    }
}

/// process_vm_writev(2)
pub fn process_vm_writev<K: Kernel>(
    k: &K,
    pid: i32,
    local: u64,
    liovcnt: u64,
    remote: u64,
    riovcnt: u64,
    flags: u64,
) -> SysResult {
    let (local, remote) = vectors(k, (local, liovcnt), (remote, riovcnt), flags)?;
    if is_own(k, pid)? {
        copy((k, &local), (k, &remote))
    } else {
        copy((k, &local), (&Remote { k, pid }, &remote))
    }
}
