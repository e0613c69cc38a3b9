//! ioctl_tty(2) of the terminal that the monitor brings.
use super::terminal::{self, Terminal};
use crate::task::family::INIT;
use linux_abi::raw::ioctl::{TIOCGPGRP, TIOCGSID, TIOCSCTTY, TIOCSPGRP};
use linux_abi::{Errno, Termios, Winsize};
use vfs::tty::{Flush, Line, load, store};
use vfs::{Result, UserMemory, poll};

/// Number of the terminal: /dev/console.
pub const DEVICE: u64 = 5 << 8 | 1;

impl Line for Terminal {
    fn termios(&self) -> Termios {
        *self.state.lock().discipline.termios()
    }

    fn set_termios(&self, new: &Termios, flush: bool) -> Result<()> {
        // What was typed before the change is still under the old settings.
        self.pump(0);
        self.state.lock().discipline.change_termios(new, flush);
        self.changed.notify(poll::IN | poll::RDNORM);
        Ok(())
    }

    fn size(&self) -> Winsize {
        self.state.lock().size
    }

    fn set_size(&self, size: Winsize) {
        self.resize(size);
    }

    fn flush(&self, what: Flush) -> Result<()> {
        self.pump(0);
        let mut state = self.state.lock();
        if what != Flush::Output {
            state.discipline.flush_input();
        }
        if what != Flush::Input {
            state.backlog.clear();
        }
        Ok(())
    }

    fn set_stopped(&self, stopped: bool) {
        let mut state = self.state.lock();
        state.discipline.set_stopped(stopped);
        if !stopped {
            self.drain(&mut state);
            drop(state);
            self.changed.notify(poll::OUT | poll::WRNORM);
        }
    }

    fn available(&self) -> usize {
        self.state.lock().discipline.available()
    }

    fn unsent(&self) -> usize {
        self.held_back()
    }

    fn device(&self) -> u64 {
        DEVICE
    }

    fn own(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Option<Result<usize>> {
        Some(match command {
            TIOCGPGRP => store(memory, argument, &terminal::foreground()),
            TIOCGSID => store(memory, argument, &INIT),
            TIOCSPGRP => load(memory, argument).and_then(|group: i32| match group {
                ..0 => Err(Errno::EINVAL),
                group => terminal::set_foreground(group).map(|()| 0),
            }),
            // The program leads the session that the terminal belongs to.
            TIOCSCTTY => Ok(0),
            _ => return None,
        })
    }
}
