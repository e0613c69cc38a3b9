//! What clone(2) copies of the calling thread, for a thread as for a process.

use super::frame::{self, Frame, Vector};
use super::process::Process;
use super::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::raw::general::SCHED_RESET_ON_FORK;
use linux_abi::{CloneFlags, Errno};
use syscall_shim::kernel::CloneRequest;

/// A thread that goes on where `parent` does, on its own stack and with 0 for a result. It does not run yet.
pub fn thread_like(
    parent: &Thread,
    tid: i32,
    process: &Arc<Process>,
    request: &CloneRequest,
    registers: &Frame,
    xmm: &[u128; 16],
) -> Result<Arc<Thread>, Errno> {
    let mut registers = *registers;
    registers.rax = 0;
    registers.rsp = request.stack.unwrap_or(registers.rsp);
    let mut vector = Vector::initial();
    vector.save(Some(xmm));
    let fs_base = if request.flags.contains(CloneFlags::CLONE_SETTLS) {
        request.tls
    } else {
        frame::read_fs_base()
    };
    let thread = Thread::new(tid, process, &registers, xmm, vector, fs_base)?;
    super::seccomp::inherit(parent, &thread);
    let mask = parent.signals.lock().mask;
    thread.signals.lock().mask = mask;
    *thread.name.lock() = *parent.name.lock();
    thread
        .affinity
        .store(parent.affinity.load(Ordering::Relaxed), Ordering::Relaxed);
    // What is reset are the real-time policies, which nobody has; the flag itself does not pass on.
    let policy = parent.policy.load(Ordering::Relaxed) & !SCHED_RESET_ON_FORK;
    thread.policy.store(policy, Ordering::Relaxed);
    if request.flags.contains(CloneFlags::CLONE_CHILD_CLEARTID) {
        thread
            .clear_child_tid
            .store(request.child_tid, Ordering::Relaxed);
    }
    Ok(thread)
}
