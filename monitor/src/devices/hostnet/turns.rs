//! Who serves the device: the CPU of the guest when it has nothing else to do, or a thread of the monitor.
//!
//! A wake-up between threads costs more than all the rest of a small request. So an idle CPU (see [`boot_abi::IDLE_PORT`]) does
//! not sleep while the thread brings it work: its own thread waits for the host's sockets, takes what has come, and goes
//! back into the guest with it; what the guest has left in the rings leaves in the same way. The device's thread steps
//! in when the CPU has been busy for longer than [`LEASE`].
//!
//! Where there are CPUs to spare, the thread serves all the time instead, beside the guest.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use boot_abi::IDLE_FOREVER;

use super::server::Server;
use crate::devices::virtio::Bell;
use crate::error::Result;

/// How long a busy CPU may leave the device alone. Tune by a benchmark of many small requests: longer means that what is sent,
/// or comes, while the program computes waits longer.
const LEASE: Duration = Duration::from_micros(2000);
/// After so many leases without a change the thread sleeps until it is called.
const QUIET: u32 = 20;

pub struct Turns {
    server: Mutex<Server>,
    bell: Arc<Bell>,
    /// The CPU's comings and goings; odd: it is here.
    visits: AtomicU64,
    /// When it left last, in ns since `start`.
    left: AtomicU64,
    start: Instant,
    /// The thread sleeps until it is called.
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Turns {
    pub fn new(server: Server, bell: Arc<Bell>) -> Arc<Self> {
        Arc::new(Self {
            server: Mutex::new(server),
            bell,
            visits: AtomicU64::new(0),
            left: AtomicU64::new(0),
            start: Instant::now(),
            asleep: AtomicBool::new(false),
            thread: OnceLock::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The CPU has nothing to do for `us` microseconds. Returns when it has.
    pub fn visit(&self, us: u32) -> Result<()> {
        let until = (us != IDLE_FOREVER).then(|| Instant::now() + Duration::from_micros(us.into()));
        self.visits.fetch_add(1, Ordering::SeqCst);
        let mut server = match self.server.try_lock() {
            Ok(server) => server,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.bell.ring();
                self.lock()
            }
        };
        let result = server.serve_idle_cpu(until, &self.bell);
        drop(server);
        let now = self.start.elapsed().as_nanos() as u64;
        self.left.store(now, Ordering::SeqCst);
        self.visits.fetch_add(1, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
        result
    }

    fn is_visited(&self) -> bool {
        self.visits.load(Ordering::SeqCst) % 2 == 1
    }

    /// The device's thread.
    pub fn run(&self) -> Result<()> {
        self.thread.get_or_init(std::thread::current);
        loop {
            self.wait_for_turn();
            self.lock().serve_beside(&|| self.is_visited())?;
        }
    }

    /// Returns when the CPU is away, and has been for a while.
    fn wait_for_turn(&self) {
        let (mut last, mut quiet) = (0, 0);
        loop {
            let visits = self.visits.load(Ordering::SeqCst);
            if visits.is_multiple_of(2) {
                let left = Duration::from_nanos(self.left.load(Ordering::SeqCst));
                let away = self.start.elapsed().saturating_sub(left);
                match LEASE.checked_sub(away) {
                    Some(rest) if !rest.is_zero() && visits != 0 => {
                        std::thread::park_timeout(rest);
                    }
                    _ => return,
                }
                continue;
            }
            quiet = if visits == last { quiet + 1 } else { 0 };
            last = visits;
            if quiet < QUIET {
                std::thread::park_timeout(LEASE);
                continue;
            }
            self.asleep.store(true, Ordering::SeqCst);
            if self.visits.load(Ordering::SeqCst) == visits {
                std::thread::park();
            }
            self.asleep.store(false, Ordering::SeqCst);
        }
    }
}
