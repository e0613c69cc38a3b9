//! ioctl_tty(2) of either side.
use super::Ptys;
use super::pair::{Pty, signal_all};
use crate::tty::{Flush, Line, load, store};
use crate::{Result, UserMemory};
use linux_abi::raw::ioctl::{
    FIONREAD, TIOCGPGRP, TIOCGPTLCK, TIOCGPTN, TIOCGSID, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP,
    TIOCSPTLCK,
};
use linux_abi::{Errno, Signal, Termios, Winsize};

/// A side of a pair: both have the settings of the one terminal.
pub(super) struct Side<'a> {
    pub pty: &'a Pty,
    pub ptys: &'a Ptys,
    pub is_master: bool,
}

impl Line for Side<'_> {
    fn termios(&self) -> Termios {
        self.pty.termios()
    }

    fn set_termios(&self, new: &Termios, flush: bool) -> Result<()> {
        self.pty.set_termios(new, flush)
    }

    fn size(&self) -> Winsize {
        self.pty.size()
    }

    fn set_size(&self, size: Winsize) {
        self.pty.set_size(size);
    }

    fn flush(&self, what: Flush) -> Result<()> {
        // What is input to one side is output of the other.
        self.pty.flush(match what {
            Flush::Input if self.is_master => Flush::Output,
            Flush::Output if self.is_master => Flush::Input,
            what => what,
        })
    }

    fn set_stopped(&self, stopped: bool) {
        self.pty.set_stopped(stopped);
    }

    fn available(&self) -> usize {
        self.pty.available()
    }

    fn unsent(&self) -> usize {
        self.pty.unsent()
    }

    fn device(&self) -> u64 {
        self.pty.device()
    }

    fn own(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Option<Result<usize>> {
        Some(match command {
            TIOCGPTN if self.is_master => store(memory, argument, &self.pty.number),
            TIOCSPTLCK if self.is_master => load::<i32>(memory, argument).map(|locked| {
                self.pty.state.lock().locked = locked != 0;
                0
            }),
            TIOCGPTLCK if self.is_master => {
                let locked = i32::from(self.pty.state.lock().locked);
                store(memory, argument, &locked)
            }
            FIONREAD if self.is_master => {
                let count = self.pty.state.lock().output.len();
                store(memory, argument, &i32::try_from(count).unwrap_or(i32::MAX))
            }
            TIOCGPGRP => self
                .visible()
                .and_then(|(_, group)| store(memory, argument, &group)),
            TIOCGSID => self.visible().and_then(|(session, _)| match session {
                0 => Err(Errno::ENOTTY),
                session => store(memory, argument, &session),
            }),
            TIOCSPGRP => load(memory, argument).and_then(|group| self.set_foreground(group)),
            TIOCSCTTY if !self.is_master => self.take(argument == 1),
            TIOCNOTTY if !self.is_master => self.give_up(),
            _ => return None,
        })
    }
}

impl Side<'_> {
    fn is_callers(&self) -> bool {
        let session = self.pty.state.lock().session;
        session != 0 && session == self.pty.jobs.caller().session
    }

    /// Session and foreground process group: for the master, and for those whose terminal it is.
    fn visible(&self) -> Result<(i32, i32)> {
        if !self.is_master && !self.is_callers() {
            return Err(Errno::ENOTTY);
        }
        let state = self.pty.state.lock();
        Ok((state.session, state.foreground))
    }

    /// tcsetpgrp(3)
    fn set_foreground(&self, group: i32) -> Result<usize> {
        if self.is_master || !self.is_callers() {
            return Err(Errno::ENOTTY);
        }
        if group < 0 {
            return Err(Errno::EINVAL);
        }
        let session = self.pty.jobs.session_of(group).ok_or(Errno::ESRCH)?;
        let mut state = self.pty.state.lock();
        if session != state.session {
            return Err(Errno::EPERM);
        }
        state.foreground = group;
        Ok(0)
    }

    /// `TIOCSCTTY`: it becomes the terminal of the caller's session; with `steal` and as root also if it is another's.
    fn take(&self, steal: bool) -> Result<usize> {
        let caller = self.pty.jobs.caller();
        let current = self.pty.state.lock().session;
        if current == caller.session && caller.pid == caller.session {
            return Ok(0);
        }
        let free = current == 0 || (steal && caller.uid == 0);
        if !free || !self.ptys.may_get_terminal(caller) {
            return Err(Errno::EPERM);
        }
        self.pty.state.lock().give_to(caller);
        Ok(0)
    }

    /// `TIOCNOTTY`. A terminal is a session's here, so one process alone cannot do without.
    fn give_up(&self) -> Result<usize> {
        if !self.is_callers() {
            return Err(Errno::ENOTTY);
        }
        let caller = self.pty.jobs.caller();
        if caller.pid != caller.session {
            return Err(Errno::EPERM);
        }
        let group = self.pty.state.lock().leave_session();
        signal_all(&*self.pty.jobs, group, &[Signal::SIGHUP, Signal::SIGCONT]);
        Ok(0)
    }
}
