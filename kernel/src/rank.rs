//! The order of the kernel's locks, which ARCHITECTURE.md tells: a CPU that holds one takes only those of a higher rank. Checked
//! where the kernel is compiled with debug assertions; otherwise a [`Ranked`] lock is a plain one.

use crate::percpu::{self, MAX_CPUS};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use spin::{Mutex, MutexGuard};

/// Queues of futexes. Two of them are locked in the order of their table.
pub const FUTEX: u8 = 0;
pub const THREAD_SIGNALS: u8 = 1;
pub const PROCESS_SIGNALS: u8 = 2;
pub const SPACE: u8 = 3;
pub const PATCHED: u8 = 4;
pub const TIMERS: u8 = 5;
pub const CPU_QUEUE: u8 = 6;
pub const KERNEL_STACKS: u8 = 7;
pub const KERNEL_TABLE: u8 = 8;
pub const HEAP: u8 = 9;
pub const FRAMES: u8 = 10;
pub const CPUID: u8 = 11;

/// By rank.
const NAMES: [&str; 12] = [
    "a futex queue",
    "signals of a thread",
    "signals of a process",
    "an address space",
    "kept patched code",
    "timers",
    "a CPU's queue",
    "kernel stacks",
    "the kernel's page table",
    "the heap",
    "frames",
    "answers of cpuid",
];

/// A lock with its place in the order.
pub struct Ranked<T, const RANK: u8>(Mutex<T>);

pub struct RankedGuard<'a, T, const RANK: u8>(MutexGuard<'a, T>);

impl<T, const RANK: u8> Ranked<T, RANK> {
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub fn lock(&self) -> RankedGuard<'_, T, RANK> {
        // Before the wait: two CPUs that wait for each other would not get to say so.
        if cfg!(debug_assertions) {
            take(RANK, false);
        }
        RankedGuard(self.0.lock())
    }

    /// Another lock of a rank that is held: the caller sees to the order among them.
    pub fn lock_another(&self) -> RankedGuard<'_, T, RANK> {
        if cfg!(debug_assertions) {
            take(RANK, true);
        }
        RankedGuard(self.0.lock())
    }

    /// None if somebody has it.
    pub fn try_lock(&self) -> Option<RankedGuard<'_, T, RANK>> {
        let guard = self.0.try_lock()?;
        if cfg!(debug_assertions) {
            take(RANK, false);
        }
        Some(RankedGuard(guard))
    }
}

impl<T, const RANK: u8> Deref for RankedGuard<'_, T, RANK> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, const RANK: u8> DerefMut for RankedGuard<'_, T, RANK> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T, const RANK: u8> Drop for RankedGuard<'_, T, RANK> {
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            give_back(RANK);
        }
    }
}

/// What each CPU holds: three bits for each rank count how many. A lock is never held across a switch of threads.
static HELD: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
const BITS: u32 = 3;
const MOST: u64 = (1 << BITS) - 1;
const _: () = assert!(NAMES.len() as u32 * BITS <= u64::BITS);
/// The executing CPU can be told.
static READY: AtomicBool = AtomicBool::new(false);

/// From now on the first CPU has its number.
pub fn start() {
    READY.store(true, Ordering::Relaxed);
}

fn held() -> Option<&'static AtomicU64> {
    let ready = READY.load(Ordering::Relaxed);
    ready.then(|| &HELD[percpu::this().cpu as usize % MAX_CPUS])
}

/// The first rank held that `rank` must come before.
fn violated(held: u64, rank: u8, may_be_same: bool) -> Option<u8> {
    let least = if may_be_same { rank + 1 } else { rank };
    (least..NAMES.len() as u8).find(|&other| held >> (u32::from(other) * BITS) & MOST != 0)
}

fn take(rank: u8, may_be_same: bool) {
    let Some(held) = held() else { return };
    let before = held.load(Ordering::Relaxed);
    let other = violated(before, rank, may_be_same);
    if other.is_some() {
        // Its report takes locks of its own.
        READY.store(false, Ordering::Relaxed);
    }
    let name = |rank: u8| NAMES.get(usize::from(rank)).copied().unwrap_or("?");
    assert!(
        other.is_none(),
        "order of locks: {} is taken while {} is held",
        name(rank),
        other.map_or("?", name)
    );
    held.store(before + (1 << (u32::from(rank) * BITS)), Ordering::Relaxed);
}

/// What follows may take long, or leave the virtual machine, and who needs a lock of this rank next is not to wait for it.
pub fn expect_free(rank: u8) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(held) = held() else { return };
    let is_free = held.load(Ordering::Relaxed) >> (u32::from(rank) * BITS) & MOST == 0;
    if !is_free {
        READY.store(false, Ordering::Relaxed);
    }
    let name = NAMES.get(usize::from(rank)).copied().unwrap_or("?");
    assert!(is_free, "another CPU is called while {name} is held");
}

fn give_back(rank: u8) {
    let Some(held) = held() else { return };
    let now = held.load(Ordering::Relaxed);
    let shift = u32::from(rank) * BITS;
    // One that was taken before the CPU had its number is not counted.
    if now >> shift & MOST != 0 {
        held.store(now - (1 << shift), Ordering::Relaxed);
    }
}
