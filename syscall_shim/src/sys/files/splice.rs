use super::copy::{Spot, read_step, write_step};
use super::to_socket::send_pipe;
use super::transfer::broken_pipe;
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::{IoBuffers, UserPtr};
use alloc::sync::Arc;
use alloc::vec;
use linux_abi::raw::general::O_APPEND;
use linux_abi::{Errno, Iovec, SpliceFlags, SysResult};
use net::Socket;
use vfs::{File, PipeEnd, WaitList, poll};

/// How much is moved at most at a time.
const STEP: usize = 64 * 1024;

/// splice(2): moves bytes, of which one side at least is a pipe.
pub fn splice<K: Kernel>(
    k: &K,
    fd_in: Fd,
    off_in: UserPtr<i64>,
    fd_out: Fd,
    off_out: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> SysResult {
    let flags = SpliceFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if len == 0 {
        return Ok(0);
    }
    let (input, output) = both_ends(k, fd_in, fd_out)?;
    let from_pipe = input.ops_as::<PipeEnd>();
    let to_pipe = output.ops_as::<PipeEnd>();
    let from = spot(k, off_in, &input, from_pipe.is_some())?;
    let to = spot(k, off_out, &output, to_pipe.is_some())?;
    match (from_pipe, to_pipe) {
        (None, None) => return Err(Errno::EINVAL),
        (Some(from), Some(to)) if from.same_pipe(to) => return Err(Errno::EINVAL),
        (Some(_), None) if output.flags() & O_APPEND != 0 => return Err(Errno::EINVAL),
        _ => {}
    }
    let to_socket = output.ops_as::<Socket>();
    if let (Some(pipe), Some(socket)) = (from_pipe, to_socket) {
        return send_pipe(k, (&input, pipe), (&output, socket), len, flags);
    }
    if from_pipe.is_some() {
        wait_for_bytes(k, &input, may_wait(flags, &[&input, &output]))?;
    }
    let len = match to_pipe {
        Some(pipe) => len.min(wait_for_room(
            k,
            (&output, pipe),
            may_wait(flags, &[&input, &output]),
        )?),
        None => len,
    };
    move_step(k, (&input, from, off_in), (&output, to, off_out), len)
}

/// What bytes come from and go to.
fn both_ends<K: Kernel>(k: &K, from: Fd, to: Fd) -> Result<(Arc<File>, Arc<File>), Errno> {
    let (input, output) = (k.files().get(from)?, k.files().get(to)?);
    if input.is_readable() && output.is_writable() {
        Ok((input, output))
    } else {
        Err(Errno::EBADF)
    }
}

/// Pipes that do not block make the call one that does not.
fn may_wait(flags: SpliceFlags, files: &[&File]) -> bool {
    let nonblocking = |file: &&File| file.ops_as::<PipeEnd>().is_some() && file.is_nonblocking();
    !flags.contains(SpliceFlags::SPLICE_F_NONBLOCK) && !files.iter().any(nonblocking)
}

/// A pipe has no offsets: ESPIPE. Nor has a socket, but that is EINVAL.
fn spot<K: Kernel>(k: &K, offset: UserPtr<i64>, file: &File, is_pipe: bool) -> Result<Spot, Errno> {
    match offset.read_if(k)? {
        Some(_) if is_pipe => Err(Errno::ESPIPE),
        Some(_) if !file.is_seekable() => Err(Errno::EINVAL),
        Some(offset) => u64::try_from(offset)
            .map(Spot::At)
            .map_err(|_| Errno::EINVAL),
        None => Ok(Spot::Current),
    }
}

fn wait_until<K: Kernel>(
    k: &K,
    lists: &[&WaitList],
    may_wait: bool,
    ready: &mut dyn FnMut() -> bool,
) -> Result<(), Errno> {
    if ready() {
        Ok(())
    } else if may_wait {
        k.wait(lists, None, ready).map(drop)
    } else {
        Err(Errno::EAGAIN)
    }
}

/// Waits until the pipe has bytes or no writers.
fn wait_for_bytes<K: Kernel>(k: &K, input: &File, may_wait: bool) -> Result<(), Errno> {
    let list = input.wait_list().ok_or(Errno::EAGAIN)?;
    let mut ready = || input.poll() & (poll::IN | poll::HUP) != 0;
    wait_until(k, &[list], may_wait, &mut ready)
}

/// Waits for room, so that nothing that has been read must be thrown away, and answers how much there is.
fn wait_for_room<K: Kernel>(k: &K, (output, pipe): (&File, &PipeEnd), may_wait: bool) -> SysResult {
    let list = output.wait_list().ok_or(Errno::EAGAIN)?;
    let mut ready = || output.poll() & (poll::OUT | poll::ERR) != 0;
    wait_until(k, &[list], may_wait, &mut ready)?;
    if output.poll() & poll::ERR != 0 {
        return Err(broken_pipe(k));
    }
    Ok(pipe.room())
}

type Side<'a> = (&'a File, Spot, UserPtr<i64>);

fn move_step<K: Kernel>(k: &K, from: Side<'_>, to: Side<'_>, len: usize) -> SysResult {
    let mut buffer = vec![0; len.min(STEP)];
    let count = read_step(k, from.0, from.1, &mut buffer)?;
    let (written, stopped) = write_step(k, to.0, to.1, buffer.get(..count).unwrap_or(&[]));
    if written == 0
        && let Some(errno) = stopped
    {
        return Err(errno);
    }
    for (_, spot, offset) in [from, to] {
        if let Spot::At(start) = spot {
            offset.write(k, &((start + written as u64) as i64))?;
        }
    }
    Ok(written)
}

/// tee(2): copies from one pipe to another, and leaves the first as it is.
pub fn tee<K: Kernel>(k: &K, fd_in: Fd, fd_out: Fd, len: usize, flags: u32) -> SysResult {
    let flags = SpliceFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if len == 0 {
        return Ok(0);
    }
    let (input, output) = both_ends(k, fd_in, fd_out)?;
    let from = input.ops_as::<PipeEnd>().ok_or(Errno::EINVAL)?;
    let to = output.ops_as::<PipeEnd>().ok_or(Errno::EINVAL)?;
    if from.same_pipe(to) {
        return Err(Errno::EINVAL);
    }
    let lists = [&input, &output].map(|file| file.wait_list().ok_or(Errno::EAGAIN));
    let [reads, writes] = lists;
    let mut answer = Err(Errno::EAGAIN);
    let mut attempt = || {
        answer = from.tee(to, len.min(STEP));
        answer != Err(Errno::EAGAIN)
    };
    let waits = may_wait(flags, &[&input, &output]);
    wait_until(k, &[reads?, writes?], waits, &mut attempt)?;
    match answer {
        Err(Errno::EPIPE) => Err(broken_pipe(k)),
        answer => answer,
    }
}

/// vmsplice(2): the program's bytes into a pipe, or out of it.
pub fn vmsplice<K: Kernel>(
    k: &K,
    fd: Fd,
    iov: UserPtr<Iovec>,
    count: usize,
    flags: u32,
) -> SysResult {
    let flags = SpliceFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let file = k.files().get(fd)?;
    let pipe = file.ops_as::<PipeEnd>().ok_or(Errno::EBADF)?;
    let mut buffers = IoBuffers::vector(k, iov, count)?;
    if buffers.total() == 0 {
        return Ok(0);
    }
    let waits = may_wait(flags, &[&file]);
    if !file.is_writable() {
        wait_for_bytes(k, &file, waits)?;
        return file.read(&mut buffers.sink(k));
    }
    buffers.limit(wait_for_room(k, (&file, pipe), waits)?);
    match file.write(&mut buffers.source(k)) {
        Err(Errno::EPIPE) => Err(broken_pipe(k)),
        answer => answer,
    }
}
