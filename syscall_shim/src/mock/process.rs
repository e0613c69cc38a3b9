use super::{Mock, PID};
use crate::kernel::{Process, Usage, UsageOf, WaitTarget, Waited};
use crate::state::ProcessState;
use linux_abi::{Errno, WaitFlags};

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

    fn limits_changed(&self) {
        self.note("limits_changed");
    }
}
