//! The vDSO: a small shared object in every address space that reads the clocks without entering the kernel. `vdso.s` is its
//! code, `build.rs` links it. Its pages are the kernel's own, mapped read-only; the page before it holds what the clocks are
//! computed from, which never changes after boot.

use crate::mm::layout::{PAGE, virt_to_phys};
use crate::mm::map::Backing;
use crate::mm::paging::{Entry, NO_EXECUTE, PRESENT};
use crate::mm::space::{AddressSpace, At};
use crate::percpu::PerCpu;
use crate::time;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_abi::{Errno, MapFlags, Prot};

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.so"));
/// Where `sigreturn` is: what the ELF header calls the entry point.
const SIGRETURN: u64 = match OBJECT.split_at(24).1.first_chunk() {
    Some(entry) => u64::from_le_bytes(*entry),
    None => 0,
};
const _: () = assert!(SIGRETURN != 0);
const CODE_PAGES: usize = OBJECT.len().div_ceil(PAGE as usize);
const CODE_LEN: usize = CODE_PAGES * PAGE as usize;

const NAME: &str = "[vdso]";

/// The object in pages of its own.
#[repr(C, align(4096))]
struct Code([u8; CODE_LEN]);

/// The data page; `vdso.s` knows the offsets.
#[repr(C, align(4096))]
struct Data {
    /// TSC value at which CLOCK_MONOTONIC is 0.
    tsc0: AtomicU64,
    /// Nanoseconds of a tick, 32 bits after the point.
    mult: AtomicU64,
    /// CLOCK_REALTIME less CLOCK_MONOTONIC.
    realtime0: AtomicU64,
}

const _: () = assert!(size_of::<Data>() == PAGE as usize && time::SHIFT == 32);
const _: () = assert!(
    offset_of!(PerCpu, cpu) == 44,
    "getcpu in vdso.s reads the processor's number there"
);

static CODE: Code = Code(padded());
static DATA: Data = Data {
    tsc0: AtomicU64::new(0),
    mult: AtomicU64::new(0),
    realtime0: AtomicU64::new(0),
};

const fn padded() -> [u8; CODE_LEN] {
    let mut bytes = [0; CODE_LEN];
    let (start, _) = bytes.split_at_mut(OBJECT.len());
    start.copy_from_slice(OBJECT);
    bytes
}

/// Maps it where there is room; answers where its ELF header is.
pub fn map(space: &AddressSpace) -> Result<u64, Errno> {
    fill_data();
    let anywhere = At::Anywhere {
        hint: 0,
        below_4g: false,
    };
    let data = space.map(
        anywhere,
        PAGE + CODE_LEN as u64,
        Prot::PROT_READ,
        Backing::Named("[vvar]"),
        MapFlags::empty(),
    )?;
    let code = data + PAGE;
    let prot = Prot::PROT_READ | Prot::PROT_EXEC;
    space.map(
        At::Fixed(code),
        CODE_LEN as u64,
        prot,
        Backing::Named(NAME),
        MapFlags::empty(),
    )?;
    // Without the mark of a frame: nobody counts references to pages of the kernel's image.
    let mut inner = space.lock();
    let phys = |page: *const u8| virt_to_phys(page as u64);
    inner.table.set(
        data,
        Entry::new(phys((&raw const DATA).cast()), PRESENT | NO_EXECUTE),
    )?;
    for (page, bytes) in (0..).zip(CODE.0.chunks_exact(PAGE as usize)) {
        inner.table.set(
            code + page * PAGE,
            Entry::new(phys(bytes.as_ptr()), PRESENT),
        )?;
    }
    Ok(code)
}

/// Where handlers may return to, of an object that was mapped at `at`; none if it is there no more.
#[must_use]
pub fn sigreturn(space: &AddressSpace, at: u64) -> Option<u64> {
    let inner = space.lock();
    let area = inner.areas.find(at)?;
    matches!(area.backing, Backing::Named(NAME)).then_some(at + SIGRETURN)
}

fn fill_data() {
    let (tsc0, mult) = time::parameters();
    DATA.tsc0.store(tsc0, Ordering::Relaxed);
    DATA.mult.store(mult, Ordering::Relaxed);
    DATA.realtime0
        .store(time::realtime_offset(), Ordering::Relaxed);
}
