//! Counters of a run, and the JSON that `--json-stats` writes.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::error::{Result, host};
use crate::outcome::Outcome;

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct Exits {
    pub io: Counter,
    pub mmio: Counter,
    pub other: Counter,
    /// Accesses where no device listens.
    pub unclaimed: Counter,
}

#[derive(Debug)]
pub struct Stats {
    pub start: Instant,
    pub exits: Exits,
    pub debug_bytes: Counter,
    pub stdin_bytes: Arc<Counter>,
    pub stdout_bytes: Arc<Counter>,
    pub stderr_bytes: Arc<Counter>,
    /// Microseconds from `start` to the first instruction of the guest.
    pub boot_us: Counter,
}

impl Stats {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            exits: Exits::default(),
            debug_bytes: Counter::default(),
            stdin_bytes: Arc::default(),
            stdout_bytes: Arc::default(),
            stderr_bytes: Arc::default(),
            boot_us: Counter::default(),
        }
    }
}

impl Stats {
    pub fn write(&self, file: &mut File, outcome: &Outcome, status: u8) -> Result<()> {
        let how = match outcome {
            Outcome::Exited(_) => "exited",
            Outcome::KernelPanic => "kernel panic",
            Outcome::Crashed(_) => "crashed",
            Outcome::Failed(_) => "failed",
            Outcome::Killed(_) => "killed",
        };
        let mut report = self.figures();
        if let Value::Object(report) = &mut report {
            report.insert("outcome".to_owned(), how.into());
            report.insert("status".to_owned(), status.into());
        }
        writeln!(file, "{report:#}").map_err(host("cannot write the statistics"))
    }

    /// What is known at any time.
    pub fn figures(&self) -> Value {
        let peak_kib = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
        json!({
            "schema_version": 1,
            "boot_us": self.boot_us.get(),
            "wall_us": self.start.elapsed().as_micros() as u64,
            "peak_rss_kib": peak_kib,
            "exits": {
                "io": self.exits.io.get(),
                "mmio": self.exits.mmio.get(),
                "other": self.exits.other.get(),
                "unclaimed": self.exits.unclaimed.get(),
            },
            "bytes": {
                "stdin": self.stdin_bytes.get(),
                "stdout": self.stdout_bytes.get(),
                "stderr": self.stderr_bytes.get(),
                "debug": self.debug_bytes.get(),
            },
        })
    }
}
