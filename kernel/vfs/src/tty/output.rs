//! To the screen: output processing (`OPOST`), and the column that erasing tabs needs.
use super::discipline::LineDiscipline;
use super::settings::Settings;
use alloc::vec::Vec;
use linux_abi::raw::general::{IUTF8, OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, XTABS};

/// The most bytes that one may become: a tab.
const MOST: usize = 8;

impl LineDiscipline {
    /// How many bytes may be written if `room` bytes of output can be taken.
    #[must_use]
    pub fn writable(&self, room: usize) -> usize {
        let tabs = self.termios.oflag & TABDLY == XTABS;
        match self.termios.output(OPOST) {
            false => room,
            true if tabs => room / MOST,
            true => room / 2,
        }
    }

    /// What `bytes` look like to the terminal, appended to `out`.
    pub fn process(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.termios.output(OPOST) {
            out.extend_from_slice(bytes);
            return;
        }
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if is_plain(byte) && !self.termios.output(OLCUC) {
                let run = rest
                    .iter()
                    .position(|&b| !is_plain(b))
                    .unwrap_or(rest.len());
                let (plain, after) = rest.split_at_checked(run).unwrap_or((rest, &[]));
                out.extend_from_slice(plain);
                let utf8 = self.termios.input(IUTF8);
                self.column += plain
                    .iter()
                    .filter(|&&b| !(utf8 && b & 0xc0 == 0x80))
                    .count();
                rest = after;
            } else {
                self.process_special(byte, out);
                rest = after;
            }
        }
    }

    fn process_special(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\n' if self.termios.output(ONLCR) => {
                self.column = 0;
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => {
                if self.termios.output(ONLRET) {
                    self.column = 0;
                }
                out.push(byte);
            }
            b'\r' if self.termios.output(ONOCR) && self.column == 0 => {}
            b'\r' if self.termios.output(OCRNL) => {
                if self.termios.output(ONLRET) {
                    self.column = 0;
                }
                out.push(b'\n');
            }
            b'\r' => {
                self.column = 0;
                out.push(byte);
            }
            b'\t' => {
                let width = MOST - self.column % MOST;
                self.column += width;
                if self.termios.oflag & TABDLY == XTABS {
                    out.extend_from_slice(b"        ".get(..width).unwrap_or(&[]));
                } else {
                    out.push(byte);
                }
            }
            b'\x08' => {
                self.column = self.column.saturating_sub(1);
                out.push(byte);
            }
            _ if is_plain(byte) => {
                self.column += 1;
                out.push(byte.to_ascii_uppercase());
            }
            _ => out.push(byte),
        }
    }
}

/// Printable, or part of a printable character.
const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7f
}
