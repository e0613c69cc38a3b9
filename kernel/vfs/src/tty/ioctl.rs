//! ioctl_tty(2): what all terminals have in common.
use super::{Flush, LineDiscipline};
use crate::{Result, UserMemory};
use linux_abi::raw::general::{TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON};
use linux_abi::raw::ioctl::{
    FIONREAD, TCFLSH, TCGETS, TCGETS2, TCSBRK, TCSBRKP, TCSETS, TCSETS2, TCSETSF, TCSETSF2,
    TCSETSW, TCSETSW2, TCXONC, TIOCGDEV, TIOCGETD, TIOCGEXCL, TIOCGWINSZ, TIOCOUTQ, TIOCSWINSZ,
};
use linux_abi::{Abi, Errno, Termios, Termios2, Winsize};

/// What `B38400`, the setting of a new terminal, is in bits a second.
const SPEED: u32 = 38400;

/// A terminal, as its requests see it.
pub trait Line {
    fn termios(&self) -> Termios;
    /// `flush`: what was typed and not read is forgotten.
    fn set_termios(&self, new: &Termios, flush: bool) -> Result<()>;
    fn size(&self) -> Winsize;
    fn set_size(&self, size: Winsize);
    fn flush(&self, what: Flush) -> Result<()>;
    /// Whether output is to wait.
    fn set_stopped(&self, stopped: bool);
    /// Bytes that can be read.
    fn available(&self) -> usize;
    /// Bytes that were written and have not left.
    fn unsent(&self) -> usize;
    /// `st_rdev`
    fn device(&self) -> u64;
    /// Requests of its own, job control among them; none if it is not one.
    fn own(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Option<Result<usize>>;
}

pub fn load<T: Abi>(memory: &dyn UserMemory, address: u64) -> Result<T> {
    let mut value = T::new_zeroed();
    memory.read(address, value.as_mut_bytes())?;
    Ok(value)
}

pub fn store<T: Abi>(memory: &dyn UserMemory, address: u64, value: &T) -> Result<usize> {
    memory.write(address, value.as_bytes())?;
    Ok(0)
}

/// Carries out a request.
pub fn run(line: &dyn Line, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
    if let Some(answer) = line.own(command, argument, memory) {
        return answer;
    }
    match command {
        TCGETS => return store(memory, argument, &line.termios()),
        TCGETS2 => return store(memory, argument, &with_speed(&line.termios())),
        TCSETS | TCSETSW => line.set_termios(&load(memory, argument)?, false)?,
        TCSETSF => line.set_termios(&load(memory, argument)?, true)?,
        TCSETS2 | TCSETSW2 => line.set_termios(&without_speed(&load(memory, argument)?), false)?,
        TCSETSF2 => line.set_termios(&without_speed(&load(memory, argument)?), true)?,
        TIOCGWINSZ => return store(memory, argument, &line.size()),
        TIOCSWINSZ => line.set_size(load(memory, argument)?),
        TIOCGDEV => return store(memory, argument, &(line.device() as u32)),
        // N_TTY, and not for exclusive use.
        TIOCGETD | TIOCGEXCL => return store(memory, argument, &0i32),
        FIONREAD => return store(memory, argument, &count(line.available())),
        TIOCOUTQ => return store(memory, argument, &count(line.unsent())),
        TCFLSH => line.flush(match u32::try_from(argument) {
            Ok(TCIFLUSH) => Flush::Input,
            Ok(TCOFLUSH) => Flush::Output,
            Ok(TCIOFLUSH) => Flush::Both,
            _ => return Err(Errno::EINVAL),
        })?,
        TCXONC => match u32::try_from(argument) {
            Ok(TCOOFF) => line.set_stopped(true),
            Ok(TCOON) => line.set_stopped(false),
            // They would send a stop or start character to the keyboard, which no terminal emulator heeds.
            Ok(TCIOFF | TCION) => {}
            _ => return Err(Errno::EINVAL),
        },
        // tcdrain(3): output keeps its order from here to the screen. A break has nowhere to go.
        TCSBRK | TCSBRKP => {}
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
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

impl LineDiscipline {
    /// tcsetattr(3), with `TCSAFLUSH` or not.
    pub fn change_termios(&mut self, new: &Termios, flush: bool) {
        self.set_termios(new);
        if flush {
            self.flush_input();
        }
    }
}
