//! Editing the line, and making the screen follow.
use super::discipline::LineDiscipline;
use super::settings::Settings;
use alloc::vec::Vec;
use linux_abi::raw::general::{ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, IUTF8, VERASE};

const TAB_STOP: usize = 8;

impl LineDiscipline {
    /// A byte that does not begin a character.
    fn is_continuation(&self, byte: u8) -> bool {
        self.termios.input(IUTF8) && byte & 0xc0 == 0x80
    }

    /// How far a character moves the cursor from `column`, as it is echoed.
    fn width(&self, byte: u8, column: usize) -> usize {
        match byte {
            b'\t' => TAB_STOP - column % TAB_STOP,
            0..0x20 | 0x7f if self.termios.local(ECHOCTL) => 2,
            0..0x20 | 0x7f => 0,
            _ if self.is_continuation(byte) => 0,
            _ => 1,
        }
    }

    /// Takes the last character off the line and off the screen.
    fn erase_one(&mut self, echo: &mut Vec<u8>) {
        let mut last = self.line.pop();
        while let Some(byte) = last
            && self.is_continuation(byte)
            && !self.line.is_empty()
        {
            last = self.line.pop();
        }
        let Some(byte) = last else { return };
        if !self.termios.local(ECHO) {
            return;
        }
        if !self.termios.local(ECHOE) {
            return self.echo_always(self.termios.cc(VERASE), echo);
        }
        let before = self.line.iter().fold(self.line_column, |column, &b| {
            column + self.width(b, column)
        });
        for _ in 0..self.width(byte, before) {
            // A tab left blanks behind, so going back over it is enough.
            echo.extend_from_slice(if byte == b'\t' { b"\x08" } else { b"\x08 \x08" });
            self.column = self.column.saturating_sub(1);
        }
    }

    /// `VERASE`.
    pub(super) fn erase_character(&mut self, echo: &mut Vec<u8>) {
        self.erase_one(echo);
    }

    /// `VWERASE`: blanks and the like, then the word before them.
    pub(super) fn erase_word(&mut self, echo: &mut Vec<u8>) {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        while self.line.last().is_some_and(|&byte| !is_word(byte)) {
            self.erase_one(echo);
        }
        while self.line.last().is_some_and(|&byte| is_word(byte)) {
            self.erase_one(echo);
        }
    }

    /// `VKILL`.
    pub(super) fn erase_line(&mut self, byte: u8, echo: &mut Vec<u8>) {
        let local = |flag| self.termios.local(flag);
        if local(ECHO) && local(ECHOK) && local(ECHOKE) && local(ECHOE) {
            while !self.line.is_empty() {
                self.erase_one(echo);
            }
            return;
        }
        self.line.clear();
        if local(ECHO) {
            let newline = local(ECHOK);
            self.echo_always(byte, echo);
            if newline {
                self.emit(b"\n", echo);
            }
        }
    }

    /// `VREPRINT`.
    pub(super) fn reprint(&mut self, byte: u8, echo: &mut Vec<u8>) {
        self.echo_always(byte, echo);
        self.emit(b"\n", echo);
        self.line_column = self.column;
        let line = core::mem::take(&mut self.line);
        line.iter().for_each(|&b| self.echo_always(b, echo));
        self.line = line;
    }

    /// Shows a character: control characters as `^X`, if so set.
    pub(super) fn echo_always(&mut self, byte: u8, echo: &mut Vec<u8>) {
        let is_control = byte < 0x20 || byte == 0x7f;
        if self.termios.local(ECHOCTL) && is_control && byte != b'\t' {
            self.emit(&[b'^', byte ^ 0x40], echo);
        } else {
            self.emit(&[byte], echo);
        }
    }

    /// Output of the discipline's own passes through output processing as well.
    pub(super) fn emit(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.process(bytes, out);
    }
}
