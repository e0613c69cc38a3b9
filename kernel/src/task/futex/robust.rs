//! Robust mutexes: what becomes of those that a thread holds when it ends.

use super::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, pi, wake_all_kinds};
use crate::mm::user;
use crate::task::thread::Thread;
use core::sync::atomic::Ordering;
use linux_abi::zerocopy::FromBytes;
use linux_abi::{Errno, RobustListHead};

/// Entries of a robust list that are looked at: it may be a ring.
const ROBUST_LIST_LIMIT: usize = 2048;

/// The end of a thread: the mutexes of its robust list go to whoever waits for them (get_robust_list(2)).
pub fn release_robust_list(thread: &Thread) {
    let head_at = thread.robust_list.swap(0, Ordering::Relaxed);
    if head_at == 0 {
        return;
    }
    // A list that cannot be read ends where it cannot be.
    let _ = walk_robust_list(thread.tid, head_at);
}

fn walk_robust_list(tid: i32, head_at: u64) -> Result<(), Errno> {
    let mut bytes = [0; size_of::<RobustListHead>()];
    user::read(head_at, &mut bytes)?;
    let head = RobustListHead::read_from_bytes(&bytes).map_err(|_| Errno::EFAULT)?;
    let mutex = |entry: u64| (entry & !1).wrapping_add_signed(head.futex_offset);
    let pending = head.list_op_pending;
    let mut entry = head.list;
    for _ in 0..ROBUST_LIST_LIMIT {
        if entry & !1 == head_at {
            break;
        }
        // Before the mutex is given up: its memory may be gone after.
        let next = read_word(entry & !1);
        if entry & !1 != pending & !1 {
            owner_died(mutex(entry), tid, entry & 1 != 0, false)?;
        }
        entry = next?;
    }
    if pending & !1 != 0 {
        owner_died(mutex(pending), tid, pending & 1 != 0, true)?;
    }
    Ok(())
}

fn read_word(address: u64) -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    user::read(address, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Marks a mutex that thread `tid` held. `pending`: it was about to be taken or given up.
fn owner_died(address: u64, tid: i32, inherits: bool, pending: bool) -> Result<(), Errno> {
    let mut value = user::load(address)?;
    loop {
        if pending && !inherits && value & FUTEX_TID_MASK == 0 {
            // It died between giving the mutex up and waking the next.
            wake_all_kinds(address, 1);
            return Ok(());
        }
        if value & FUTEX_TID_MASK != tid as u32 {
            return Ok(());
        }
        let marked = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        let found = user::compare_exchange(address, value, marked)?;
        if found == value {
            break;
        }
        value = found;
    }
    if value & FUTEX_WAITERS == 0 {
        return Ok(());
    }
    if inherits {
        return pi::hand_over(address, FUTEX_OWNER_DIED);
    }
    wake_all_kinds(address, 1);
    Ok(())
}
