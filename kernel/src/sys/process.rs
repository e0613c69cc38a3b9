//! The calling thread's process, and others.

use super::Caller;
use crate::mm::layout::is_user_range;
use crate::task::{Process as Task, Thread, exec, family, pidfd, start};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::{Capability, Errno, SysResult, WaitFlags};
use syscall_shim::kernel::{
    CloneRequest, ExecRequest, ObjectKind, Process, Usage, UsageOf, WaitTarget, Waited,
};
use syscall_shim::state::{ProcessState, Resource};
use vfs::File;

impl Caller<'_> {
    /// The process of a number (0: the caller's). As on Linux, the number of any of its threads will do.
    pub(super) fn find_process(&self, pid: i32) -> Option<Arc<Task>> {
        let own = &self.thread().process;
        if pid == 0 || pid == own.pid {
            return Some(own.clone());
        }
        // One that has ended has a number, but no threads.
        family::find(pid).or_else(|| Thread::find(pid).map(|thread| thread.process.clone()))
    }

    /// Whether the caller may do to the process what kill(2) does.
    pub(super) fn check_control(&self, other: &Task) -> Result<(), Errno> {
        let own = &self.thread().process;
        if own.pid == other.pid {
            return Ok(());
        }
        let (real, effective, free) = own
            .state
            .with_identity(|id| (id.ruid, id.euid, id.can(Capability::KILL)));
        let may = other.state.with_identity(|id| {
            free || [id.ruid, id.suid]
                .iter()
                .any(|uid| [real, effective].contains(uid))
        });
        if may { Ok(()) } else { Err(Errno::EPERM) }
    }
}

impl Caller<'_> {
    /// Whether the caller may look into the process, and change it: more than kill(2) asks for.
    fn check_access(&self, other: &Task) -> Result<(), Errno> {
        let own = &self.thread().process;
        if own.pid == other.pid {
            return Ok(());
        }
        let (uid, gid, privileged) = own
            .state
            .with_identity(|id| (id.ruid, id.rgid, id.can(Capability::SYS_PTRACE)));
        let same = other.state.with_identity(|id| {
            [id.ruid, id.euid, id.suid] == [uid; 3] && [id.rgid, id.egid, id.sgid] == [gid; 3]
        });
        let dumpable = other.state.prctl.dumpable.load(Ordering::Relaxed) == 1;
        if privileged || (same && dumpable) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// The process of a thread, which may have ended as long as it was not waited for.
    fn process_of(&self, tid: i32) -> Result<Arc<Task>, Errno> {
        self.find_process(tid).ok_or(Errno::ESRCH)
    }
}

impl Process for Caller<'_> {
    fn getpid(&self) -> i32 {
        self.thread().process.pid
    }

    fn getppid(&self) -> i32 {
        self.thread().process.ppid.load(Ordering::Relaxed)
    }

    fn process(&self) -> &ProcessState {
        &self.thread().process.state
    }

    fn process_exists(&self, pid: i32) -> bool {
        self.find_process(pid)
            .is_some_and(|process| pid == 0 || process.pid == pid)
    }

    fn getrusage(&self, of: UsageOf) -> Usage {
        let thread = self.thread();
        match of {
            UsageOf::Process => family::usage(&thread.process),
            UsageOf::Children => *thread.process.children_usage.lock(),
            UsageOf::Thread => Usage {
                user: thread.cpu_time(),
                ..family::usage(&thread.process)
            },
        }
    }

    fn wait_child(&self, target: WaitTarget, flags: WaitFlags) -> Result<Option<Waited>, Errno> {
        family::wait_child(&self.thread().process, target, flags)
    }

    fn with_process(&self, pid: i32, look: &mut dyn FnMut(&ProcessState)) -> Result<(), Errno> {
        let process = self.find_process(pid).ok_or(Errno::ESRCH)?;
        look(&process.state);
        Ok(())
    }

    fn with_processes(&self, look: &mut dyn FnMut(i32, &ProcessState) -> bool) {
        let _ = family::all()
            .iter()
            .all(|process| look(process.pid, &process.state));
    }

    fn set_process_group(&self, pid: i32, pgid: i32) -> Result<(), Errno> {
        family::set_group(&self.thread().process, pid, pgid)
    }

    fn start_process(&self, request: &CloneRequest) -> Result<i32, Errno> {
        self.check_thread_limit()?;
        let (registers, xmm) = self.with_frame(|frame| (*frame, *frame.xmm()));
        start(request, &registers, &xmm)
    }

    fn exec(&self, request: ExecRequest) -> SysResult {
        exec::exec(&request)
    }

    fn pidfd(&self, pid: i32, flags: u32) -> Result<Arc<File>, Errno> {
        match family::find(pid) {
            Some(process) => Ok(pidfd::new(&process, flags)),
            None if Thread::find(pid).is_some() => Err(Errno::EINVAL),
            None => Err(Errno::ESRCH),
        }
    }

    fn pidfd_target(&self, file: &File) -> Result<i32, Errno> {
        let pidfd = file.ops_as::<pidfd::PidFd>().ok_or(Errno::EBADF)?;
        // The number may be another process's by now.
        if pidfd.is_known() {
            Ok(pidfd.0.pid)
        } else {
            Err(Errno::ESRCH)
        }
    }

    fn signal_target(&self, file: &File) -> Result<i32, Errno> {
        if file.is_path() {
            return Err(Errno::EBADF);
        }
        let Some((pid, since)) = file.inode().process() else {
            return self.pidfd_target(file);
        };
        let pid = i32::try_from(pid).map_err(|_| Errno::ESRCH)?;
        match family::find(pid) {
            Some(process) if process.start_time == since => Ok(pid),
            _ => Err(Errno::ESRCH),
        }
    }

    fn may_inspect(&self, pid: i32) -> Result<(), Errno> {
        self.check_access(&*self.process_of(pid)?)
    }

    fn read_of(&self, pid: i32, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        let space = self.process_of(pid)?.space();
        if is_user_range(addr, into.len() as u64) && space.read_range(addr, into) == into.len() {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }

    fn write_of(&self, pid: i32, addr: u64, from: &[u8]) -> Result<(), Errno> {
        if !is_user_range(addr, from.len() as u64) {
            return Err(Errno::EFAULT);
        }
        let space = self.process_of(pid)?.space();
        space.copy_in(addr, from).map_err(|_| Errno::EFAULT)
    }

    fn object_of(&self, tid: i32, kind: ObjectKind) -> Result<usize, Errno> {
        let process = self.process_of(tid)?;
        Ok(match kind {
            ObjectKind::Memory => Arc::as_ptr(&process.space()).addr(),
            ObjectKind::Files => Arc::as_ptr(&process.files()).addr(),
            ObjectKind::Directories => Arc::as_ptr(&process.fs()).addr(),
            ObjectKind::SignalActions => process.signals.lock().actions_address(),
            ObjectKind::SemaphoreUndo if vfs::sysv::sem_sets().has_undo(process.pid) => {
                Arc::as_ptr(&process).addr()
            }
            ObjectKind::SemaphoreUndo => 0,
        })
    }

    fn file_of(&self, pid: i32, fd: i32) -> Result<Arc<File>, Errno> {
        let process = family::find(pid).ok_or(Errno::ESRCH)?;
        self.check_access(&process)?;
        process.files().get(fd)
    }

    fn limits_changed(&self, pid: i32) {
        let Some(process) = self.find_process(pid) else {
            return;
        };
        let files = process.state.limits.lock().current(Resource::NOFILE);
        process
            .files()
            .set_limit(usize::try_from(files).unwrap_or(usize::MAX));
        process.timers.watch_cpu_limit(&process);
    }
}
