//! execve(2): another program in the same process.
//!
//! The new space is made beside the old one, so whatever can fail fails before anything is lost. The program's first thread is
//! a new one with the process's number; the calling thread ends.

mod failure;
mod load;

pub use failure::Failure;
pub use load::{Loaded, Runner};
pub use syscall_shim::kernel::ExecRequest as Request;

use super::frame::{Frame, Vector};
use super::process::Process;
use super::shared::Shared;
use super::thread::{State, Thread};
use super::{family, futex, sched, wait};
use crate::percpu;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::raw::general::{S_ISGID, S_ISUID};
use linux_abi::{Errno, SysResult};
use syscall_shim::state::{Identity, Resource};
use vfs::{FdTable, InodeRef, Metadata};

/// Runs the program. Returns only if it cannot.
pub fn exec(request: &Request) -> SysResult {
    let thread = percpu::current();
    let process = &thread.process;
    let credentials = process.state.file_credentials();
    let runner = Runner {
        fs: &thread.fs,
        credentials: Some(&credentials),
        stack_limit: process.state.limits.lock().current(Resource::STACK),
    };
    let errno = |failure: Failure| failure.errno();
    let found = runner.resolve(request).map_err(errno)?;
    if is_being_written(found.file.inode()) {
        return Err(Errno::ETXTBSY);
    }
    let identity = identity_for(process, &found.file.metadata());
    let loaded = runner.load(&found, request, &identity).map_err(errno)?;
    drop(found);
    let next = first_thread(thread, &loaded, &request.path)?;
    become_alone(process)?;
    // From here on nothing fails.
    let changed = process.state.change_identity(|known| {
        *known = identity;
        Ok(())
    });
    debug_assert!(changed.is_ok());
    replace(thread, next, loaded)
}

/// Whether any process has the file open for writing.
fn is_being_written(inode: &InodeRef) -> bool {
    let writes = |files: &FdTable| {
        let mut from = 0;
        while let Some(fd) = files.next_open(from) {
            let file = files.get(fd);
            if file.is_ok_and(|file| file.is_writable() && Arc::ptr_eq(file.inode(), inode)) {
                return true;
            }
            from = fd.saturating_add(1);
        }
        false
    };
    family::all().iter().any(|process| writes(&process.files()))
}

/// Set-user-ID and set-group-ID files.
fn identity_for(process: &Process, file: &Metadata) -> Identity {
    let mut identity = process.state.identity();
    let ids = (identity.euid, identity.egid);
    if process.state.prctl.no_new_privs.load(Ordering::Relaxed) == 0 {
        if file.mode & S_ISUID != 0 {
            (identity.euid, identity.fsuid) = (file.uid, file.uid);
        }
        // Without the group's execute bit it means something else.
        if file.mode & S_ISGID != 0 && file.mode & 0o10 != 0 {
            (identity.egid, identity.fsgid) = (file.gid, file.gid);
        }
    }
    (identity.suid, identity.sgid) = (identity.euid, identity.egid);
    let changed = ids != (identity.euid, identity.egid);
    identity
        .capabilities
        .executed(identity.ruid, identity.euid, changed);
    identity
}

/// The thread that the program begins with. It does not run yet, and is in no table.
fn first_thread(old: &Thread, loaded: &Loaded, path: &[u8]) -> Result<Arc<Thread>, Errno> {
    let process = &old.process;
    let files = if process.parts.lock().files.is_shared() {
        Arc::new(old.files.duplicate())
    } else {
        old.files.clone()
    };
    let thread = Thread::build(
        process.pid,
        process,
        (loaded.space.clone(), files, old.fs.clone()),
        &initial_frame(loaded),
        (&[0; 16], Vector::initial(), 0),
    )?;
    *thread.name.lock() = comm(path);
    super::seccomp::inherit(old, &thread);
    thread
        .affinity
        .store(old.affinity.load(Ordering::Relaxed), Ordering::Relaxed);
    thread
        .policy
        .store(old.policy.load(Ordering::Relaxed), Ordering::Relaxed);
    Ok(thread)
}

/// The registers with which a program begins.
#[must_use]
pub fn initial_frame(loaded: &Loaded) -> Frame {
    Frame {
        rip: loaded.entry,
        rsp: loaded.sp,
        cs: 0x33,
        ss: 0x2b,
        rflags: crate::gate::USER_FLAGS,
        orig_rax: u64::MAX,
        ..Frame::default()
    }
}

/// `TASK_COMM_LEN`: 15 bytes of the file's name.
#[must_use]
pub fn comm(path: &[u8]) -> [u8; 16] {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    let mut comm = [0; 16];
    comm.iter_mut()
        .take(15)
        .zip(name)
        .for_each(|(slot, byte)| *slot = *byte);
    comm
}

/// Ends all other threads of the process. EAGAIN: another one is about to do the same to this.
fn become_alone(process: &Process) -> Result<(), Errno> {
    if process.is_execing.swap(true, Ordering::SeqCst) {
        return Err(Errno::EAGAIN);
    }
    let me = percpu::current();
    wait::wait_through_signals(&[&process.child_events], &mut || {
        let mut others = process.live_threads();
        others.retain(|other| !percpu::is_current(other));
        others.iter().for_each(|other| other.doom());
        others.is_empty()
    });
    process.is_execing.store(false, Ordering::SeqCst);
    if me.is_doomed() {
        Err(Errno::EINTR)
    } else {
        Ok(())
    }
}

/// The point of no return: the new thread takes over, the calling one ends.
fn replace(old: &'static Thread, next: Arc<Thread>, loaded: Loaded) -> ! {
    let process = &old.process;
    futex::release_robust_list(old);
    wait::clear_child_tid(old);
    process.timers.clear_posix();
    process.signals.lock().reset_handlers();
    next.signals
        .lock()
        .take_over(&mut old.signals.lock_another());
    syscall_shim::sys::aio::forget(process.pid);
    vfs::sysv::shm_segments().left(
        process.pid,
        (crate::time::realtime() / crate::time::SECOND) as i64,
    );
    move_over(process, &next, loaded);
    close_on_exec(&next);
    process.has_execed.store(true, Ordering::Relaxed);
    process.state.membarrier.store(0, Ordering::Relaxed);
    old.forget();
    sched::release(old);
    sched::keep(next.clone());
    next.publish();
    next.set_state(State::Runnable);
    sched::enqueue(next);
    process.give_back_memory();
    sched::exit_current()
}

/// The process gets the new thread's space and descriptors.
fn move_over(process: &Process, next: &Thread, loaded: Loaded) {
    let peak = super::current_space().peak() * crate::mm::layout::PAGE / 1024;
    process.past_peak.fetch_max(peak, Ordering::Relaxed);
    *process.exec.lock() = loaded.info;
    let unshared = !Arc::ptr_eq(process.parts.lock().files.get(), &next.files);
    let (space, files) = {
        let mut parts = process.parts.lock();
        let space = core::mem::replace(&mut parts.space, Shared::new(loaded.space));
        let files =
            unshared.then(|| core::mem::replace(&mut parts.files, Shared::new(next.files.clone())));
        (space, files)
    };
    if space.leave() {
        space.get().clear();
    }
    if let Some(files) = files
        && files.leave()
    {
        files.get().close_all();
    }
}

/// With the locks that go with a descriptor of their file.
fn close_on_exec(thread: &Thread) {
    for entry in thread.files.close_on_exec() {
        crate::sys::file_locks().closed(&entry.file, thread.tid);
    }
}
