//! Blocking on top of `vfs`, which never does.
use crate::kernel::{Kernel, KillTarget};
use crate::sys::sockets::{self, Patience};
use crate::user::IoBuffers;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, RLIM_INFINITY, SI_USER, Siginfo, Signal, SysResult};
use net::Socket;
use vfs::{File, FileType, Source, poll};

/// Does `attempt`; as long as it answers EAGAIN and the file is not `O_NONBLOCK`, waits and does it again.
#[inline]
pub(crate) fn blocking<K: Kernel, R>(
    k: &K,
    file: &File,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    match attempt() {
        Err(Errno::EAGAIN) if !file.is_nonblocking() => wait(k, file, &mut attempt),
        answer => answer,
    }
}

/// The same for read(2) and write(2), of which `events` tell when the file is ready. Readers of a pipe are woken one at a time.
#[inline]
fn transferring<K: Kernel>(
    k: &K,
    file: &File,
    events: u32,
    mut attempt: impl FnMut() -> Result<usize, Errno>,
) -> SysResult {
    match attempt() {
        Err(Errno::EAGAIN) if !file.is_nonblocking() => {
            if file.ops().is_some_and(|ops| ops.wakes_one()) {
                wait_alone(k, file, events, &mut attempt)
            } else {
                wait(k, file, &mut attempt)
            }
        }
        answer => answer,
    }
}

#[cold]
#[inline(never)]
fn wait_alone<K: Kernel>(
    k: &K,
    file: &File,
    events: u32,
    attempt: &mut dyn FnMut() -> Result<usize, Errno>,
) -> SysResult {
    let list = file.wait_list().ok_or(Errno::EAGAIN)?;
    let mut answer = Err(Errno::EAGAIN);
    let ready = &mut || {
        answer = attempt();
        !matches!(answer, Err(Errno::EAGAIN))
    };
    k.wait_exclusive(list, events, &|| file.poll(), ready)?;
    answer
}

#[cold]
#[inline(never)]
fn wait<K: Kernel, R>(
    k: &K,
    file: &File,
    attempt: &mut dyn FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let list = file.wait_list().ok_or(Errno::EAGAIN)?;
    Patience::reading(file).wait(k, list, attempt)
}

/// read(2) into checked buffers.
#[inline]
pub(super) fn read_into<K: Kernel>(k: &K, file: &File, buffers: &IoBuffers) -> SysResult {
    transferring(k, file, poll::IN, || file.read(&mut buffers.sink(k)))
}

/// write(2) from checked buffers. Streams take all of it, unless they do not block or a signal comes between.
#[inline]
pub(crate) fn write_from<K: Kernel>(k: &K, file: &File, buffers: &IoBuffers) -> SysResult {
    if let Some(socket) = file.ops_as::<Socket>() {
        return sockets::write(k, file, socket, buffers);
    }
    let wanted = buffers.total();
    match transferring(k, file, poll::OUT, || file.write(&mut buffers.source(k))) {
        Ok(count) if count < wanted && count > 0 && is_stream(file) => {
            write_rest(k, file, buffers, count)
        }
        // Writing nothing succeeds, also where nobody reads.
        Err(Errno::EPIPE) if wanted == 0 && file.kind() == FileType::Fifo => Ok(0),
        Err(Errno::EPIPE) => Err(broken_pipe(k)),
        answer => answer,
    }
}

#[cold]
fn write_rest<K: Kernel>(k: &K, file: &File, buffers: &IoBuffers, mut done: usize) -> SysResult {
    while done < buffers.total() {
        let attempt = || {
            let mut source = buffers.source(k);
            source.skip(done)?;
            file.write(&mut source)
        };
        match transferring(k, file, poll::OUT, attempt) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::EPIPE) => {
                broken_pipe(k);
                break;
            }
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Files of which a blocking write takes everything.
fn is_stream(file: &File) -> bool {
    matches!(file.kind(), FileType::Fifo | FileType::CharDevice)
}

/// Sends SIGPIPE to the calling thread, as every write to a pipe without readers does.
pub(crate) fn broken_pipe<K: Kernel>(k: &K) -> Errno {
    let uid = k.process().with_identity(|id| id.ruid);
    let info = Siginfo::user(Signal::SIGPIPE, SI_USER, k.getpid(), uid);
    // To itself; there is nothing to do about a full queue, for this signal does not queue.
    let _ = k.kill(
        KillTarget::Thread {
            tgid: None,
            tid: k.gettid(),
        },
        Some(&info),
    );
    Errno::EPIPE
}

/// `RLIMIT_FSIZE`: cuts a write that starts at `position` (none: at the file's own). At the limit: SIGXFSZ and EFBIG.
#[inline]
pub(crate) fn limit_size<K: Kernel>(
    k: &K,
    file: &File,
    buffers: &mut IoBuffers,
    position: Option<u64>,
) -> Result<(), Errno> {
    let limit = k.process().file_size_limit.load(Relaxed);
    if limit == RLIM_INFINITY {
        Ok(())
    } else {
        limit_size_to(k, file, buffers, position, limit)
    }
}

#[cold]
fn limit_size_to<K: Kernel>(
    k: &K,
    file: &File,
    buffers: &mut IoBuffers,
    position: Option<u64>,
    limit: u64,
) -> Result<(), Errno> {
    use linux_abi::raw::general::{O_APPEND, SEEK_CUR};
    if file.kind() != FileType::Regular || file.ops().is_some() {
        return Ok(());
    }
    let start = match position {
        _ if file.flags() & O_APPEND != 0 => file.metadata().size,
        Some(position) => position,
        None => file.seek(0, SEEK_CUR)?,
    };
    let room = limit.saturating_sub(start);
    if room == 0 && buffers.total() > 0 {
        return Err(too_big(k));
    }
    buffers.limit(usize::try_from(room).unwrap_or(usize::MAX));
    Ok(())
}

/// Beyond `RLIMIT_FSIZE`.
pub(super) fn too_big<K: Kernel>(k: &K) -> Errno {
    let info = Siginfo::kernel(Signal::SIGXFSZ);
    let _ = k.kill(
        KillTarget::Thread {
            tgid: None,
            tid: k.gettid(),
        },
        Some(&info),
    );
    Errno::EFBIG
}
