use super::copy::{Spot, read_step, write_step};
use super::to_socket::send_pipe;
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::vec;
use linux_abi::{Errno, PollEvents, SpliceFlags, SysResult};
use net::Socket;
use vfs::{File, PipeEnd};

/// How much is moved at a time; also what fits into a pipe that reports POLLOUT.
const STEP: usize = 4096;

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
    let input = k.files().get(fd_in)?;
    let output = k.files().get(fd_out)?;
    if !input.is_readable() || !output.is_writable() {
        return Err(Errno::EBADF);
    }
    let pipe = input.ops_as::<PipeEnd>();
    let from_pipe = pipe.is_some();
    let to_pipe = output.ops_as::<PipeEnd>().is_some();
    if !from_pipe && !to_pipe {
        return Err(Errno::EINVAL);
    }
    let from = spot(k, off_in, &input, from_pipe)?;
    let to_socket = output.ops_as::<Socket>();
    let to = spot(k, off_out, &output, to_pipe)?;
    if let (Some(pipe), Some(socket)) = (pipe, to_socket) {
        return send_pipe(k, (&input, pipe), (&output, socket), len, flags);
    }
    if to_pipe {
        wait_for_room(k, &output, flags)?;
    }
    move_step(k, (&input, from, off_in), (&output, to, off_out), len)
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

/// Waits until a step fits, so that nothing that has been read must be thrown away.
fn wait_for_room<K: Kernel>(k: &K, output: &File, flags: SpliceFlags) -> Result<(), Errno> {
    let ready = || output.poll() & (PollEvents::POLLOUT | PollEvents::ALWAYS).bits() != 0;
    if ready() {
        return Ok(());
    }
    if flags.contains(SpliceFlags::SPLICE_F_NONBLOCK) || output.is_nonblocking() {
        return Err(Errno::EAGAIN);
    }
    let list = output.wait_list().ok_or(Errno::EAGAIN)?;
    k.wait(&[list], None, &mut || ready()).map(drop)
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
