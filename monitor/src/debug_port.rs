//! What the kernel says to a person: whole lines on stderr, though KVM brings a byte at each exit.

use std::sync::{Mutex, PoisonError};

use crate::terminal;

/// A longer line is told in pieces.
const LONGEST: usize = 1024;

/// The line that each CPU is at. What is left of them is told when it is dropped.
#[derive(Default)]
pub struct DebugPort(Mutex<Vec<Vec<u8>>>);

impl DebugPort {
    pub fn write(&self, cpu: u32, data: &[u8]) {
        self.write_to(cpu, data, terminal::message);
    }

    fn write_to(&self, cpu: u32, data: &[u8], tell: impl Fn(&[u8])) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cpu = cpu as usize;
        if lines.len() <= cpu {
            lines.resize_with(cpu + 1, Vec::new);
        }
        let Some(line) = lines.get_mut(cpu) else {
            return;
        };
        line.extend_from_slice(data);
        if line.ends_with(b"\n") || line.len() >= LONGEST {
            tell(line);
            line.clear();
        }
    }

    /// Lines without an end.
    pub fn flush(&self) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.iter_mut().filter(|line| !line.is_empty()) {
            terminal::message(line);
            line.clear();
        }
    }
}

impl Drop for DebugPort {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn lines_are_told_whole() {
        let port = DebugPort::default();
        let told = RefCell::new(Vec::new());
        let write = |cpu, text: &str| {
            for byte in text.bytes() {
                port.write_to(cpu, &[byte], |line| told.borrow_mut().push(line.to_vec()));
            }
        };
        write(0, "first");
        write(63, "other\n");
        write(0, " line\nrest");
        assert_eq!(
            *told.borrow(),
            [b"other\n".to_vec(), b"first line\n".to_vec()]
        );
        write(1, &"x".repeat(LONGEST));
        assert_eq!(told.borrow().last().map(Vec::len), Some(LONGEST));
        port.write_to(0, b"\n", |line| assert_eq!(line, b"rest\n"));
    }
}
