use linux_abi::Errno;
use vfs::WaitList;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    Ready,
    TimedOut,
}

/// Sleeping. Everything that blocks in the shim blocks here.
pub trait Wait {
    /// Sleeps until `ready` answers true. Registers the thread with every list, calls `ready`, sleeps, and calls `ready`
    /// again after each wake-up; so no wake-up is lost. `deadline` is in nanoseconds of CLOCK_MONOTONIC; once it has
    /// passed (and `ready` still answers false): `TimedOut`. ERESTARTSYS when a signal that is not blocked is pending and
    /// `ready` answers false. `ready` may do the operation itself, so it is called with no lock held and may touch user
    /// memory.
    fn wait(
        &self,
        lists: &[&WaitList],
        deadline: Option<u64>,
        ready: &mut dyn FnMut() -> bool,
    ) -> Result<Woken, Errno>;

    /// The same on one list, by a caller that takes what it waits for, so that of several it is enough to wake one
    /// ([`WaitList::add_exclusive_for`]). `poll` tells what is there when the wait ends, however it ends: another caller is woken
    /// for what this one has left.
    fn wait_exclusive(
        &self,
        list: &WaitList,
        events: u32,
        poll: &dyn Fn() -> u32,
        ready: &mut dyn FnMut() -> bool,
    ) -> Result<Woken, Errno>;

    /// An interrupted wait was to end then, and its length was given as a duration: should the call be made again because no
    /// handler ran, `take_deadline` answers it.
    fn keep_deadline(&self, deadline: u64);

    /// The deadline that this call had when it was interrupted.
    fn take_deadline(&self) -> Option<u64>;

    /// Looks whether devices have brought something of which no interrupt has told. For calls that ask what is ready, and
    /// that a busy program makes without ever waiting. Cheap.
    fn look(&self) {}

    /// Whether a signal is pending that would end a wait. For long operations between steps.
    fn signal_pending(&self) -> bool;
}
