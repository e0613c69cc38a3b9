//! From the keyboard: special characters, signals, echo.
use super::discipline::{CAPACITY, LineDiscipline};
use super::settings::Settings;
use alloc::vec::Vec;
use linux_abi::raw::general::{
    ECHO, ECHOCTL, ECHONL, ICRNL, IEXTEN, IGNCR, IMAXBEL, INLCR, ISIG, ISTRIP, IUCLC, IXANY, IXON,
    NOFLSH, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP,
    VWERASE,
};

/// A signal for the terminal's foreground process group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TtySignal {
    Interrupt,
    Quit,
    Suspend,
}

/// What input leads to, beside input.
#[derive(Default, Debug)]
pub struct Effects {
    /// Bytes for the screen.
    pub echo: Vec<u8>,
    pub signals: Vec<TtySignal>,
    /// A signal emptied the queues: output that has not left yet is to be dropped.
    pub flush_output: bool,
}

impl LineDiscipline {
    /// Takes what was typed. Answers how many bytes were taken: all, unless there is no more room.
    pub fn receive(&mut self, bytes: &[u8], effects: &mut Effects) -> usize {
        for (count, &byte) in bytes.iter().enumerate() {
            if self.room() == 0 {
                return count;
            }
            self.receive_byte(byte, effects);
        }
        bytes.len()
    }

    fn receive_byte(&mut self, byte: u8, effects: &mut Effects) {
        let mut byte = if self.termios.input(ISTRIP) {
            byte & 0x7f
        } else {
            byte
        };
        if self.termios.input(IUCLC) && self.termios.local(IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal) {
            return self.accept(byte, effects);
        }
        if self.flow_control(byte) || self.signal(byte, effects) {
            return;
        }
        match byte {
            b'\r' if self.termios.input(IGNCR) => return,
            b'\r' if self.termios.input(ICRNL) => byte = b'\n',
            b'\n' if self.termios.input(INLCR) => byte = b'\r',
            _ => {}
        }
        if self.is_canonical() {
            self.receive_canonical(byte, effects);
        } else {
            self.accept(byte, effects);
        }
    }

    /// `VSTOP` and `VSTART`. Answers whether the byte was one.
    fn flow_control(&mut self, byte: u8) -> bool {
        if !self.termios.input(IXON) {
            return false;
        }
        let is_stop = self.termios.is(byte, VSTOP);
        if is_stop || self.termios.is(byte, VSTART) {
            self.stopped = is_stop;
            return true;
        }
        if self.stopped && self.termios.input(IXANY) {
            self.stopped = false;
        }
        false
    }

    /// `VINTR`, `VQUIT`, `VSUSP`. Answers whether the byte was one.
    fn signal(&mut self, byte: u8, effects: &mut Effects) -> bool {
        if !self.termios.local(ISIG) {
            return false;
        }
        let signals = [
            (VINTR, TtySignal::Interrupt),
            (VQUIT, TtySignal::Quit),
            (VSUSP, TtySignal::Suspend),
        ];
        let Some((_, signal)) = signals
            .into_iter()
            .find(|(index, _)| self.termios.is(byte, *index))
        else {
            return false;
        };
        effects.signals.push(signal);
        if !self.termios.local(NOFLSH) {
            self.flush_input();
            effects.echo.clear();
            effects.flush_output = true;
        }
        if self.termios.input(IXON) {
            self.stopped = false;
        }
        self.echo(byte, effects);
        true
    }

    fn receive_canonical(&mut self, byte: u8, effects: &mut Effects) {
        let extended = self.termios.local(IEXTEN);
        if self.termios.is(byte, VERASE) {
            self.erase_character(&mut effects.echo);
        } else if extended && self.termios.is(byte, VWERASE) {
            self.erase_word(&mut effects.echo);
        } else if self.termios.is(byte, VKILL) {
            self.erase_line(byte, &mut effects.echo);
        } else if extended && self.termios.is(byte, VLNEXT) {
            self.literal = true;
            if self.termios.local(ECHO) && self.termios.local(ECHOCTL) {
                self.emit(b"^\x08", &mut effects.echo);
            }
        } else if extended && self.termios.local(ECHO) && self.termios.is(byte, VREPRINT) {
            self.reprint(byte, &mut effects.echo);
        } else if self.termios.is(byte, VEOF) {
            self.finish_line();
        } else if byte == b'\n' {
            self.finish_with(
                byte,
                self.termios.local(ECHO) || self.termios.local(ECHONL),
                effects,
            );
        } else if self.termios.is(byte, VEOL) || (extended && self.termios.is(byte, VEOL2)) {
            self.finish_with(byte, self.termios.local(ECHO), effects);
        } else {
            self.accept(byte, effects);
        }
    }

    /// An ordinary character, or one that `VLNEXT` made so.
    fn accept(&mut self, byte: u8, effects: &mut Effects) {
        if !self.is_canonical() {
            self.ready.push_back(byte);
            return self.echo(byte, effects);
        }
        // The last place is kept for the end of the line.
        if self.ready.len() + self.line.len() + 1 >= CAPACITY {
            if self.termios.input(IMAXBEL) {
                effects.echo.push(b'\x07');
            }
            return;
        }
        if self.line.is_empty() {
            self.line_column = self.column;
        }
        self.line.push(byte);
        self.echo(byte, effects);
    }

    fn finish_with(&mut self, byte: u8, echo: bool, effects: &mut Effects) {
        self.line.push(byte);
        self.finish_line();
        if echo && byte == b'\n' {
            self.emit(b"\n", &mut effects.echo);
        } else if echo {
            self.echo_always(byte, &mut effects.echo);
        }
    }

    fn finish_line(&mut self) {
        self.ready.extend(self.line.drain(..));
        self.end_line();
    }

    fn echo(&mut self, byte: u8, effects: &mut Effects) {
        if self.termios.local(ECHO) {
            self.echo_always(byte, &mut effects.echo);
        }
    }
}
