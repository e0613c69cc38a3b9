//! Signals to the monitor, passed on to the guest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::devices::console::Console;
use crate::devices::virtio::Transport;
use crate::error::{Result, host};
use crate::outcome::{Outcome, Verdict};
use crate::{host as host_system, terminal};

/// These the program gets.
const FORWARDED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];
/// A person who sends three of SIGINT, SIGTERM, SIGQUIT within this time means it, whatever the guest does.
const PATIENCE: Duration = Duration::from_secs(3);
const INSISTENT: usize = 3;

/// Blocks the signals on this thread and on those it starts. Call before there are any.
pub fn block() -> Result<SignalFd> {
    let set: SigSet = FORWARDED
        .into_iter()
        .chain([Signal::SIGWINCH, Signal::SIGCONT])
        .collect();
    set.thread_block().map_err(host("cannot block signals"))?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(host("signalfd"))
}

pub struct SignalEvents {
    fd: SignalFd,
    console: Arc<Transport<Console>>,
    verdict: Arc<Verdict>,
    /// When the last few signals that ask for an end came.
    recent: Vec<Instant>,
}

impl SignalEvents {
    pub fn new(fd: SignalFd, console: Arc<Transport<Console>>, verdict: Arc<Verdict>) -> Self {
        Self {
            fd,
            console,
            verdict,
            recent: Vec::new(),
        }
    }

    fn handle(&mut self, number: u32) {
        match i32::try_from(number)
            .ok()
            .and_then(|n| Signal::try_from(n).ok())
        {
            Some(Signal::SIGWINCH) => {
                if let Some((rows, columns)) = host_system::terminal_size() {
                    self.tell(format!("winsize {rows} {columns}"));
                }
            }
            Some(Signal::SIGCONT) => terminal::set_raw(),
            Some(signal) => self.forward(signal),
            None => {}
        }
    }

    fn forward(&mut self, signal: Signal) {
        let number = signal as i32;
        let killed = Outcome::Killed(u8::try_from(number).unwrap_or(0));
        // A guest that does not listen (yet) would never end by it; a process that is starting does.
        if !self.console.with_device(|console| console.listening()) || self.insists(signal) {
            self.verdict.give(killed);
            self.verdict.hurry();
            return;
        }
        self.tell(format!("signal {number}"));
    }

    fn insists(&mut self, signal: Signal) -> bool {
        if !matches!(signal, Signal::SIGINT | Signal::SIGTERM | Signal::SIGQUIT) {
            return false;
        }
        let now = Instant::now();
        self.recent
            .retain(|then| now.duration_since(*then) < PATIENCE);
        self.recent.push(now);
        // The program has ended, and only its output waits for a reader.
        self.recent.len() >= INSISTENT || self.verdict.get().is_some()
    }

    fn tell(&self, line: String) {
        self.console.with_device(|console| console.tell(line));
        // Overflow is out of reach; the console looks when it is rung.
        let _ = self.console.doorbell.write(1);
    }
}

impl MutEventSubscriber for SignalEvents {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        if let Err(e) = ops.add(Events::new(&self.fd, EventSet::IN)) {
            terminal::message(
                format!("compat-monitor: cannot watch for signals: {e}\n").as_bytes(),
            );
        }
    }

    fn process(&mut self, _: Events, _: &mut EventOps<'_>) {
        while let Ok(Some(info)) = self.fd.read_signal() {
            self.handle(info.ssi_signo);
        }
    }
}
