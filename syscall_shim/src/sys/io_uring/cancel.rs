//! Ending requests that wait.
use super::instance::Uring;
use super::request::{Request, Step, negative};
use crate::kernel::Kernel;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::io_uring::{
    IORING_ASYNC_CANCEL_ALL, IORING_ASYNC_CANCEL_ANY, IORING_ASYNC_CANCEL_FD, io_uring_op as op,
};

/// Ends those that match: the first, or all. Answers how many; ENOENT for none.
fn cancel<K: Kernel>(
    k: &K,
    ring: &Arc<Uring>,
    all: bool,
    matches: impl Fn(&Request) -> bool,
) -> Result<usize, Errno> {
    let found: Vec<Arc<Request>> = {
        let state = ring.state.lock();
        let found = state.pending.iter().filter(|request| matches(request));
        found
            .take(if all { usize::MAX } else { 1 })
            .cloned()
            .collect()
    };
    if found.is_empty() {
        return Err(Errno::ENOENT);
    }
    let mut ended = 0;
    for request in &found {
        if request.claim() {
            ring.end(k, request, negative(Errno::ECANCELED), false);
            ended += 1;
        }
    }
    // Another thread is about to end it.
    if ended == 0 {
        Err(Errno::EALREADY)
    } else {
        Ok(ended)
    }
}

/// `IORING_OP_ASYNC_CANCEL`
pub(super) fn async_cancel<K: Kernel>(
    k: &K,
    ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    let (sqe, flags) = (&request.sqe, request.sqe.rw_flags);
    let known = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_FD;
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let several = flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY) != 0;
    let answer = if flags & IORING_ASYNC_CANCEL_ANY != 0 {
        cancel(k, ring, true, |_| true)
    } else if flags & IORING_ASYNC_CANCEL_FD != 0 {
        let target = request.file(k)?;
        let same = |other: &Request| {
            other
                .open_file()
                .is_some_and(|file| Arc::ptr_eq(file, target))
        };
        cancel(k, ring, several, same)
    } else {
        let same = |other: &Request| other.sqe.user_data == sqe.addr;
        cancel(k, ring, several, same)
    };
    answer.map(|count| Step::Done(if several { count as i32 } else { 0 }, true))
}

/// `IORING_OP_POLL_REMOVE`
pub(super) fn poll_remove<K: Kernel>(
    k: &K,
    ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    let sqe = &request.sqe;
    if sqe.len != 0 || sqe.rw_flags != 0 || sqe.off != 0 {
        k.unsupported_part("io_uring: changing a poll that waits");
        return Err(Errno::EINVAL);
    }
    let poll = op::IORING_OP_POLL_ADD as u8;
    let same = |other: &Request| other.sqe.opcode == poll && other.sqe.user_data == sqe.addr;
    cancel(k, ring, false, same).map(|_| Step::Done(0, true))
}
