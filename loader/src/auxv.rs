//! The auxiliary vector, entry for entry as Linux gives it on x86-64.

/// The values that the kernel knows; the rest are addresses on the stack or constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Auxv {
    /// Address of the vDSO; 0 means none.
    pub sysinfo_ehdr: u64,
    /// The size of a signal frame with the whole vector state.
    pub minsigstksz: u64,
    /// CPUID 1 EDX.
    pub hwcap: u64,
    /// Bit 0: MWAIT in ring 3; bit 1: FSGSBASE.
    pub hwcap2: u64,
    /// Program headers in memory.
    pub phdr: u64,
    pub phnum: u64,
    /// The interpreter's load bias; 0 without one.
    pub base: u64,
    /// The program's own entry point, bias included.
    pub entry: u64,
    pub uid: u64,
    pub euid: u64,
    pub gid: u64,
    pub egid: u64,
    pub secure: bool,
    /// The part of `struct rseq` that the kernel fills in.
    pub rseq_feature_size: u64,
    pub rseq_align: u64,
}

const COUNT: usize = 23;

/// The bytes that the vector takes, `AT_NULL` included.
pub const SIZE: usize = COUNT * 16;

const AT_NULL: u64 = 0;
const AT_IGNORE: u64 = 1;
const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_PAGESZ: u64 = 6;
const AT_BASE: u64 = 7;
const AT_FLAGS: u64 = 8;
const AT_ENTRY: u64 = 9;
const AT_UID: u64 = 11;
const AT_EUID: u64 = 12;
const AT_GID: u64 = 13;
const AT_EGID: u64 = 14;
const AT_PLATFORM: u64 = 15;
const AT_HWCAP: u64 = 16;
const AT_CLKTCK: u64 = 17;
const AT_SECURE: u64 = 23;
const AT_RANDOM: u64 = 25;
const AT_HWCAP2: u64 = 26;
const AT_RSEQ_FEATURE_SIZE: u64 = 27;
const AT_RSEQ_ALIGN: u64 = 28;
const AT_EXECFN: u64 = 31;
const AT_SYSINFO_EHDR: u64 = 33;
const AT_MINSIGSTKSZ: u64 = 51;

/// `USER_HZ`.
const CLOCK_TICKS: u64 = 100;

impl Auxv {
    /// The vector in Linux's order. A program without vDSO sees `AT_IGNORE` in its place.
    pub(crate) fn entries(&self, random: u64, execfn: u64, platform: u64) -> [(u64, u64); COUNT] {
        let vdso = if self.sysinfo_ehdr == 0 {
            AT_IGNORE
        } else {
            AT_SYSINFO_EHDR
        };
        [
            (vdso, self.sysinfo_ehdr),
            (AT_MINSIGSTKSZ, self.minsigstksz),
            (AT_HWCAP, self.hwcap),
            (AT_PAGESZ, crate::page::PAGE_SIZE),
            (AT_CLKTCK, CLOCK_TICKS),
            (AT_PHDR, self.phdr),
            (AT_PHENT, crate::elf::Program::PHENT),
            (AT_PHNUM, self.phnum),
            (AT_BASE, self.base),
            (AT_FLAGS, 0),
            (AT_ENTRY, self.entry),
            (AT_UID, self.uid),
            (AT_EUID, self.euid),
            (AT_GID, self.gid),
            (AT_EGID, self.egid),
            (AT_SECURE, self.secure.into()),
            (AT_RANDOM, random),
            (AT_HWCAP2, self.hwcap2),
            (AT_EXECFN, execfn),
            (AT_PLATFORM, platform),
            (AT_RSEQ_FEATURE_SIZE, self.rseq_feature_size),
            (AT_RSEQ_ALIGN, self.rseq_align),
            (AT_NULL, 0),
        ]
    }
}
