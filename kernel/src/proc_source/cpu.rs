//! The processor, as CPUID describes it.

use crate::time;
use alloc::string::String;
use alloc::vec::Vec;
use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
use spin::Once;
use vfs::CpuInfo;

/// Which register of an answer.
type Pick = fn(&CpuidResult) -> u32;

/// A leaf, its subleaf, a register, and Linux's names for its bits from 0 up; `-` has none.
type Row = (u32, u32, Pick, &'static str);

const EXTENDED: u32 = 0x8000_0000;

#[rustfmt::skip]
const FLAGS: [Row; 9] = [
    (1, 0, |r| r.edx, "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"),
    (EXTENDED + 1, 0, |r| r.edx, "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"),
    (1, 0, |r| r.ecx, "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor"),
    (EXTENDED + 1, 0, |r| r.ecx, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx"),
    (7, 0, |r| r.ebx, "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl"),
    (7, 0, |r| r.ecx, "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - movdiri movdir64b enqcmd"),
    (7, 0, |r| r.edx, "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize - tsxldtrk - pconfig arch_lbr - - amx_bf16 avx512_fp16 amx_tile amx_int8"),
    (7, 1, |r| r.eax, "- - - - avx_vnni avx512_bf16"),
    (0xd, 1, |r| r.eax, "xsaveopt xsavec xgetbv1 xsaves"),
];

/// An answer, zeros beyond what the processor has.
fn leaf(number: u32, sub: u32) -> CpuidResult {
    let highest = __cpuid(number & EXTENDED).eax;
    if number > highest {
        return CpuidResult {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        };
    }
    __cpuid_count(number, sub)
}

/// What /proc/cpuinfo shows. Asked for once: CPUID is an exit to the hypervisor.
pub fn info() -> CpuInfo {
    static INFO: Once<CpuInfo> = Once::new();
    INFO.call_once(read).clone()
}

fn read() -> CpuInfo {
    let signature = leaf(1, 0);
    let family = signature.eax >> 8 & 15;
    let model = signature.eax >> 4 & 15 | (signature.eax >> 16 & 15) << 4;
    let sizes = leaf(EXTENDED + 8, 0).eax;
    CpuInfo {
        vendor: vendor(),
        family: if family == 15 {
            family + (signature.eax >> 20 & 0xff)
        } else {
            family
        },
        model: if family == 6 || family == 15 {
            model
        } else {
            model & 15
        },
        stepping: signature.eax & 15,
        model_name: brand(),
        khz: time::tsc_khz(),
        cache_kib: leaf(EXTENDED + 6, 0).ecx >> 16,
        cpuid_level: leaf(0, 0).eax,
        flags: flags(),
        clflush_size: (signature.ebx >> 8 & 0xff) * 8,
        physical_bits: sizes & 0xff,
        virtual_bits: sizes >> 8 & 0xff,
    }
}

fn text(words: &[u32]) -> String {
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .take_while(|&byte| byte != 0)
        .collect();
    String::from(String::from_utf8_lossy(&bytes).trim())
}

fn vendor() -> String {
    let answer = leaf(0, 0);
    text(&[answer.ebx, answer.edx, answer.ecx])
}

fn brand() -> String {
    let words: Vec<u32> = (2..5)
        .map(|i| leaf(EXTENDED + i, 0))
        .flat_map(|answer| [answer.eax, answer.ebx, answer.ecx, answer.edx])
        .collect();
    text(&words)
}

fn flags() -> String {
    let mut flags: Vec<&str> = Vec::new();
    for (number, sub, pick, names) in FLAGS {
        let bits = pick(&leaf(number, sub));
        let set = names
            .split(' ')
            .enumerate()
            .filter(|(bit, name)| bits >> bit & 1 != 0 && *name != "-");
        flags.extend(set.map(|(_, name)| name));
    }
    flags.join(" ")
}
