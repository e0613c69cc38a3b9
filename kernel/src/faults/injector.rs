//! The dice, and interrupts that are kept back.

use crate::boot::option;
use crate::task::sched;
use crate::time;
use alloc::format;
use alloc::string::String;
use boot_abi::faults::{KINDS, Kind, Plan, Rate};
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;

/// How long an interrupt is kept back at most, in ns.
const LATEST: u64 = 2_000_000;
/// Step of the counter behind the random numbers, and their mixing: SplitMix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

static PLAN: Once<Plan> = Once::new();
static DICE: AtomicU64 = AtomicU64::new(0);
static TIMES: [AtomicU64; KINDS] = [const { AtomicU64::new(0) }; KINDS];
/// CPUs that are to be interrupted, a bit each, and when.
static DELAYED: AtomicU64 = AtomicU64::new(0);
static DUE: AtomicU64 = AtomicU64::new(0);

/// From now on things go wrong as the command line says.
pub fn init(cmdline: &str) -> Result<(), String> {
    if let Some(text) = option(cmdline, boot_abi::KEY_FAULTS) {
        let plan = Plan::parse(text).ok_or_else(|| format!("not a plan of faults: {text}"))?;
        DICE.store(plan.seed, Ordering::Relaxed);
        PLAN.call_once(|| plan);
    }
    Ok(())
}

fn random() -> u64 {
    let mut x = DICE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Whether this is one of the times when it goes wrong.
pub fn strikes(kind: Kind) -> bool {
    match PLAN.get().map(|plan| plan.rate(kind)) {
        Some(Rate::OneIn(times)) => random().is_multiple_of(times),
        Some(Rate::At(number)) => TIMES
            .get(kind as usize)
            .is_some_and(|times| times.fetch_add(1, Ordering::Relaxed).wrapping_add(1) == number),
        Some(Rate::Never) | None => false,
    }
}

/// Keeps an interrupt back that was to go to `cpu`.
pub fn delay_call(cpu: u32) {
    let due = time::monotonic() + random() % LATEST;
    DUE.store(due, Ordering::SeqCst);
    DELAYED.fetch_or(1 << cpu, Ordering::SeqCst);
    // This CPU may run its program for long without coming here.
    time::arm(due);
}

/// An interrupt that the sender waits for is late as well.
pub fn linger() {
    if strikes(Kind::Call) {
        let until = time::monotonic() + random() % LATEST;
        while time::monotonic() < until {
            core::hint::spin_loop();
        }
    }
}

/// Sends what was kept back and is due, or all of it.
pub fn send_delayed(all: bool) {
    if DELAYED.load(Ordering::SeqCst) == 0
        || !(all || time::monotonic() >= DUE.load(Ordering::SeqCst))
    {
        return;
    }
    let mut cpus = DELAYED.swap(0, Ordering::SeqCst);
    while cpus != 0 {
        sched::interrupt(cpus.trailing_zeros());
        cpus &= cpus - 1;
    }
}

/// A thread anywhere may wake up for no reason.
pub fn disturb_somebody() {
    if strikes(Kind::Wake) {
        sched::disturb(random());
    }
}
