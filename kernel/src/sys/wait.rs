//! Sleeping.

use super::Caller;
use crate::drivers;
use crate::task::{signal, wait};
use linux_abi::Errno;
use syscall_shim::kernel::{Wait, Woken};
use vfs::WaitList;

impl Wait for Caller<'_> {
    fn wait(
        &self,
        lists: &[&WaitList],
        deadline: Option<u64>,
        ready: &mut dyn FnMut() -> bool,
    ) -> Result<Woken, Errno> {
        wait::wait(lists, deadline, ready)
    }

    fn look(&self) {
        drivers::network::poll();
    }

    fn signal_pending(&self) -> bool {
        signal::interrupts(self.thread())
    }
}
