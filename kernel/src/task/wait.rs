//! Sleeping until something is so, and the ends of threads, processes and the program.

use super::family::{Exit, INIT};
use super::process::Process;
use super::thread::Thread;
use super::{futex, sched, signal};
use crate::mm::user;
use crate::{drivers, parts, percpu, time, trace, tty};
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
    let outcome = sleep_until(thread, deadline, ready);
    lists.iter().for_each(|list| list.remove(&waker));
    outcome
}

/// The same as one of several of which it is enough to wake one; see `syscall_shim::kernel::Wait`.
pub fn wait_exclusive(
    list: &WaitList,
    events: u32,
    poll: &dyn Fn() -> u32,
    ready: &mut dyn FnMut() -> bool,
) -> Result<Woken, Errno> {
    let thread = percpu::current();
    let waker: Arc<dyn Wake> = thread.arc().ok_or(Errno::ESRCH)?;
    list.add_exclusive_for(&waker, events);
    let outcome = sleep_until(thread, None, ready);
    list.remove(&waker);
    // The wake-up may have come for more than was taken, or to a thread that a signal woke as well.
    let left = poll() & events;
    if left != 0 {
        list.notify(left);
    }
    outcome
}

fn sleep_until(
    thread: &Thread,
    deadline: Option<u64>,
    ready: &mut dyn FnMut() -> bool,
) -> Result<Woken, Errno> {
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
    if let Some(alarm) = alarm {
        time::cancel(alarm);
    }
    outcome
}

/// Sleeps until `ready` answers true, or the thread is to end; whoever makes it so wakes the thread.
pub fn wait_through_signals(lists: &[&WaitList], ready: &mut dyn FnMut() -> bool) {
    let thread = percpu::current();
    let Some(thread) = thread.arc() else { return };
    let waker: Arc<dyn Wake> = thread.clone();
    lists.iter().for_each(|list| list.add(&waker));
    while !ready() && !thread.is_doomed() {
        drivers::poll();
        sched::sleep();
    }
    lists.iter().for_each(|list| list.remove(&waker));
}

/// Ends the process, with all its threads. That of the first process is the machine's end.
pub fn end_process(exit: Exit) -> ! {
    let process = &percpu::current().process;
    if process.pid == INIT {
        end_machine(exit.shell_status());
    }
    process.begin_ending(exit);
    exit_thread(exit)
}

fn end_machine(status: u8) -> ! {
    sched::stop_others();
    trace::process_ended(status);
    tty::leave_position();
    drivers::shutdown(status)
}

/// Ends the calling thread; the last one ends its process. `exit`: what it says of itself.
pub fn exit_thread(exit: Exit) -> ! {
    let thread = percpu::current();
    let process = &thread.process;
    let status = exit.shell_status();
    if thread.tid == process.pid {
        *process.name.lock() = *thread.name.lock();
        process
            .leader_status
            .store(i32::from(exit.0), Ordering::Relaxed);
    }
    futex::release_robust_list(thread);
    clear_child_tid(thread);
    if thread.forget() {
        last_thread_ended(process, status);
    } else {
        trace::thread_ended(status);
        leave_signals(process);
        process.child_events.notify(vfs::poll::IN);
    }
    sched::release(thread);
    sched::exit_current()
}

/// A signal for the process may have been left to the thread that has ended.
fn leave_signals(process: &Process) {
    process
        .live_threads()
        .iter()
        .filter(|other| signal::interrupts(other))
        .for_each(|other| signal::note_pending(other));
}

fn last_thread_ended(process: &Arc<Process>, status: u8) {
    let left = Exit(process.leader_status.load(Ordering::Relaxed) as u16);
    let exit = process.ending().unwrap_or(left);
    match parts::processes() {
        Some(processes) if process.pid != INIT => {
            trace::process_ended(status);
            (processes.ended)(process, exit);
        }
        _ => end_machine(exit.shell_status()),
    }
}

/// `CLONE_CHILD_CLEARTID`: pthread_join(3) waits for this word.
pub fn clear_child_tid(thread: &Thread) {
    let address = thread.clear_child_tid.swap(0, Ordering::Relaxed);
    // As Linux: a bad address is the program's loss.
    if address != 0 && user::write(address, &0u32.to_le_bytes()).is_ok() {
        futex::wake_all_kinds(address, 1);
    }
}
