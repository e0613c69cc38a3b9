//! Timeouts: requests of their own, and those linked to another.
use super::instance::Uring;
use super::request::{Request, Step, Timer, negative};
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::general::{CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME};
use linux_abi::raw::io_uring::{
    IORING_TIMEOUT_ABS, IORING_TIMEOUT_BOOTTIME, IORING_TIMEOUT_CLOCK_MASK,
    IORING_TIMEOUT_ETIME_SUCCESS, IORING_TIMEOUT_REALTIME, IORING_TIMEOUT_UPDATE,
    io_uring_op as op,
};
use linux_abi::{Errno, Timespec};

/// The timeout whose time is at `addr`.
fn timer<K: Kernel>(k: &K, addr: u64, flags: u32) -> Result<Timer, Errno> {
    let clock = match flags & IORING_TIMEOUT_CLOCK_MASK {
        0 => CLOCK_MONOTONIC,
        IORING_TIMEOUT_BOOTTIME => CLOCK_BOOTTIME,
        IORING_TIMEOUT_REALTIME => CLOCK_REALTIME,
        _ => return Err(Errno::EINVAL),
    };
    let time = UserPtr::<Timespec>::new(addr).read(k)?.to_ns()?;
    let deadline = if flags & IORING_TIMEOUT_ABS != 0 {
        time
    } else {
        k.host().clock(clock).saturating_add(time)
    };
    Ok(Timer { clock, deadline })
}

fn check_flags<K: Kernel>(k: &K, flags: u32) -> Result<(), Errno> {
    let known = IORING_TIMEOUT_ABS | IORING_TIMEOUT_CLOCK_MASK | IORING_TIMEOUT_ETIME_SUCCESS;
    if flags & !known == 0 {
        return Ok(());
    }
    k.unsupported_part("io_uring: timeouts that repeat");
    Err(Errno::EINVAL)
}

impl Request {
    /// Starts the clock of the timeout that is linked to it, at the first attempt.
    pub(super) fn arm_limit<K: Kernel>(&self, k: &K) -> Result<(), Errno> {
        let Some(limit) = &self.limit else {
            return Ok(());
        };
        let mut slot = self.timer.lock();
        if slot.is_none() {
            check_flags(k, limit.rw_flags)?;
            *slot = Some(timer(k, limit.addr, limit.rw_flags)?);
        }
        Ok(())
    }
}

/// `IORING_OP_TIMEOUT`: ETIME when the time has come, 0 when so many completions (`off`) came before.
pub(super) fn timeout<K: Kernel>(
    k: &K,
    ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    let sqe = &request.sqe;
    if request.timer.lock().is_none() {
        check_flags(k, sqe.rw_flags)?;
        if sqe.len != 1 {
            return Err(Errno::EINVAL);
        }
        let timer = timer(k, sqe.addr, sqe.rw_flags)?;
        *request.timer.lock() = Some(timer);
        if sqe.off != 0 {
            let target = ring.state.lock().posted.saturating_add(sqe.off);
            request.target.store(target, Relaxed);
        }
    }
    if ring.state.lock().posted >= request.target.load(Relaxed) {
        return Ok(Step::Done(0, true));
    }
    if request.is_late(&k.host()) {
        let fine = sqe.rw_flags & IORING_TIMEOUT_ETIME_SUCCESS != 0;
        return Ok(Step::Done(negative(Errno::ETIME), fine));
    }
    Ok(Step::Wait)
}

/// `IORING_OP_TIMEOUT_REMOVE`, and with `IORING_TIMEOUT_UPDATE` another time for one that waits.
pub(super) fn timeout_remove<K: Kernel>(
    k: &K,
    ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    let sqe = &request.sqe;
    let found = {
        let state = ring.state.lock();
        let mut timeouts = state.pending.iter().filter(|known| {
            known.sqe.opcode == op::IORING_OP_TIMEOUT as u8 && known.sqe.user_data == sqe.addr
        });
        timeouts.next().cloned().ok_or(Errno::ENOENT)?
    };
    if sqe.rw_flags & IORING_TIMEOUT_UPDATE != 0 {
        let flags = sqe.rw_flags & !IORING_TIMEOUT_UPDATE;
        check_flags(k, flags)?;
        *found.timer.lock() = Some(timer(k, sqe.off, flags)?);
        found.watch(&k.host());
        return Ok(Step::Done(0, true));
    }
    if sqe.rw_flags != 0 {
        return Err(Errno::EINVAL);
    }
    if !found.claim() {
        return Err(Errno::EALREADY);
    }
    ring.end(k, &found, negative(Errno::ECANCELED), false);
    Ok(Step::Done(0, true))
}
