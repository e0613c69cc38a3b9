//! The TSC's frequency where the command line does not tell it.

use super::clock::tsc;
use crate::drivers::apic;
use core::arch::x86_64::__cpuid;

/// CPUID leaves: processor features (bit 31 of ECX: a hypervisor), hypervisor range, hypervisor's TSC frequency.
const FEATURES: u32 = 1;
const HYPERVISOR: u32 = 0x4000_0000;
const HYPERVISOR_FREQUENCY: u32 = 0x4000_0010;
/// How long to measure.
const WINDOW_NS: u64 = 20_000_000;
/// Readings of which the quickest counts: reading the counter may be an exit of any length.
const READINGS: usize = 5;

/// Kilohertz, from the hypervisor if it tells, else measured.
pub fn tsc_khz() -> u64 {
    told().unwrap_or_else(measured)
}

fn told() -> Option<u64> {
    if __cpuid(FEATURES).ecx >> 31 == 0 || __cpuid(HYPERVISOR).eax < HYPERVISOR_FREQUENCY {
        return None;
    }
    let khz = __cpuid(HYPERVISOR_FREQUENCY).eax;
    (khz != 0).then_some(u64::from(khz))
}

/// Counts TSC ticks against the local APIC timer, which counts nanoseconds.
fn measured() -> u64 {
    apic::init();
    apic::arm_timer(u64::from(u32::MAX));
    let (tsc0, count0) = reading();
    let (tsc1, count1) = loop {
        let (tsc, count) = reading();
        if count0.wrapping_sub(count) >= WINDOW_NS {
            break (tsc, count);
        }
        core::hint::spin_loop();
    };
    apic::disarm();
    (tsc1.saturating_sub(tsc0) * 1_000_000 / count0.saturating_sub(count1).max(1)).max(1)
}

/// A pair of TSC and counter, taken as close together as possible.
fn reading() -> (u64, u64) {
    let once = || {
        let before = tsc();
        let count = apic::current_count();
        let after = tsc();
        (
            after.wrapping_sub(before),
            before / 2 + after / 2,
            u64::from(count),
        )
    };
    let best = (1..READINGS).fold(once(), |best, _| {
        let next = once();
        if next.0 < best.0 { next } else { best }
    });
    (best.1, best.2)
}
