//! Sleeping until something is so, and the ends of threads and of the program.

use super::thread::Thread;
use super::{futex, sched, signal};
use crate::mm::user;
use crate::{drivers, percpu, time, trace};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::Errno;
use syscall_shim::kernel::Woken;
use vfs::{WaitList, Wake};

/// Sleeps until `ready` answers true, `deadline` (CLOCK_MONOTONIC) passes, or a signal comes; see `syscall_shim::kernel::Wait`.
pub fn wait(
    lists: &[&WaitList],
    deadline: Option<u64>,
    ready: &mut dyn FnMut() -> bool,
) -> Result<Woken, Errno> {
    let thread = percpu::current();
    // A running thread is held by the scheduler.
    let waker: Arc<dyn Wake> = thread.arc().ok_or(Errno::ESRCH)?;
    lists.iter().for_each(|list| list.add(&waker));
    let mut alarm = None;
    let outcome = loop {
        if ready() {
            break Ok(Woken::Ready);
        }
        if deadline.is_some_and(|deadline| time::monotonic() >= deadline) {
            break Ok(Woken::TimedOut);
        }
        if signal::interrupts(thread) {
            break Err(Errno::ERESTARTSYS);
        }
        if let (Some(deadline), None) = (deadline, alarm) {
            alarm = Some(time::add_timer(deadline, thread.waker()));
        }
        drivers::poll();
        sched::sleep();
    };
    lists.iter().for_each(|list| list.remove(&waker));
    if let Some(alarm) = alarm {
        time::cancel(alarm);
    }
    outcome
}

/// Ends the program, and with it the machine.
pub fn end_process(status: u8) -> ! {
    sched::stop_others();
    trace::process_ended(status);
    drivers::shutdown(status)
}

/// Ends the calling thread; the last one ends the program.
pub fn exit_thread(status: u8) -> ! {
    let thread = percpu::current();
    let process = &thread.process;
    thread
        .exit_status
        .store(i32::from(status), Ordering::Relaxed);
    if thread.tid == process.pid {
        process
            .leader_status
            .store(i32::from(status), Ordering::Relaxed);
    }
    futex::release_robust_list(thread);
    clear_child_tid(thread);
    thread.forget();
    let others = process.live_threads();
    if others.is_empty() {
        end_process(process.leader_status.load(Ordering::Relaxed) as u8);
    }
    trace::thread_ended(status);
    // A signal for the process may have been left to this thread.
    others
        .iter()
        .filter(|other| signal::interrupts(other))
        .for_each(|other| signal::note_pending(other));
    drop(others);
    sched::release(thread.tid);
    sched::exit_current()
}

/// `CLONE_CHILD_CLEARTID`: pthread_join(3) waits for this word.
fn clear_child_tid(thread: &Thread) {
    let address = thread.clear_child_tid.swap(0, Ordering::Relaxed);
    // As Linux: a bad address is the program's loss.
    if address != 0 && user::write(address, &0u32.to_le_bytes()).is_ok() {
        futex::wake_all_kinds(address, 1);
    }
}
