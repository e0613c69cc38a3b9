//! Who serves the device: the CPU of the guest when it has nothing else to do, or a thread of the monitor.
//!
//! A wake-up between threads costs more than all the rest of a small request. So an idle CPU (see [`boot_abi::IDLE_PORT`]) does
//! not sleep while the thread brings it work: its own thread waits for the host's sockets, takes what has come, and goes
//! back into the guest with it; what the guest has left in the rings leaves in the same way. The device's thread steps
//! in when the guest has been busy for longer than [`LEASE`].
//!
//! Of several CPUs the one that was last to run out of work comes; it sends away another that is here already.
//!
//! Where there are CPUs to spare, the thread serves all the time instead, beside the guest.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
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

/// The bit of a CPU, of which there are 64 at most.
const fn bit(cpu: u32) -> u64 {
    1u64.wrapping_shl(cpu)
}

pub struct Turns {
    server: Mutex<Server>,
    /// For CPUs that wait for the server: it is free, or they are not to wait any more.
    changed: Condvar,
    waiting: Mutex<()>,
    bell: Arc<Bell>,
    /// How often a CPU has come, and how many are here: a second one is about to take the first one's place.
    visits: AtomicU64,
    here: AtomicU32,
    /// The CPUs that are to go, a bit each.
    called: AtomicU64,
    /// When one left last, in ns since `start`.
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
            changed: Condvar::new(),
            waiting: Mutex::new(()),
            bell,
            visits: AtomicU64::new(0),
            here: AtomicU32::new(0),
            called: AtomicU64::new(0),
            left: AtomicU64::new(0),
            start: Instant::now(),
            asleep: AtomicBool::new(false),
            thread: OnceLock::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a CPU that is here go, or not stay when it comes.
    pub fn call(&self, cpu: u32) {
        self.called.fetch_or(bit(cpu), Ordering::SeqCst);
        self.bell.ring();
        self.tell_waiting();
    }

    /// Has the CPUs that wait for the server look again.
    fn tell_waiting(&self) {
        // Whoever has looked and found nothing waits by now.
        drop(self.waiting.lock());
        self.changed.notify_all();
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Server>> {
        match self.server.try_lock() {
            Ok(server) => Some(server),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits for the server, from which whoever has it goes when the bell is rung. None: `leave` says so.
    fn take(&self, leave: &dyn Fn() -> bool) -> Option<MutexGuard<'_, Server>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // The ring that was for this CPU may have been heard by the one before.
            if leave() {
                return None;
            }
            if let Some(server) = self.try_lock() {
                return Some(server);
            }
            self.bell.ring();
            let woken = self.changed.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The CPU has nothing to do for `us` microseconds. Returns when it has, is called, or another one comes.
    pub fn visit(&self, cpu: u32, us: u32) -> Result<()> {
        let until = (us != IDLE_FOREVER).then(|| Instant::now() + Duration::from_micros(us.into()));
        self.here.fetch_add(1, Ordering::SeqCst);
        let number = self.visits.fetch_add(1, Ordering::SeqCst) + 1;
        let leave = || {
            self.called.load(Ordering::SeqCst) & bit(cpu) != 0
                || self.visits.load(Ordering::SeqCst) != number
        };
        if self.here.load(Ordering::SeqCst) > 1 {
            self.tell_waiting();
        }
        let result = match self.take(&leave) {
            Some(mut server) => server.serve_idle_cpu(until, &self.bell, &leave),
            None => Ok(()),
        };
        self.tell_waiting();
        self.called.fetch_and(!bit(cpu), Ordering::SeqCst);
        let now = self.start.elapsed().as_nanos() as u64;
        self.left.store(now, Ordering::SeqCst);
        self.here.fetch_sub(1, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
        result
    }

    fn is_visited(&self) -> bool {
        self.here.load(Ordering::SeqCst) != 0
    }

    /// The device's thread.
    pub fn run(&self) -> Result<()> {
        self.thread.get_or_init(std::thread::current);
        loop {
            self.wait_for_turn();
            self.lock().serve_beside(&|| self.is_visited())?;
            self.tell_waiting();
        }
    }

    /// Returns when no CPU is here, and none has been for a while.
    fn wait_for_turn(&self) {
        let (mut last, mut quiet) = (0, 0);
        loop {
            let visits = self.visits.load(Ordering::SeqCst);
            if !self.is_visited() {
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
            if self.is_visited() && self.visits.load(Ordering::SeqCst) == visits {
                std::thread::park();
            }
            self.asleep.store(false, Ordering::SeqCst);
        }
    }
}
