//! The state, and the program's side of it: settings, reading, flushing.
use super::settings::{self, Settings};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use linux_abi::Termios;
use linux_abi::raw::general::{ICANON, VMIN, VTIME};

/// As many bytes as N_TTY keeps.
pub(super) const CAPACITY: usize = 4096;

/// What read(2) finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadState {
    /// This many bytes may be taken now; 0 is the end of the file, or nothing with `VMIN` 0.
    Ready(usize),
    /// Nothing to give yet.
    Wait,
    /// `VTIME`: nothing yet, and after so many tenths of a second what there is (or 0) is the answer. With `after_input`
    /// the time starts anew with each byte.
    Timed { tenths: u8, after_input: bool },
}

/// tcflush(3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flush {
    Input,
    Output,
    Both,
}

/// See the module.
pub struct LineDiscipline {
    pub(super) termios: Termios,
    /// The line being edited (canonical mode).
    pub(super) line: Vec<u8>,
    /// What read(2) may have.
    pub(super) ready: VecDeque<u8>,
    /// Canonical mode: where in `ready` lines end, as counts of bytes ever put there. An empty line is an end of file.
    pub(super) ends: VecDeque<u64>,
    /// How many bytes were ever taken from `ready`.
    pub(super) taken: u64,
    /// The next character is taken literally (`VLNEXT`).
    pub(super) literal: bool,
    /// Output is stopped (`VSTOP`, `TCOOFF`).
    pub(super) stopped: bool,
    /// The cursor's column, and where the line being edited began.
    pub(super) column: usize,
    pub(super) line_column: usize,
}

impl Default for LineDiscipline {
    fn default() -> Self {
        Self::new()
    }
}

impl LineDiscipline {
    #[must_use]
    pub fn new() -> Self {
        Self {
            termios: settings::initial(),
            line: Vec::new(),
            ready: VecDeque::new(),
            ends: VecDeque::new(),
            taken: 0,
            literal: false,
            stopped: false,
            column: 0,
            line_column: 0,
        }
    }

    /// tcgetattr(3).
    #[must_use]
    pub const fn termios(&self) -> &Termios {
        &self.termios
    }

    /// tcsetattr(3). What was typed under the old settings stays, as a line of its own.
    pub fn set_termios(&mut self, new: &Termios) {
        let was_canonical = self.is_canonical();
        self.termios = *new;
        if was_canonical && !self.is_canonical() {
            self.ready.extend(self.line.drain(..));
            self.ends.clear();
        } else if !was_canonical && self.is_canonical() && !self.ready.is_empty() {
            self.end_line();
        }
        if was_canonical != self.is_canonical() {
            self.literal = false;
        }
    }

    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.termios.local(ICANON)
    }

    /// Everything in `ready` up to here is a line.
    pub(super) fn end_line(&mut self) {
        self.ends.push_back(self.taken + self.ready.len() as u64);
    }

    /// How many more bytes `receive` can keep. Nothing is to be fed while this is 0.
    #[must_use]
    pub fn room(&self) -> usize {
        let used = self.ready.len() + self.line.len();
        // A line being edited that is too long takes (and drops) everything, since only its end makes it readable.
        if self.is_canonical() && self.ends.is_empty() {
            CAPACITY
        } else {
            CAPACITY.saturating_sub(used + 1)
        }
    }

    /// What read(2) of `wanted` bytes may do.
    #[must_use]
    pub fn read_state(&self, wanted: usize) -> ReadState {
        if self.is_canonical() {
            return match self.ends.front() {
                Some(end) => ReadState::Ready(
                    usize::try_from(end - self.taken)
                        .unwrap_or(usize::MAX)
                        .min(wanted),
                ),
                None => ReadState::Wait,
            };
        }
        let (minimum, tenths) = (usize::from(self.termios.cc(VMIN)), self.termios.cc(VTIME));
        let available = self.ready.len();
        if available >= wanted.min(minimum.max(1)) || (minimum == 0 && tenths == 0) {
            return ReadState::Ready(available.min(wanted));
        }
        match tenths {
            0 => ReadState::Wait,
            _ if minimum == 0 => ReadState::Timed {
                tenths,
                after_input: false,
            },
            _ if available > 0 => ReadState::Timed {
                tenths,
                after_input: true,
            },
            _ => ReadState::Wait,
        }
    }

    /// Takes up to `count` bytes for the program, in pieces; `emit` fails if the program's memory does, and then the bytes
    /// of that piece stay.
    pub fn take<E>(
        &mut self,
        count: usize,
        mut emit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut done = 0;
        while done < count {
            let (head, _) = self.ready.as_slices();
            let piece = head.get(..head.len().min(count - done)).unwrap_or(&[]);
            let len = piece.len();
            if len == 0 {
                break;
            }
            emit(piece)?;
            self.ready.drain(..len);
            self.taken += len as u64;
            done += len;
        }
        // A line that has been read to its end is gone, and so is an end of file that it stands for.
        self.ends.pop_front_if(|end| *end <= self.taken);
        Ok(done)
    }

    /// `FIONREAD`.
    #[must_use]
    pub fn available(&self) -> usize {
        self.ready.len()
    }

    /// Whether poll(2) says that it can be read. As on Linux, `VMIN` counts unless `VTIME` is set.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        if self.is_canonical() {
            return !self.ends.is_empty();
        }
        let minimum = if self.termios.cc(VTIME) == 0 {
            self.termios.cc(VMIN).max(1)
        } else {
            1
        };
        self.ready.len() >= usize::from(minimum)
    }

    /// The keyboard is gone: what was typed of a line is all there is.
    pub fn end_input(&mut self) {
        if !self.line.is_empty() {
            self.ready.extend(self.line.drain(..));
            self.end_line();
        }
    }

    /// Forgets what was typed and not read.
    pub fn flush_input(&mut self) {
        self.taken += self.ready.len() as u64;
        self.ready.clear();
        self.ends.clear();
        self.line.clear();
        self.literal = false;
    }

    /// Whether output is to wait.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// `TCXONC`.
    pub const fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }
}
