//! What the guest tells about itself on the control port: lines of text, of which `stats {json}` matters here. How the
//! conversation ends (`exit`, `panic`) reaches this monitor by the exit port.

use boot_abi::LINE_STATS;
use serde_json::Value;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::error::{Result, host};

/// A line is never longer; one that is gets lost.
const LONGEST: usize = 16 << 10;

pub struct Reports {
    line: Vec<u8>,
    latest: Option<Value>,
    /// Written when a report has come.
    pub told: EventFd,
}

impl Reports {
    pub fn new() -> Result<Self> {
        Ok(Self {
            line: Vec::new(),
            latest: None,
            told: EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(host("eventfd"))?,
        })
    }

    pub fn reset(&mut self) {
        self.line.clear();
    }

    /// The last report, once.
    pub fn take(&mut self) -> Option<Value> {
        self.latest.take()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                if line.len() <= LONGEST {
                    self.take_line(&line);
                }
            } else if self.line.len() <= LONGEST {
                self.line.push(*byte);
            }
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        let text = line.strip_prefix(LINE_STATS.as_bytes());
        let Some(text) = text.and_then(|rest| rest.strip_prefix(b" ")) else {
            return;
        };
        // Something else than an object is no report, but an answer all the same.
        self.latest = serde_json::from_slice(text).ok().filter(Value::is_object);
        // Overflow is out of reach.
        let _ = self.told.write(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(text: &str) -> (Option<Value>, bool) {
        let mut reports = Reports::new().unwrap();
        for piece in text.as_bytes().chunks(3) {
            reports.push(piece);
        }
        (reports.take(), reports.told.read().is_ok())
    }

    #[test]
    fn only_whole_reports_count() {
        let one = serde_json::json!({"a": 1});
        assert_eq!(reports("exit 0\nstats {\"a\":1}\nexit"), (Some(one), true));
        assert_eq!(reports("stats {\"a\":1}"), (None, false));
        assert_eq!(reports("statistics\nstats\n"), (None, false));
        assert_eq!(reports("stats {\"a\":\n"), (None, true));
        assert_eq!(reports("stats [1]\n"), (None, true));
        let deep = format!("stats {}\n", "[".repeat(10_000));
        assert_eq!(reports(&deep), (None, true));
        let long = format!("stats {{\"a\":\"{}\"}}\n", "x".repeat(LONGEST));
        assert_eq!(reports(&long), (None, false));
    }
}
