use super::{notify::tell, queue_of};
use crate::kernel::{Clock, Kernel, Woken};
use crate::sys::time::monotonic_deadline;
use crate::user::UserPtr;
use crate::{Buffer, Fd};
use alloc::vec;
use linux_abi::{Errno, SysResult, Timespec};
use vfs::File;

/// An absolute time of `CLOCK_REALTIME`, as the clock that waits go by has it.
fn deadline<K: Kernel>(k: &K, time: UserPtr<Timespec>) -> Result<Option<u64>, Errno> {
    match time.read_if(k)? {
        Some(time) => monotonic_deadline(k, Clock::Realtime, time.to_ns()?).map(Some),
        None => Ok(None),
    }
}

/// Does `attempt` until it answers something else than EAGAIN: at once, or by `deadline`.
fn patiently<K: Kernel, R>(
    k: &K,
    file: &File,
    deadline: Option<u64>,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let mut answer = attempt();
    if !matches!(answer, Err(Errno::EAGAIN)) || file.is_nonblocking() {
        return answer;
    }
    let list = file.wait_list().ok_or(Errno::EAGAIN)?;
    let woken = k.wait(&[list], deadline, &mut || {
        answer = attempt();
        !matches!(answer, Err(Errno::EAGAIN))
    })?;
    match woken {
        Woken::Ready => answer,
        Woken::TimedOut => Err(Errno::ETIMEDOUT),
    }
}

/// mq_timedsend(2)
pub fn mq_timedsend<K: Kernel>(
    k: &K,
    mqdes: Fd,
    msg: Buffer,
    len: usize,
    prio: u32,
    timeout: UserPtr<Timespec>,
) -> SysResult {
    let deadline = deadline(k, timeout)?;
    vfs::check_priority(prio)?;
    let file = k.files().get(mqdes)?;
    let queue = queue_of(&file)?;
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    if len > usize::try_from(queue.size().message_size).unwrap_or(0) {
        return Err(Errno::EMSGSIZE);
    }
    let mut bytes = vec![0; len];
    msg.read_slice(k, &mut bytes)?;
    let notify = patiently(k, &file, deadline, || queue.send(&bytes, prio))?;
    if let Some(notify) = notify {
        tell(k, &notify);
    }
    Ok(0)
}

/// mq_timedreceive(2)
pub fn mq_timedreceive<K: Kernel>(
    k: &K,
    mqdes: Fd,
    msg: Buffer,
    len: usize,
    prio: UserPtr<u32>,
    timeout: UserPtr<Timespec>,
) -> SysResult {
    let deadline = deadline(k, timeout)?;
    let file = k.files().get(mqdes)?;
    let queue = queue_of(&file)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    if len < usize::try_from(queue.size().message_size).unwrap_or(usize::MAX) {
        return Err(Errno::EMSGSIZE);
    }
    let (bytes, priority) = match queue.receive() {
        Err(Errno::EAGAIN) if !file.is_nonblocking() => {
            let waiting = queue.await_message();
            let answer = patiently(k, &file, deadline, || queue.receive());
            drop(waiting);
            answer?
        }
        answer => answer?,
    };
    prio.write_if(k, &priority)?;
    msg.write_slice(k, &bytes)?;
    Ok(bytes.len())
}
