use super::threads::CHILD;
use super::{Mock, PID};
use crate::kernel::{
    CloneRequest, ExecRequest, ObjectKind, Process, Usage, UsageOf, WaitTarget, Waited,
};
use crate::state::ProcessState;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::{Errno, SysResult, WaitFlags};
use vfs::{EventFd, File, eventfd};

/// Somebody else's process.
pub const STRANGER: i32 = 66;

impl Process for Mock {
    fn getpid(&self) -> i32 {
        PID
    }

    fn getppid(&self) -> i32 {
        1
    }

    fn process(&self) -> &ProcessState {
        &self.state
    }

    fn process_exists(&self, pid: i32) -> bool {
        pid == PID
    }

    fn with_process(&self, pid: i32, look: &mut dyn FnMut(&ProcessState)) -> Result<(), Errno> {
        if pid == 0 || pid == PID {
            look(&self.state);
            Ok(())
        } else {
            Err(Errno::ESRCH)
        }
    }

    fn with_processes(&self, look: &mut dyn FnMut(i32, &ProcessState) -> bool) {
        look(PID, &self.state);
    }

    fn set_process_group(&self, pid: i32, pgid: i32) -> Result<(), Errno> {
        self.note(format!("setpgid {pid} {pgid}"));
        Ok(())
    }

    fn start_process(&self, request: &CloneRequest) -> Result<i32, Errno> {
        self.note(format!("{request:?}"));
        Ok(CHILD)
    }

    fn exec(&self, request: ExecRequest) -> SysResult {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let all = |strings: &[Vec<u8>]| strings.iter().map(text).collect::<Vec<_>>().join(" ");
        self.note(format!(
            "exec {} [{}] [{}]",
            text(&request.path),
            all(&request.args),
            all(&request.env)
        ));
        Err(Errno::ENOEXEC)
    }

    /// Any pollable file will do.
    fn pidfd(&self, pid: i32, _flags: u32) -> Result<Arc<File>, Errno> {
        if pid == PID {
            eventfd(0, 0)
        } else {
            Err(Errno::ESRCH)
        }
    }

    fn pidfd_target(&self, file: &File) -> Result<i32, Errno> {
        file.ops_as::<EventFd>().map(|_| PID).ok_or(Errno::EBADF)
    }

    fn signal_target(&self, file: &File) -> Result<i32, Errno> {
        self.pidfd_target(file)
    }

    fn may_inspect(&self, pid: i32) -> Result<(), Errno> {
        match pid {
            PID | CHILD => Ok(()),
            STRANGER => Err(Errno::EPERM),
            _ => Err(Errno::ESRCH),
        }
    }

    /// All have the same memory.
    fn read_of(&self, _pid: i32, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        vfs::UserMemory::read(self, addr, into)
    }

    fn write_of(&self, _pid: i32, addr: u64, from: &[u8]) -> Result<(), Errno> {
        vfs::UserMemory::write(self, addr, from)
    }

    /// Nothing but the memory is common.
    fn object_of(&self, tid: i32, kind: ObjectKind) -> Result<usize, Errno> {
        match kind {
            ObjectKind::Memory | ObjectKind::SemaphoreUndo => Ok(0),
            _ => Ok(tid as usize),
        }
    }

    fn file_of(&self, _pid: i32, fd: i32) -> Result<Arc<File>, Errno> {
        crate::kernel::Files::files(self).get(fd)
    }

    fn getrusage(&self, of: UsageOf) -> Usage {
        match of {
            UsageOf::Children => Usage::default(),
            _ => Usage {
                user: 1_500_000_000,
                system: 250_000_000,
                max_rss_kib: 77,
                ..Usage::default()
            },
        }
    }

    fn wait_child(&self, _target: WaitTarget, _flags: WaitFlags) -> Result<Option<Waited>, Errno> {
        Err(Errno::ECHILD)
    }

    fn limits_changed(&self, pid: i32) {
        self.note(format!("limits_changed {pid}"));
    }
}
