//! CLOCK_MONOTONIC and CLOCK_REALTIME.
#![allow(unsafe_code)]

use super::calibrate;
use core::arch::x86_64::_rdtsc;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bits after the point of the multiplier.
pub const SHIFT: u32 = 32;

/// What the clocks are computed from. Set once, at boot.
struct Clock {
    /// TSC value at which CLOCK_MONOTONIC is 0; it may lie before the TSC's own start.
    tsc0: AtomicU64,
    /// Nanoseconds of a tick, as fixed point.
    mult: AtomicU64,
    /// CLOCK_REALTIME at that moment.
    realtime0: AtomicU64,
}

/// What CLOCK_MONOTONIC shows at the start, in ns: programs take a time of less than a second for none (ping does), which no
/// system is young enough to show elsewhere.
const START: u64 = 1_000_000_000;

static CLOCK: Clock = Clock {
    tsc0: AtomicU64::new(0),
    mult: AtomicU64::new(1 << SHIFT),
    realtime0: AtomicU64::new(0),
};

/// Sets the clocks going: `tsc0` was read when CLOCK_REALTIME was `realtime0_ns`. Measures the TSC's frequency if nobody
/// knows it.
pub fn init(tsc_khz: Option<u64>, tsc0: u64, realtime0_ns: u64) {
    let khz = tsc_khz
        .filter(|khz| *khz != 0)
        .unwrap_or_else(calibrate::tsc_khz);
    CLOCK
        .mult
        .store((1_000_000 << SHIFT) / khz.max(1), Ordering::Relaxed);
    let early = khz.saturating_mul(START / 1_000_000);
    CLOCK
        .tsc0
        .store(tsc0.wrapping_sub(early), Ordering::Relaxed);
    CLOCK
        .realtime0
        .store(realtime0_ns.saturating_sub(START), Ordering::Relaxed);
}

pub fn tsc() -> u64 {
    // SAFETY: RDTSC is open to ring 3 (CR4.TSD is clear) and touches registers only.
    unsafe { _rdtsc() }
}

/// CLOCK_MONOTONIC.
pub fn monotonic() -> u64 {
    let ticks = tsc().wrapping_sub(CLOCK.tsc0.load(Ordering::Relaxed)) as i64;
    ((u128::from(ticks.max(0) as u64) * u128::from(CLOCK.mult.load(Ordering::Relaxed))) >> SHIFT)
        as u64
}

/// Nanoseconds since the machine was started, really.
pub fn uptime() -> u64 {
    monotonic().saturating_sub(START)
}

/// Nanoseconds since 1970.
pub fn realtime() -> u64 {
    monotonic() + realtime_offset()
}

/// CLOCK_REALTIME less CLOCK_MONOTONIC; the wall clock cannot be set.
pub fn realtime_offset() -> u64 {
    CLOCK.realtime0.load(Ordering::Relaxed)
}

/// CLOCK_MONOTONIC when CLOCK_REALTIME is `realtime`.
pub fn monotonic_at(realtime: u64) -> u64 {
    realtime.saturating_sub(realtime_offset())
}

/// TSC at zero, multiplier: the vDSO computes the same way.
pub fn parameters() -> (u64, u64) {
    (
        CLOCK.tsc0.load(Ordering::Relaxed),
        CLOCK.mult.load(Ordering::Relaxed),
    )
}

/// The TSC's frequency.
pub fn tsc_khz() -> u64 {
    (1_000_000 << SHIFT) / CLOCK.mult.load(Ordering::Relaxed).max(1)
}
