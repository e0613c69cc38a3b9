//! The operations. What is a system call of its own is done by that.
use super::cancel::{async_cancel, poll_remove};
use super::chain::{DRAIN, HARDLINK, LINK};
use super::data::{accept, connect, read_or_write, receive, receive_message, send, send_message};
use super::instance::Uring;
use super::register::files_update;
use super::request::{Request, Step, negative};
use super::timeout::{timeout, timeout_remove};
use crate::kernel::Kernel;
use crate::sys::{events, files, memory, sockets};
use crate::user::{UserPath, UserPtr};
use alloc::sync::Arc;
use linux_abi::raw::io_uring::io_uring_op as op;
use linux_abi::raw::io_uring::{
    IORING_FSYNC_DATASYNC, IORING_POLL_ADD_MULTI, io_uring_sqe_flags_bit as bit,
};
use linux_abi::{Errno, SysResult};
use vfs::poll;

/// `IOSQE_*` that mean something here. `IOSQE_ASYNC` asks for a thread, which makes no difference to the answer.
const KNOWN_FLAGS: u8 = 1 << bit::IOSQE_FIXED_FILE_BIT as u8
    | DRAIN
    | LINK
    | HARDLINK
    | 1 << bit::IOSQE_ASYNC_BIT as u8
    | 1 << bit::IOSQE_CQE_SKIP_SUCCESS_BIT as u8;

pub(super) type Operation<K> = fn(&K, &Arc<Uring>, &Request) -> Result<Step, Errno>;

/// What is done for an opcode. None: not offered.
pub(super) fn operation<K: Kernel>(opcode: u8) -> Option<Operation<K>> {
    macro_rules! table {
        ($($name:ident => $function:expr,)*) => {
            match opcode {
                $(code if code == op::$name as u8 => Some($function),)*
                _ => None,
            }
        };
    }
    table! {
        IORING_OP_NOP => |_, _, _| Ok(Step::Done(0, true)),
        IORING_OP_READV => read_or_write,
        IORING_OP_WRITEV => read_or_write,
        IORING_OP_READ_FIXED => read_or_write,
        IORING_OP_WRITE_FIXED => read_or_write,
        IORING_OP_READ => read_or_write,
        IORING_OP_WRITE => read_or_write,
        IORING_OP_FSYNC => fsync,
        IORING_OP_POLL_ADD => poll_add,
        IORING_OP_POLL_REMOVE => poll_remove,
        IORING_OP_TIMEOUT => timeout,
        IORING_OP_TIMEOUT_REMOVE => timeout_remove,
        IORING_OP_ASYNC_CANCEL => async_cancel,
        // It only means something behind another request, which then has it.
        IORING_OP_LINK_TIMEOUT => |_, _, _| Err(Errno::EINVAL),
        IORING_OP_SENDMSG => send_message,
        IORING_OP_RECVMSG => receive_message,
        IORING_OP_SEND => send,
        IORING_OP_RECV => receive,
        IORING_OP_ACCEPT => accept,
        IORING_OP_CONNECT => connect,
        IORING_OP_FILES_UPDATE => files_update,
        IORING_OP_SYNC_FILE_RANGE => |k, _, r| call(files::sync_file_range(
            k, r.descriptor()?, r.sqe.off as i64, i64::from(r.sqe.len), r.sqe.rw_flags,
        )),
        IORING_OP_FALLOCATE => |k, _, r| call(files::fallocate(
            k, r.descriptor()?, r.sqe.len, r.sqe.off as i64, r.sqe.addr as i64,
        )),
        IORING_OP_FTRUNCATE => |k, _, r| call(files::ftruncate(k, r.descriptor()?, r.sqe.off as i64)),
        IORING_OP_FADVISE => |k, _, r| call(files::fadvise64(
            k, r.descriptor()?, r.sqe.off as i64, i64::from(r.sqe.len), r.sqe.rw_flags,
        )),
        IORING_OP_MADVISE => |k, _, r| call(memory::madvise(
            k, r.sqe.addr, u64::from(r.sqe.len), r.sqe.rw_flags,
        )),
        IORING_OP_OPENAT => |k, _, r| call(files::openat(
            k, no_slot(k, r)?, UserPath::new(r.sqe.addr), r.sqe.rw_flags, r.sqe.len,
        )),
        IORING_OP_OPENAT2 => |k, _, r| call(files::openat2(
            k, no_slot(k, r)?, UserPath::new(r.sqe.addr), UserPtr::new(r.sqe.off), r.sqe.len as usize,
        )),
        IORING_OP_CLOSE => |k, _, r| call(files::close(k, no_slot(k, r)?)),
        IORING_OP_STATX => |k, _, r| call(files::statx(
            k, r.descriptor()?, UserPath::new(r.sqe.addr), r.sqe.rw_flags, r.sqe.len, UserPtr::new(r.sqe.off),
        )),
        IORING_OP_RENAMEAT => |k, _, r| call(files::renameat2(
            k, r.descriptor()?, UserPath::new(r.sqe.addr), r.sqe.len as i32, UserPath::new(r.sqe.off), r.sqe.rw_flags,
        )),
        IORING_OP_UNLINKAT => |k, _, r| call(files::unlinkat(
            k, r.descriptor()?, UserPath::new(r.sqe.addr), r.sqe.rw_flags,
        )),
        IORING_OP_MKDIRAT => |k, _, r| call(files::mkdirat(
            k, r.descriptor()?, UserPath::new(r.sqe.addr), r.sqe.len,
        )),
        IORING_OP_SYMLINKAT => |k, _, r| call(files::symlinkat(
            k, UserPath::new(r.sqe.addr), r.descriptor()?, UserPath::new(r.sqe.off),
        )),
        IORING_OP_LINKAT => |k, _, r| call(files::linkat(
            k, r.descriptor()?, UserPath::new(r.sqe.addr), r.sqe.len as i32, UserPath::new(r.sqe.off), r.sqe.rw_flags,
        )),
        IORING_OP_EPOLL_CTL => |k, _, r| call(events::epoll_ctl(
            k, r.descriptor()?, r.sqe.len, r.sqe.off as i32, UserPtr::new(r.sqe.addr),
        )),
        IORING_OP_SHUTDOWN => |k, _, r| call(sockets::shutdown(k, r.descriptor()?, r.sqe.len)),
        IORING_OP_SOCKET => |k, _, r| call(sockets::socket(
            k, no_slot(k, r)?, r.sqe.off as i32, r.sqe.len as i32,
        )),
    }
}

fn call(answer: SysResult) -> Result<Step, Errno> {
    answer.map(|value| Step::Done(value as i32, true))
}

/// The descriptor of a call that could also use a slot of the registered files, which is not offered.
fn no_slot<K: Kernel>(k: &K, request: &Request) -> Result<i32, Errno> {
    if request.sqe.file_index != 0 {
        k.unsupported_part("io_uring: descriptors that are registered files only");
        return Err(Errno::EINVAL);
    }
    request.descriptor()
}

/// Tries a request. EAGAIN lets it wait, if there is something to wait for.
pub(super) fn attempt<K: Kernel>(k: &K, ring: &Arc<Uring>, request: &Request) -> Step {
    let sqe = &request.sqe;
    if sqe.flags & !KNOWN_FLAGS != 0 || sqe.personality != 0 {
        k.unsupported_part("io_uring: provided buffers and personalities");
        return Step::Done(negative(Errno::EINVAL), false);
    }
    let Some(operation) = operation::<K>(sqe.opcode) else {
        // What Linux does not know either is only wrong.
        if sqe.opcode < op::IORING_OP_LAST as u8 {
            k.unsupported_part("io_uring: an operation that IORING_REGISTER_PROBE does not list");
        }
        return Step::Done(negative(Errno::EINVAL), false);
    };
    if let Err(errno) = request.arm_limit(k) {
        return Step::Done(negative(errno), false);
    }
    match operation(k, ring, request) {
        Ok(Step::Wait) | Err(Errno::EAGAIN)
            if request.limit.is_some() && request.is_late(&k.host()) =>
        {
            Step::Done(negative(Errno::ECANCELED), false)
        }
        Ok(step) => step,
        Err(Errno::EAGAIN) if request.can_wait(k) => Step::Wait,
        Err(errno) => Step::Done(negative(errno), false),
    }
}

impl Request {
    fn can_wait<K: Kernel>(&self, k: &K) -> bool {
        self.file(k).is_ok_and(|file| file.wait_list().is_some())
    }
}

fn fsync<K: Kernel>(k: &K, _ring: &Arc<Uring>, request: &Request) -> Result<Step, Errno> {
    if request.sqe.rw_flags & !IORING_FSYNC_DATASYNC != 0 {
        return Err(Errno::EINVAL);
    }
    files::sync_file(k, request.file(k)?)?;
    Ok(Step::Done(0, true))
}

/// `IORING_OP_POLL_ADD`, once or (`IORING_POLL_ADD_MULTI`) whenever the file becomes ready.
fn poll_add<K: Kernel>(k: &K, _ring: &Arc<Uring>, request: &Request) -> Result<Step, Errno> {
    if request.sqe.len & !IORING_POLL_ADD_MULTI != 0 {
        return Err(Errno::EINVAL);
    }
    let wanted = request.sqe.rw_flags & 0xffff | poll::ERR | poll::HUP;
    let file = request.file(k)?;
    match file.poll() & wanted {
        0 => Err(Errno::EAGAIN),
        events if request.sqe.len & IORING_POLL_ADD_MULTI != 0 && file.wait_list().is_some() => {
            Ok(Step::More(events as i32))
        }
        events => Ok(Step::Done(events as i32, true)),
    }
}
