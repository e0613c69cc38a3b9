//! ioctl_tty(2).
use super::terminal::{self, Terminal};
use crate::task::family::INIT;
use linux_abi::raw::general::{TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON};
use linux_abi::raw::ioctl::{
    FIONREAD, TCFLSH, TCGETS, TCSBRK, TCSBRKP, TCSETS, TCSETSF, TCSETSW, TCXONC, TIOCGPGRP,
    TIOCGSID, TIOCGWINSZ, TIOCOUTQ, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ,
};
use linux_abi::raw::ioctl::{TCGETS2, TCSETS2, TCSETSF2, TCSETSW2, TIOCGDEV, TIOCGETD, TIOCGEXCL};
use linux_abi::{Abi, Errno, Termios, Termios2, Winsize};
use vfs::tty::Flush;
use vfs::{Result, UserMemory, poll};

/// Number of the terminal: /dev/console.
pub const DEVICE: u64 = 5 << 8 | 1;
/// What `B38400`, the setting of a new terminal, is in bits a second.
const SPEED: u32 = 38400;

fn load<T: Abi>(memory: &dyn UserMemory, address: u64) -> Result<T> {
    let mut value = T::new_zeroed();
    memory.read(address, value.as_mut_bytes())?;
    Ok(value)
}

fn store<T: Abi>(memory: &dyn UserMemory, address: u64, value: &T) -> Result<usize> {
    memory.write(address, value.as_bytes())?;
    Ok(0)
}

pub fn run(
    terminal: &Terminal,
    command: u32,
    argument: u64,
    memory: &dyn UserMemory,
) -> Result<usize> {
    match command {
        TCGETS => store(memory, argument, &terminal.termios()),
        TCGETS2 => store(memory, argument, &with_speed(&terminal.termios())),
        TCSETS | TCSETSW => terminal.set_termios(&load(memory, argument)?, false),
        TCSETSF => terminal.set_termios(&load(memory, argument)?, true),
        TCSETS2 | TCSETSW2 => terminal.set_termios(&without_speed(&load(memory, argument)?), false),
        TCSETSF2 => terminal.set_termios(&without_speed(&load(memory, argument)?), true),
        TIOCGWINSZ => store(memory, argument, &terminal.size()),
        TIOCSWINSZ => {
            terminal.set_size(load::<Winsize>(memory, argument)?);
            Ok(0)
        }
        TIOCGPGRP => store(memory, argument, &terminal::foreground()),
        TIOCGSID => store(memory, argument, &INIT),
        TIOCSPGRP => match load::<i32>(memory, argument)? {
            group if group < 0 => Err(Errno::EINVAL),
            group => terminal::set_foreground(group).map(|()| 0),
        },
        // The program leads the session that the terminal belongs to.
        TIOCSCTTY => Ok(0),
        TIOCGDEV => store(memory, argument, &(DEVICE as u32)),
        // N_TTY, and not for exclusive use.
        TIOCGETD | TIOCGEXCL => store(memory, argument, &0i32),
        FIONREAD => store(memory, argument, &count(terminal.input_available())),
        TIOCOUTQ => store(memory, argument, &count(terminal.unsent())),
        TCFLSH => terminal.flush(argument),
        TCXONC => terminal.flow(argument),
        // tcdrain(3): output keeps its order from here to the screen. A break has nowhere to go.
        TCSBRK | TCSBRKP => Ok(0),
        _ => Err(Errno::ENOTTY),
    }
}

fn count(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

fn with_speed(t: &Termios) -> Termios2 {
    Termios2 {
        iflag: t.iflag,
        oflag: t.oflag,
        cflag: t.cflag,
        lflag: t.lflag,
        line: t.line,
        cc: t.cc,
        ispeed: SPEED,
        ospeed: SPEED,
    }
}

/// A screen has no speed; the bits in `cflag` are kept.
fn without_speed(t: &Termios2) -> Termios {
    Termios {
        iflag: t.iflag,
        oflag: t.oflag,
        cflag: t.cflag,
        lflag: t.lflag,
        line: t.line,
        cc: t.cc,
    }
}

impl Terminal {
    fn termios(&self) -> Termios {
        *self.state.lock().discipline.termios()
    }

    fn size(&self) -> Winsize {
        self.state.lock().size
    }

    fn set_termios(&self, new: &Termios, flush: bool) -> Result<usize> {
        // What was typed before the change is still under the old settings.
        self.pump(0);
        let mut state = self.state.lock();
        state.discipline.set_termios(new);
        if flush {
            state.discipline.flush_input();
        }
        drop(state);
        self.changed.notify(poll::IN | poll::RDNORM);
        Ok(0)
    }

    fn flush(&self, what: u64) -> Result<usize> {
        let what = match u32::try_from(what) {
            Ok(TCIFLUSH) => Flush::Input,
            Ok(TCOFLUSH) => Flush::Output,
            Ok(TCIOFLUSH) => Flush::Both,
            _ => return Err(Errno::EINVAL),
        };
        self.pump(0);
        let mut state = self.state.lock();
        if what != Flush::Output {
            state.discipline.flush_input();
        }
        if what != Flush::Input {
            state.backlog.clear();
        }
        Ok(0)
    }

    fn flow(&self, what: u64) -> Result<usize> {
        match u32::try_from(what) {
            Ok(TCOOFF) => self.state.lock().discipline.set_stopped(true),
            Ok(TCOON) => {
                let mut state = self.state.lock();
                state.discipline.set_stopped(false);
                self.drain(&mut state);
                drop(state);
                self.changed.notify(poll::OUT | poll::WRNORM);
            }
            // They would send a stop or start character to the keyboard, which no terminal emulator heeds.
            Ok(TCIOFF | TCION) => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }
}
