//! Lines of text to the guest on the control port.

use std::collections::VecDeque;

/// A line is never longer.
pub const MOST: usize = 32;

/// Lines that wait for the driver. Equal lines are kept once: two pending signals are one, as with `kill`; so the
/// queue is bounded by the number of different lines.
#[derive(Default)]
pub struct Lines {
    waiting: VecDeque<String>,
    /// What is left of a line that began to leave.
    started: Vec<u8>,
}

impl Lines {
    pub fn push(&mut self, line: String) {
        // Of several window sizes only the last is true.
        if line.starts_with("winsize ") {
            self.waiting.retain(|old| !old.starts_with("winsize "));
        }
        if !self.waiting.contains(&line) {
            self.waiting.push_back(line);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.started.is_empty() && self.waiting.is_empty()
    }

    /// Up to `room` bytes.
    pub fn take(&mut self, room: usize) -> Vec<u8> {
        while self.started.len() < room {
            let Some(line) = self.waiting.pop_front() else {
                break;
            };
            self.started.extend(line.bytes().chain([b'\n']));
        }
        self.started.drain(..room.min(self.started.len())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_and_old_sizes_are_dropped() {
        let mut lines = Lines::default();
        for line in ["signal 2", "winsize 1 2", "signal 2", "winsize 3 4"] {
            lines.push(line.to_owned());
        }
        assert_eq!(lines.take(100), b"signal 2\nwinsize 3 4\n");
        assert!(lines.is_empty());
    }

    #[test]
    fn a_line_can_leave_in_pieces() {
        let mut lines = Lines::default();
        lines.push("signal 15".to_owned());
        assert_eq!(lines.take(4), b"sign");
        assert!(!lines.is_empty());
        assert_eq!(lines.take(64), b"al 15\n");
    }
}
