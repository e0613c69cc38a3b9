//! The calling thread's process, and others.

use super::Caller;
use crate::mm::layout::PAGE;
use crate::task::{Process as Task, Thread};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::{Errno, WaitFlags};
use syscall_shim::kernel::{Process, Usage, UsageOf, WaitTarget, Waited};
use syscall_shim::state::{ProcessState, Resource};

impl Caller<'_> {
    /// The process of a number (0: the caller's). As on Linux, the number of any of its threads will do.
    pub(super) fn find_process(&self, pid: i32) -> Option<Arc<Task>> {
        let own = &self.thread().process;
        if pid == 0 || pid == own.pid {
            return Some(own.clone());
        }
        Thread::find(pid).map(|thread| thread.process.clone())
    }
}

fn process_usage(process: &Task) -> Usage {
    let (resident, _) = process.space.usage();
    Usage {
        // A system call is a jump: nobody counts apart what the kernel used.
        user: process.cpu_time(),
        max_rss_kib: resident * PAGE / 1024,
        minor_faults: process.minor_faults.load(Ordering::Relaxed),
        voluntary_switches: process.switches.load(Ordering::Relaxed),
        ..Usage::default()
    }
}

impl Process for Caller<'_> {
    fn getpid(&self) -> i32 {
        self.thread().process.pid
    }

    fn getppid(&self) -> i32 {
        self.thread().process.ppid
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
            UsageOf::Process => process_usage(&thread.process),
            UsageOf::Children => Usage::default(),
            UsageOf::Thread => Usage {
                user: thread.cpu_time(),
                ..process_usage(&thread.process)
            },
        }
    }

    fn wait_child(&self, _target: WaitTarget, _flags: WaitFlags) -> Result<Option<Waited>, Errno> {
        // A program of one process has no children.
        Err(Errno::ECHILD)
    }

    fn limits_changed(&self) {
        let process = &self.thread().process;
        let files = process.state.limits.lock().current(Resource::NOFILE);
        process
            .files
            .set_limit(usize::try_from(files).unwrap_or(usize::MAX));
        process.timers.watch_cpu_limit(process);
    }
}
