//! Job control, see termios(3): what a terminal asks of those in the background of its session.

use crate::Result;
use linux_abi::raw::ioctl as raw;
use linux_abi::{Errno, Signal};

/// Who makes the system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    pub pid: i32,
    pub group: i32,
    pub session: i32,
    pub uid: u32,
}

/// What terminals ask about processes. The kernel implements it.
pub trait Jobs: Send + Sync {
    fn caller(&self) -> Job;
    /// The session of a process group; none if there is no such group.
    fn session_of(&self, group: i32) -> Option<i32>;
    fn signal_group(&self, group: i32, signal: Signal);
    fn signal_process(&self, pid: i32, signal: Signal);
    /// Whether the caller neither blocks nor ignores a signal.
    fn heeds(&self, signal: Signal) -> bool;
    /// Whether the caller may be stopped: somebody could let its group go on.
    fn can_stop(&self) -> bool;
    /// Whether the session's terminal is the one that the monitor brings.
    fn has_console(&self, session: i32) -> bool;
}

/// Whose a terminal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    pub session: i32,
    /// The process group in the foreground; 0: none.
    pub foreground: i32,
}

/// Whether a request changes the terminal, which is not for those in the background.
#[must_use]
pub const fn is_change(command: u32) -> bool {
    matches!(
        command,
        raw::TCSETS
            | raw::TCSETSW
            | raw::TCSETSF
            | raw::TCSETS2
            | raw::TCSETSW2
            | raw::TCSETSF2
            | raw::TCFLSH
            | raw::TCXONC
            | raw::TCSBRK
            | raw::TCSBRKP
            | raw::TIOCSPGRP
    )
}

/// Has the caller stop, if it is in the background of its own terminal; then the call is made again once it goes on.
pub fn check_foreground(jobs: &dyn Jobs, holder: Holder, signal: Signal) -> Result<()> {
    let caller = jobs.caller();
    let in_foreground = holder.foreground == 0 || holder.foreground == caller.group;
    if holder.session != caller.session || in_foreground {
        return Ok(());
    }
    match (jobs.heeds(signal), signal) {
        (false, Signal::SIGTTIN) => return Err(Errno::EIO),
        (false, _) => return Ok(()),
        _ => {}
    }
    if !jobs.can_stop() {
        return Err(Errno::EIO);
    }
    jobs.signal_group(caller.group, signal);
    Err(Errno::ERESTARTSYS)
}
