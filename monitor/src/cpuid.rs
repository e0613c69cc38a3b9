//! What CPUID answers: all that KVM supports, with the numbers that differ from CPU to CPU.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::{Cap, Kvm};

use crate::error::{Result, kvm};

const ECX_TSC_DEADLINE: u32 = 1 << 24;
const ECX_HYPERVISOR: u32 = 1 << 31;
const EDX_HTT: u32 = 1 << 28;
/// XCR0: x87, SSE, AVX, and the three parts of AVX-512.
const XCR0_WANTED: u64 = 0b1110_0111;
const XCR0_AVX512: u64 = 0b1110_0000;

pub fn supported(kvm: &Kvm) -> Result<CpuId> {
    let mut cpuid = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(self::kvm("KVM_GET_SUPPORTED_CPUID"))?;
    let deadline = kvm.check_extension(Cap::TscDeadlineTimer);
    for entry in cpuid.as_mut_slice() {
        if entry.function == 1 {
            entry.ecx |= ECX_HYPERVISOR | if deadline { ECX_TSC_DEADLINE } else { 0 };
        }
    }
    Ok(cpuid)
}

/// For CPU `index` of `count`: its APIC id, and how many there are.
pub fn for_cpu(base: &CpuId, index: u32, count: u32) -> CpuId {
    let mut cpuid = base.clone();
    for entry in cpuid.as_mut_slice() {
        match entry.function {
            1 => {
                entry.ebx = entry.ebx & 0xffff | count.min(255) << 16 | index << 24;
                if count > 1 {
                    entry.edx |= EDX_HTT;
                }
            }
            // One thread a core, `count` cores a package.
            0xb | 0x1f => {
                entry.edx = index;
                let shift = u32::BITS - (count - 1).leading_zeros();
                (entry.eax, entry.ebx, entry.ecx) = match entry.index {
                    0 => (0, 1, 1 << 8),
                    1 => (shift, count, 2 << 8 | 1),
                    n => (0, 0, n),
                };
            }
            _ => {}
        }
    }
    cpuid
}

/// The extended state that programs may use.
pub fn xcr0(cpuid: &CpuId) -> u64 {
    let leaf = cpuid
        .as_slice()
        .iter()
        .find(|e| e.function == 0xd && e.index == 0);
    let offered = leaf.map_or(1, |e| u64::from(e.edx) << 32 | u64::from(e.eax));
    let usable = offered & XCR0_WANTED | 1;
    // The three parts go together or not at all.
    if usable & XCR0_AVX512 == XCR0_AVX512 {
        usable
    } else {
        usable & !XCR0_AVX512
    }
}
