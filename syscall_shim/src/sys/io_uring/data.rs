//! Operations that move bytes, and may have to wait for them.
use super::instance::Uring;
use super::request::{Request, Step};
use crate::kernel::Kernel;
use crate::sys::files::{broken_pipe, limit_size};
use crate::sys::sockets;
use crate::user::{IoBuffers, UserPtr};
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::io_uring::io_uring_op as op;
use linux_abi::{Errno, MsgFlags, Msghdr, RwFlags, SysResult};
use net::Socket;
use vfs::File;

/// Offset -1: where the file stands.
const OWN_POSITION: u64 = u64::MAX;

fn is(request: &Request, ops: &[op]) -> bool {
    ops.iter().any(|op| request.sqe.opcode == *op as u8)
}

fn buffers<K: Kernel>(k: &K, ring: &Uring, request: &Request) -> Result<IoBuffers, Errno> {
    let (addr, len) = (request.sqe.addr, request.sqe.len as usize);
    if is(request, &[op::IORING_OP_READV, op::IORING_OP_WRITEV]) {
        return IoBuffers::vector(k, UserPtr::new(addr), len);
    }
    if is(
        request,
        &[op::IORING_OP_READ_FIXED, op::IORING_OP_WRITE_FIXED],
    ) {
        ring.check_fixed(request.sqe.buf_index, addr, len as u64)?;
    }
    IoBuffers::single(k, UserPtr::new(addr), len)
}

pub(super) fn read_or_write<K: Kernel>(
    k: &K,
    ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    let flags = RwFlags::from_bits(request.sqe.rw_flags).ok_or(Errno::EOPNOTSUPP)?;
    if (RwFlags::RWF_APPEND | RwFlags::RWF_NOAPPEND | RwFlags::RWF_HIPRI).intersects(flags) {
        return Err(Errno::EOPNOTSUPP);
    }
    let file = request.file(k)?;
    let mut buffers = buffers(k, ring, request)?;
    let reads = [
        op::IORING_OP_READV,
        op::IORING_OP_READ_FIXED,
        op::IORING_OP_READ,
    ];
    let wanted = buffers.total();
    let answer = if is(request, &reads) {
        read(k, file, &buffers, request.sqe.off)
    } else {
        write(k, file, &mut buffers, request.sqe.off)
    };
    match answer {
        Ok(count) => Ok(Step::Done(count as i32, count == wanted)),
        Err(Errno::EAGAIN) if flags.contains(RwFlags::RWF_NOWAIT) => {
            Ok(Step::of(Err(Errno::EAGAIN)))
        }
        Err(errno) => Err(errno),
    }
}

fn read<K: Kernel>(k: &K, file: &File, buffers: &IoBuffers, offset: u64) -> SysResult {
    let mut sink = buffers.sink(k);
    if offset == OWN_POSITION || !file.is_seekable() {
        file.read(&mut sink)
    } else if i64::try_from(offset).is_err() {
        Err(Errno::EINVAL)
    } else {
        file.read_at(offset, &mut sink)
    }
}

fn write<K: Kernel>(k: &K, file: &File, buffers: &mut IoBuffers, offset: u64) -> SysResult {
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    if file.ops_as::<Socket>().is_some() {
        return sockets::send_buffers(k, file, buffers, MsgFlags::MSG_DONTWAIT);
    }
    let own = offset == OWN_POSITION || !file.is_seekable();
    if !own && i64::try_from(offset).is_err() {
        return Err(Errno::EINVAL);
    }
    limit_size(k, file, buffers, (!own).then_some(offset))?;
    let mut source = buffers.source(k);
    let answer = if own {
        file.write(&mut source)
    } else {
        file.write_at(offset, &mut source)
    };
    answer.map_err(|errno| match errno {
        Errno::EPIPE => broken_pipe(k),
        errno => errno,
    })
}

/// The flags of a message: it is this module that waits. EAGAIN is final with `MSG_DONTWAIT`.
fn message_flags(request: &Request) -> (MsgFlags, bool) {
    let flags = MsgFlags::from_bits_retain(request.sqe.rw_flags);
    let nowait = flags.contains(MsgFlags::MSG_DONTWAIT);
    (flags | MsgFlags::MSG_DONTWAIT, nowait)
}

fn outcome(answer: SysResult, nowait: bool) -> Result<Step, Errno> {
    match answer {
        Err(Errno::EAGAIN) if nowait => Ok(Step::of(Err(Errno::EAGAIN))),
        answer => answer.map(|count| Step::Done(count as i32, true)),
    }
}

/// Modes of sending and receiving that are asked for by `ioprio`: several answers, bundles, a look before the attempt.
fn plain<K: Kernel>(k: &K, request: &Request) -> Result<(), Errno> {
    /// `IORING_RECVSEND_POLL_FIRST`, which changes nothing but the speed
    const POLL_FIRST: u16 = 1;
    if request.sqe.ioprio & !POLL_FIRST == 0 {
        return Ok(());
    }
    k.unsupported_part("io_uring: multishot accept and receive");
    Err(Errno::EINVAL)
}

/// `IORING_OP_SEND` and `IORING_OP_RECV`: with `MSG_WAITALL` they go on until all bytes have been moved.
fn transfer<K: Kernel>(
    k: &K,
    request: &Request,
    attempt: fn(&K, &File, &IoBuffers, MsgFlags) -> SysResult,
) -> Result<Step, Errno> {
    plain(k, request)?;
    let (flags, nowait) = message_flags(request);
    let file = request.file(k)?;
    let all = flags.contains(MsgFlags::MSG_WAITALL) && !nowait;
    let total = request.sqe.len as usize;
    loop {
        let done = request.done.load(Relaxed);
        let start = UserPtr::new(request.sqe.addr.wrapping_add(done as u64));
        let buffers = IoBuffers::single(k, start, total - done)?;
        match attempt(k, file, &buffers, flags) {
            Ok(count) if all && count > 0 && done + count < total => {
                request.done.store(done + count, Relaxed);
            }
            Ok(count) => {
                let moved = done + count;
                return Ok(Step::Done(moved as i32, !all || moved == total));
            }
            Err(errno) if done > 0 && errno != Errno::EAGAIN => {
                return Ok(Step::Done(done as i32, false));
            }
            answer => return outcome(answer, nowait),
        }
    }
}

pub(super) fn send<K: Kernel>(k: &K, _ring: &Arc<Uring>, request: &Request) -> Result<Step, Errno> {
    if request.sqe.off != 0 {
        k.unsupported_part("io_uring: IORING_OP_SEND with an address");
        return Err(Errno::EINVAL);
    }
    transfer(k, request, sockets::send_buffers)
}

pub(super) fn receive<K: Kernel>(
    k: &K,
    _ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    transfer(k, request, sockets::receive_buffers)
}

/// `IORING_OP_SENDMSG` and `IORING_OP_RECVMSG`.
fn message<K: Kernel>(
    k: &K,
    request: &Request,
    act: fn(&K, &File, UserPtr<Msghdr>, MsgFlags) -> SysResult,
) -> Result<Step, Errno> {
    plain(k, request)?;
    let (flags, nowait) = message_flags(request);
    let header = UserPtr::new(request.sqe.addr);
    outcome(act(k, request.file(k)?, header, flags), nowait)
}

pub(super) fn send_message<K: Kernel>(
    k: &K,
    _ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    message(k, request, sockets::sendmsg_on)
}

pub(super) fn receive_message<K: Kernel>(
    k: &K,
    _ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    message(k, request, sockets::recvmsg_on)
}

pub(super) fn accept<K: Kernel>(
    k: &K,
    _ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    let sqe = &request.sqe;
    plain(k, request)?;
    if sqe.file_index != 0 {
        k.unsupported_part("io_uring: descriptors that are registered files only");
        return Err(Errno::EINVAL);
    }
    let answer = sockets::accept_on(
        k,
        request.file(k)?,
        (UserPtr::new(sqe.addr), UserPtr::new(sqe.off)),
        sqe.rw_flags,
        MsgFlags::MSG_DONTWAIT,
    );
    answer.map(|fd| Step::Done(fd as i32, true))
}

pub(super) fn connect<K: Kernel>(
    k: &K,
    _ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    let sqe = &request.sqe;
    let file = request.file(k)?;
    if request.done.load(Relaxed) == 0 {
        match sockets::begin_connect(k, file, UserPtr::new(sqe.addr), sqe.off as i32) {
            Err(Errno::EINPROGRESS) => request.done.store(1, Relaxed),
            answer => return answer.map(|()| Step::Done(0, true)),
        }
    }
    sockets::connected(file).map(|()| Step::Done(0, true))
}
