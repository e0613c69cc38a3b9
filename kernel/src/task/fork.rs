//! Child processes: fork(2), vfork(2), clone(2) without `CLONE_THREAD`; and their ends.

use super::family::{self, Exit};
use super::frame::{self, Frame};
use super::process::{Parts, Process};
use super::shared::Shared;
use super::thread::{State, Thread, new_id};
use super::{pidfd, sched, thread_like, wait};
use crate::mm::layout::PAGE;
use crate::mm::user;
use crate::{parts, percpu};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::{CloneFlags, Errno, SsFlags, StackT};
use syscall_shim::kernel::CloneRequest;

/// A process that goes on where the calling thread does. Answers its number.
pub fn clone(request: &CloneRequest, registers: &Frame, xmm: &[u128; 16]) -> Result<i32, Errno> {
    let flags = request.flags;
    let parent = percpu::current();
    let child = new_process(parent, request, registers)?;
    let thread = match copy_thread(parent, &child, request, registers, xmm) {
        Ok(thread) => thread,
        Err(errno) => {
            give_back(&child);
            return Err(errno);
        }
    };
    if let Err(errno) = make_pidfd(parent, &child, request) {
        thread.forget();
        give_back(&child);
        return Err(errno);
    }
    let signal = request.exit_signal.map_or(0, |signal| signal.number());
    let own = &parent.process;
    let (ppid, signal) = if flags.contains(CloneFlags::CLONE_PARENT) {
        let ppid = own.ppid.load(Ordering::Relaxed);
        (ppid, own.exit_signal.load(Ordering::Relaxed))
    } else {
        (own.pid, signal)
    };
    child.exit_signal.store(signal, Ordering::Relaxed);
    tell_number(&thread, request);
    let lends = flags.contains(CloneFlags::CLONE_VFORK);
    if lends {
        *child.lender.lock() = parent.arc().map(|thread| Arc::downgrade(&thread));
    }
    let pid = child.pid;
    family::add(child.clone(), ppid);
    thread.set_state(State::Runnable);
    sched::keep(thread.clone());
    sched::enqueue(thread);
    if lends {
        wait::wait_through_signals(&[], &mut || child.lender.lock().is_none());
    }
    Ok(pid)
}

/// All of a process but its thread.
fn new_process(
    parent: &Thread,
    request: &CloneRequest,
    registers: &Frame,
) -> Result<Arc<Process>, Errno> {
    let (own, flags) = (&parent.process, request.flags);
    // Before anything is shared: this can fail.
    let copy = if flags.contains(CloneFlags::CLONE_VM) {
        None
    } else {
        let sp = request.stack.unwrap_or(registers.rsp);
        let hot = [
            sp,
            sp.wrapping_sub(PAGE),
            registers.rsp,
            frame::read_fs_base(),
        ];
        Some(parent.space.fork(&hot)?)
    };
    let parts = {
        let parts = own.parts.lock();
        Parts {
            space: copy.map_or_else(|| parts.space.share(), Shared::new),
            files: if flags.contains(CloneFlags::CLONE_FILES) {
                parts.files.share()
            } else {
                Shared::new(Arc::new(parts.files.get().duplicate()))
            },
            fs: if flags.contains(CloneFlags::CLONE_FS) {
                parts.fs.clone()
            } else {
                Arc::new(parts.fs.duplicate())
            },
        }
    };
    let child = Process::new(new_id(), parts, own.state.duplicate());
    child
        .signals
        .lock()
        .inherit(&own.signals.lock_another(), flags);
    *child.exec.lock() = own.exec.lock().clone();
    if !flags.contains(CloneFlags::CLONE_VM) {
        vfs::sysv::shm_segments().inherited(own.pid, child.pid);
    }
    Ok(child)
}

/// The thread, which does not run yet.
fn copy_thread(
    parent: &Thread,
    child: &Arc<Process>,
    request: &CloneRequest,
    registers: &Frame,
    xmm: &[u128; 16],
) -> Result<Arc<Thread>, Errno> {
    let thread = thread_like(parent, child.pid, child, request, registers, xmm)?;
    let flags = request.flags;
    let own_memory = !flags.contains(CloneFlags::CLONE_VM);
    if own_memory || flags.contains(CloneFlags::CLONE_VFORK) {
        let alternate = parent.signals.lock().alternate;
        thread.signals.lock().alternate = alternate;
    } else {
        thread.signals.lock().alternate = StackT {
            flags: SsFlags::SS_DISABLE.bits(),
            ..StackT::default()
        };
    }
    if own_memory {
        *thread.rseq.lock() = *parent.rseq.lock();
    }
    Ok(thread)
}

/// Stores the child's number where it was asked for, on both sides. As Linux: a child whose number cannot be stored runs all the same.
fn tell_number(thread: &Thread, request: &CloneRequest) {
    let number = thread.tid.to_le_bytes();
    if request.flags.contains(CloneFlags::CLONE_PARENT_SETTID) {
        let _ = user::write(request.parent_tid, &number);
    }
    if request.flags.contains(CloneFlags::CLONE_CHILD_SETTID) {
        let _ = thread.space.copy_in(request.child_tid, &number);
    }
}

/// `CLONE_PIDFD`
fn make_pidfd(parent: &Thread, child: &Arc<Process>, request: &CloneRequest) -> Result<(), Errno> {
    if !request.flags.contains(CloneFlags::CLONE_PIDFD) {
        return Ok(());
    }
    let fd = parent.files.insert(pidfd::new(child, 0), true)?;
    if let Err(errno) = user::write(request.pidfd, &fd.to_le_bytes()) {
        let _ = parent.files.close(fd);
        return Err(errno);
    }
    Ok(())
}

/// The last thread has ended.
pub fn ended(process: &Arc<Process>, exit: Exit) {
    process.give_back_memory();
    process.timers.clear();
    syscall_shim::sys::aio::forget(process.pid);
    crate::sys::file_locks().process_ended(process.pid);
    let now = crate::time::realtime() / crate::time::SECOND;
    vfs::sysv::shm_segments().left(process.pid, now as i64);
    vfs::sysv::sem_sets().left(process.pid);
    give_back(process);
    if process.state.sid.load(Ordering::Relaxed) == process.pid
        && let Some(ptys) = parts::ptys()
    {
        (ptys.session_ended)(process.pid);
    }
    family::ended(process, exit);
}

/// What the process held: whoever waits for the other end of a pipe must not wait until somebody asks for its status.
fn give_back(process: &Process) {
    let (files, last_files, space, last_space) = {
        let parts = process.parts.lock();
        (
            parts.files.get().clone(),
            parts.files.leave(),
            parts.space.get().clone(),
            parts.space.leave(),
        )
    };
    if last_files {
        files.close_all();
    }
    if last_space {
        space.clear();
    }
}
