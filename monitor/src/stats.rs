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

/// What the socket device did.
#[derive(Debug, Default)]
pub struct NetCounters {
    pub connections_in: Counter,
    pub connections_out: Counter,
    /// By the user's rules.
    pub refused: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub datagrams_in: Counter,
    pub datagrams_out: Counter,
    /// Messages from the driver and to it.
    pub requests: Counter,
    pub events: Counter,
    /// The driver rang.
    pub kicks: Counter,
    pub interrupts: Counter,
    /// Looks that found nothing, and sleeps.
    pub polls: Counter,
    pub sleeps: Counter,
    /// How often an idle CPU has served the device.
    pub visits: Counter,
}

impl NetCounters {
    fn json(&self) -> serde_json::Value {
        json!({
            "connections_in": self.connections_in.get(),
            "connections_out": self.connections_out.get(),
            "refused": self.refused.get(),
            "bytes_in": self.bytes_in.get(),
            "bytes_out": self.bytes_out.get(),
            "datagrams_in": self.datagrams_in.get(),
            "datagrams_out": self.datagrams_out.get(),
            "requests": self.requests.get(),
            "events": self.events.get(),
            "kicks": self.kicks.get(),
            "interrupts": self.interrupts.get(),
            "polls": self.polls.get(),
            "sleeps": self.sleeps.get(),
            "visits": self.visits.get(),
        })
    }
}

#[derive(Debug)]
pub struct Stats {
    pub start: Instant,
    pub exits: Exits,
    pub debug_bytes: Counter,
    pub stdin_bytes: Arc<Counter>,
    pub stdout_bytes: Arc<Counter>,
    pub stderr_bytes: Arc<Counter>,
    pub net: Arc<NetCounters>,
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
            net: Arc::default(),
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
            "net": self.net.json(),
        })
    }
}
