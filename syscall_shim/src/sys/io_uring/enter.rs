use super::chain::{Chain, HARDLINK, LINK};
use super::instance::Uring;
use crate::Fd;
use crate::kernel::{Kernel, Woken};
use crate::sys::signals::with_sigmask;
use crate::user::UserPtr;
use alloc::sync::Arc;
use linux_abi::raw::io_uring as raw;
use linux_abi::{Errno, IoUringGeteventsArg, SysResult, Timespec};

const FLAGS: u32 = raw::IORING_ENTER_GETEVENTS
    | raw::IORING_ENTER_SQ_WAKEUP
    | raw::IORING_ENTER_SQ_WAIT
    | raw::IORING_ENTER_EXT_ARG
    | raw::IORING_ENTER_ABS_TIMER
    | raw::IORING_ENTER_NO_IOWAIT;

/// io_uring_enter(2)
pub fn io_uring_enter<K: Kernel>(
    k: &K,
    fd: Fd,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    arg: u64,
    size: usize,
) -> SysResult {
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let file = k.files().get(fd)?;
    let ring = Uring::of(&file)?;
    if ring.state.lock().disabled {
        return Err(Errno::EBADFD);
    }
    let submitted = submit(k, &ring, to_submit);
    ring.go_on(k);
    if flags & raw::IORING_ENTER_GETEVENTS == 0 || submitted < to_submit as usize {
        return Ok(submitted);
    }
    match wait(k, &ring, min_complete, flags, (arg, size)) {
        Err(errno) if submitted == 0 => Err(errno),
        _ => Ok(submitted),
    }
}

/// Takes submissions, chain by chain: how many.
fn submit<K: Kernel>(k: &K, ring: &Arc<Uring>, most: u32) -> usize {
    let mut chain = Chain::new();
    let mut taken = 0;
    while taken < most {
        let sqe = {
            let mut state = ring.state.lock();
            let head = state.sq_head;
            if ring.rings.submissions(head) == 0 {
                break;
            }
            state.sq_head = head.wrapping_add(1);
            ring.rings.take_submission(head)
        };
        let Some(sqe) = sqe else { break };
        taken += 1;
        chain.push_back(sqe);
        if sqe.flags & (LINK | HARDLINK) == 0 {
            ring.start(k, core::mem::take(&mut chain));
        }
    }
    if !chain.is_empty() {
        ring.start(k, chain);
    }
    taken as usize
}

fn wait<K: Kernel>(
    k: &K,
    ring: &Arc<Uring>,
    least: u32,
    flags: u32,
    (arg, size): (u64, usize),
) -> Result<(), Errno> {
    let (mask, mask_size, deadline) = if flags & raw::IORING_ENTER_EXT_ARG == 0 {
        (arg, size, None)
    } else if size != size_of::<IoUringGeteventsArg>() {
        return Err(Errno::EINVAL);
    } else {
        let given = UserPtr::<IoUringGeteventsArg>::new(arg).read(k)?;
        let absolute = flags & raw::IORING_ENTER_ABS_TIMER != 0;
        let time = UserPtr::<Timespec>::new(given.ts).read_if(k)?;
        let time = time.map(|time| time.to_ns()).transpose()?;
        let start = if absolute { 0 } else { k.monotonic() };
        let deadline = time.map(|time| start.saturating_add(time));
        (given.sigmask, given.sigmask_sz as usize, deadline)
    };
    with_sigmask(k, UserPtr::new(mask), mask_size, || {
        let mut enough = || {
            ring.go_on(k);
            ring.completions() >= least
        };
        if enough() {
            return Ok(());
        }
        match k.wait(&[&ring.waiters], deadline, &mut enough) {
            Ok(Woken::Ready) => Ok(()),
            Ok(Woken::TimedOut) => Err(Errno::ETIME),
            Err(_) => Err(Errno::EINTR),
        }
    })
}
