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

    fn wait_exclusive(
        &self,
        list: &WaitList,
        events: u32,
        poll: &dyn Fn() -> u32,
        ready: &mut dyn FnMut() -> bool,
    ) -> Result<Woken, Errno> {
        wait::wait_exclusive(list, events, poll, ready)
    }

    fn keep_deadline(&self, deadline: u64) {
        *self.thread().interrupted.lock() = Some((self.number(), deadline));
    }

    fn take_deadline(&self) -> Option<u64> {
        let kept = self.thread().interrupted.lock().take();
        kept.filter(|(number, _)| *number == self.number())
            .map(|(_, deadline)| deadline)
    }

    fn look(&self) {
        drivers::network::poll();
    }

    fn signal_pending(&self) -> bool {
        signal::interrupts(self.thread())
    }
}
