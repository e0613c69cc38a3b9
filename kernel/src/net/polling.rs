//! When to look at the network's device: the socket device or the card.
//!
//! The guest polls: before a thread sleeps, while the CPU idles, and every millisecond as long as something comes. Meanwhile
//! the device does not interrupt. It gets to do so before the CPU halts, and when nothing has come for a while. A CPU that rests at the
//! monitor brings along all there is: that starts no ticking, and leaves the interrupt on.

use crate::parts::Uplink;
use crate::time::{self, TimerId};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};
use net::forward::SpinTime;
use spin::{Mutex, Once};
use vfs::Wake;

/// How often to look while a thread runs, in ns.
const TICK: u64 = 1_000_000;
/// So many looks in vain end the ticking.
const QUIET: u32 = 4;

struct Polling {
    tick: Option<TimerId>,
    /// Something has come since the last tick.
    traffic: bool,
    /// Ticks since something came.
    quiet: u32,
}

static POLLING: Mutex<Polling> = Mutex::new(Polling {
    tick: None,
    traffic: false,
    quiet: 0,
});
static SPIN: SpinTime = SpinTime::new();
/// One CPU at a time hands on what has come, so that it stays in order.
static HANDING_ON: Mutex<()> = Mutex::new(());

/// Called by its timer.
struct Ticker;

impl Wake for Ticker {
    fn wake(&self, _events: u32) {
        tick();
    }
}

fn ticker() -> Weak<dyn Wake> {
    static TICKER: Once<Arc<Ticker>> = Once::new();
    let ticker: Arc<dyn Wake> = TICKER.call_once(|| Arc::new(Ticker)).clone();
    Arc::downgrade(&ticker)
}

impl Polling {
    fn start_tick(&mut self) {
        if self.tick.is_none() {
            self.tick = Some(time::add_timer(time::monotonic() + TICK, ticker()));
        }
    }
}

static UPLINK: Once<&'static Uplink> = Once::new();

/// From now on its device is looked at.
pub fn watch(uplink: &'static Uplink) {
    UPLINK.call_once(|| uplink);
}

/// The way out, once its device is in use.
fn uplink() -> Option<&'static Uplink> {
    UPLINK.get().copied().filter(|uplink| (uplink.exists)())
}

/// Hands on what has come. A few memory reads, if nothing has. Answers whether something had.
pub fn poll() -> bool {
    let Some(uplink) = UPLINK.get() else {
        return false;
    };
    let found = look(uplink);
    if found {
        (uplink.interrupt)(false);
        let mut polling = POLLING.lock();
        polling.traffic = true;
        polling.start_tick();
    }
    found
}

fn look(uplink: &Uplink) -> bool {
    let _in_order = HANDING_ON.lock();
    (uplink.look)()
}

fn tick() {
    POLLING.lock().tick = None;
    poll();
    {
        let mut polling = POLLING.lock();
        let traffic = core::mem::take(&mut polling.traffic);
        polling.quiet = if traffic { 0 } else { polling.quiet + 1 };
        if polling.quiet < QUIET {
            return polling.start_tick();
        }
        polling.quiet = 0;
    }
    rest();
}

/// Leaves it to the device to say when something comes. Answers whether something has come just now.
fn rest() -> bool {
    let Some(uplink) = UPLINK.get() else {
        return false;
    };
    (uplink.interrupt)(true);
    (uplink.has_news)() && poll()
}

/// The device's interrupt, if it is among `bits`.
pub fn handle_interrupts(bits: u32) {
    if UPLINK
        .get()
        .is_some_and(|uplink| (uplink.is_interrupted)(bits))
    {
        poll();
    }
}

/// The monitor takes an idle CPU's time to serve the device.
static MONITOR_RESTS: AtomicBool = AtomicBool::new(false);

/// Reads off the command line how an idle CPU is to wait.
pub fn init(cmdline: &str) {
    let offered = crate::boot::option(cmdline, boot_abi::KEY_IDLE_PORT).is_some();
    MONITOR_RESTS.store(offered, Ordering::Relaxed);
}

/// Whether an idle CPU leaves itself to the monitor (`gate::rest`): where that is offered, and once the device is in use.
pub fn rests_at_the_monitor() -> bool {
    MONITOR_RESTS.load(Ordering::Relaxed) && uplink().is_some_and(|uplink| uplink.served_by_monitor)
}

/// How long to look for work before halting, in ns.
pub fn spin_time() -> u64 {
    // Nothing comes while the CPU spins where it is the CPU's own thread that would bring it.
    if rests_at_the_monitor() {
        0
    } else {
        SPIN.get()
    }
}

/// There was work before the CPU had to halt.
pub fn spun_with_success() {
    SPIN.hit();
}

/// The CPU is about to halt. True: not now, something has come.
pub fn before_halt() -> bool {
    if uplink().is_none() {
        return false;
    }
    if let Some(tick) = POLLING.lock().tick.take() {
        time::cancel(tick);
    }
    rest()
}

/// The CPU has halted and goes on; it had been idle for `ns`.
pub fn after_halt(ns: u64) {
    let Some(uplink) = uplink() else {
        return;
    };
    if rests_at_the_monitor() {
        // Nothing more comes before the CPU idles again, unless the monitor's thread steps in, and that interrupts.
        look(uplink);
    } else {
        SPIN.learn(ns, poll());
    }
}
