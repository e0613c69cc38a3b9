//! futex(2): queues of waiting threads, found by the word they wait on.
mod many;
mod pi;
mod requeue_pi;
mod robust;

pub use many::wait_many;
pub use pi::{lock_pi, unlock_pi};
pub use requeue_pi::{requeue_pi, wait_requeue_pi};
pub use robust::release_robust_list;

use super::sched;
use super::thread::Thread;
use crate::faults::{self, Kind};
use crate::mm::map::Backing;
use crate::mm::user;
use crate::rank::{self, Ranked, RankedGuard};
use crate::{percpu, task, time};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::iter::repeat_with;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
use linux_abi::Errno;
use spin::{Mutex, Once};
use syscall_shim::kernel::{FutexWord, WakeOp, Woken};

const BUCKETS: usize = 256;
/// Matches every waiter.
pub const ANY: u32 = u32::MAX;

/// What a word is, wherever it is mapped: a place in a shared file, or an address of one address space.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u64, u64, u64);

struct Waiter {
    thread: Arc<Thread>,
    /// What wakes it; 0 if it waits to own a priority-inheriting mutex, which is handed to it instead.
    bitset: AtomicU32,
    /// The priority-inheriting mutex that it wants to own when its condition holds.
    mutex: Option<Key>,
    /// Another one after a requeue.
    key: Mutex<Key>,
    woken: AtomicBool,
    /// The one after it in a [`Leaving`].
    next: Mutex<Option<Arc<Waiter>>>,
}

/// Waiters that were taken out of their queue, in their order. They are woken when this is dropped, which is to be after the queue
/// is unlocked: so make it before the queue is locked. Calling another CPU leaves the virtual machine on some hosts, and the thread
/// that comes to run there often wants the same queue at once; a host may even run it in the place of the one that has the lock.
#[derive(Default)]
struct Leaving {
    first: Option<Arc<Waiter>>,
    last: Option<Arc<Waiter>>,
}

impl Leaving {
    /// With the queue locked. From here on the waiter counts as woken.
    fn add(&mut self, waiter: Arc<Waiter>) {
        waiter.woken.store(true, Ordering::SeqCst);
        match self.last.replace(waiter.clone()) {
            Some(before) => *before.next.lock() = Some(waiter),
            None => self.first = Some(waiter),
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut first = self.first.take();
        while let Some(waiter) = first {
            waiter.thread.wake_up();
            first = waiter.next.lock().take();
        }
    }
}

struct Bucket {
    waiters: Ranked<Vec<Arc<Waiter>>, { rank::FUTEX }>,
    /// Length of `waiters`, so that waking nobody takes no lock.
    count: AtomicUsize,
}

/// Made at its first use: as a constant it would be a large part of a small image.
fn table() -> &'static [Bucket] {
    static TABLE: Once<Box<[Bucket]>> = Once::new();
    TABLE.call_once(|| {
        let bucket = || Bucket {
            waiters: Ranked::new(Vec::new()),
            count: AtomicUsize::new(0),
        };
        repeat_with(bucket).take(BUCKETS).collect()
    })
}

type Queue<'a> = RankedGuard<'a, Vec<Arc<Waiter>>, { rank::FUTEX }>;

impl Key {
    fn of(word: FutexWord) -> Self {
        let space = task::current_space();
        let private = Self(Arc::as_ptr(space) as u64, 0, word.addr);
        if word.private {
            return private;
        }
        let inner = space.lock();
        let area = inner.areas.find(word.addr);
        match area.map(|area| (area.start, &area.backing)) {
            Some((start, Backing::File { file, offset })) if file.shared => Self(
                file.inode.metadata().dev,
                file.inode.ino(),
                offset + (word.addr - start),
            ),
            _ => private,
        }
    }

    fn bucket(self) -> usize {
        let mixed =
            (self.0 ^ self.1.rotate_left(32) ^ (self.2 >> 2)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 56) as usize % BUCKETS
    }
}

impl Bucket {
    fn is_empty(&self) -> bool {
        // The program's change of the word comes first.
        fence(Ordering::SeqCst);
        self.count.load(Ordering::SeqCst) == 0
    }

    /// One more is about to wait. Told before the look at the word: who changes the word and then sees nobody is seen.
    fn announce(&self, waiters: &Queue<'_>) {
        self.count.store(waiters.len() + 1, Ordering::SeqCst);
    }

    fn set_count(&self, waiters: &Queue<'_>) {
        self.count.store(waiters.len(), Ordering::SeqCst);
    }
}

/// Flags in a word that is a robust or priority-inheriting mutex; the rest is the owner's tid.
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

impl Waiter {
    fn new(thread: Arc<Thread>, key: Key, bitset: u32, mutex: Option<Key>) -> Arc<Self> {
        Arc::new(Self {
            thread,
            bitset: AtomicU32::new(bitset),
            mutex,
            key: Mutex::new(key),
            woken: AtomicBool::new(false),
            next: Mutex::new(None),
        })
    }

    /// Whether it queues for a priority-inheriting mutex.
    fn wants_mutex(&self) -> bool {
        self.bitset.load(Ordering::Relaxed) == 0
    }

    /// Whether it waits in the ways of such mutexes, which the calls for others do not touch.
    fn inherits(&self) -> bool {
        self.wants_mutex() || self.mutex.is_some()
    }

    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }
}

/// Sleeps while the word holds `expected`, until woken.
pub fn wait(
    futex: FutexWord,
    expected: u32,
    bitset: u32,
    deadline: Option<u64>,
) -> Result<(), Errno> {
    let outcome = sleep_on(futex, expected, bitset, deadline);
    if outcome == Err(Errno::EAGAIN) {
        hold_back(futex.addr);
    } else {
        percpu::current().backoff.slept();
    }
    outcome
}

/// Keeps a thread for a moment that fights for a word; on one CPU nobody would get on meanwhile.
fn hold_back(word: u64) {
    if sched::cpu_count() == 1 {
        return;
    }
    let until = percpu::current().backoff.in_vain(word, time::monotonic());
    while time::monotonic() < until {
        core::hint::spin_loop();
    }
}

fn sleep_on(
    futex: FutexWord,
    expected: u32,
    bitset: u32,
    deadline: Option<u64>,
) -> Result<(), Errno> {
    // A mutex that is fought for often is free again.
    if user::load(futex.addr)? != expected {
        return Err(Errno::EAGAIN);
    }
    let waiter = queue_up(futex, expected, bitset, None)?;
    let outcome = super::wait::wait(&[], deadline, &mut || {
        waiter.is_woken() || faults::strikes(Kind::Wake)
    });
    match outcome {
        // As futex(2) allows, for no reason.
        Ok(Woken::Ready) if !waiter.is_woken() => {
            withdraw(&waiter);
            Ok(())
        }
        Ok(Woken::Ready) => Ok(()),
        // Woken after all, by somebody who counts on it.
        _ if !withdraw(&waiter) => Ok(()),
        Ok(Woken::TimedOut) => Err(Errno::ETIMEDOUT),
        Err(errno) => Err(errno),
    }
}

/// Puts the running thread into the word's queue; EAGAIN if the word does not hold `expected`.
fn queue_up(
    futex: FutexWord,
    expected: u32,
    bitset: u32,
    mutex: Option<Key>,
) -> Result<Arc<Waiter>, Errno> {
    let thread = crate::percpu::current().arc().ok_or(Errno::ESRCH)?;
    // Faults the page in, which must not happen with the queue locked.
    user::load(futex.addr)?;
    let key = Key::of(futex);
    let waiter = Waiter::new(thread, key, bitset, mutex);
    let bucket = &table()[key.bucket()];
    let mut waiters = bucket.waiters.lock();
    bucket.announce(&waiters);
    let value = user::load(futex.addr);
    if value != Ok(expected) {
        bucket.set_count(&waiters);
        return Err(value.err().unwrap_or(Errno::EAGAIN));
    }
    waiters.push(waiter.clone());
    bucket.set_count(&waiters);
    Ok(waiter)
}

/// Takes a waiter out of its queue; false if it is in none any more.
fn withdraw(waiter: &Arc<Waiter>) -> bool {
    loop {
        let key = *waiter.key.lock();
        let bucket = &table()[key.bucket()];
        let mut waiters = bucket.waiters.lock();
        if let Some(at) = waiters.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            waiters.remove(at);
            bucket.set_count(&waiters);
            return true;
        }
        drop(waiters);
        if waiter.woken.load(Ordering::SeqCst) {
            return false;
        }
        // Moved to another queue meanwhile.
    }
}

/// Takes up to `count` waiters of `key` out, the longest waiting first. EINVAL if one of them waits for a priority-inheriting mutex.
fn take_out(
    waiters: &mut Queue<'_>,
    leaving: &mut Leaving,
    key: Key,
    count: usize,
    bitset: u32,
) -> Result<usize, Errno> {
    let (mut woken, mut inherits) = (0, false);
    waiters.retain(|waiter| {
        if woken >= count || inherits || *waiter.key.lock() != key {
            return true;
        }
        inherits = waiter.inherits();
        let takes = !inherits && waiter.bitset.load(Ordering::Relaxed) & bitset != 0;
        if takes {
            woken += 1;
            leaving.add(waiter.clone());
        }
        !takes
    });
    if inherits && woken == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(woken)
}

/// Wakes up to `count` threads; answers how many.
pub fn wake(futex: FutexWord, count: usize, bitset: u32) -> Result<usize, Errno> {
    if futex.private && table()[Key::of(futex).bucket()].is_empty() {
        return Ok(0);
    }
    let key = Key::of(futex);
    let bucket = &table()[key.bucket()];
    let mut leaving = Leaving::default();
    let mut waiters = bucket.waiters.lock();
    let woken = take_out(&mut waiters, &mut leaving, key, count, bitset);
    bucket.set_count(&waiters);
    woken
}

/// For words of which the kernel does not know how they are waited for: a shared wait on private memory has the same key as a
/// private one, so the shared kind finds both. Who waits in another way is not meant.
pub fn wake_all_kinds(addr: u64, count: usize) {
    let _ = wake(
        FutexWord {
            addr,
            private: false,
        },
        count,
        ANY,
    );
}

/// `FUTEX_REQUEUE` and `FUTEX_CMP_REQUEUE`: answers how many were woken and how many moved.
pub fn requeue(
    from: FutexWord,
    to: FutexWord,
    wake: usize,
    limit: usize,
    expected: Option<u32>,
) -> Result<(usize, usize), Errno> {
    if expected.is_some() {
        user::load(from.addr)?;
    }
    let (from_key, to_key) = (Key::of(from), Key::of(to));
    let (source, target) = (from_key.bucket(), to_key.bucket());
    let mut leaving = Leaving::default();
    let (mut waiters, mut others) = lock_two(source, target);
    if let Some(others) = &others {
        table()[target].announce(others);
    }
    if expected.is_some_and(|expected| user::load(from.addr) != Ok(expected)) {
        if let Some(others) = &others {
            table()[target].set_count(others);
        }
        return Err(Errno::EAGAIN);
    }
    let woken = take_out(&mut waiters, &mut leaving, from_key, wake, ANY);
    let mut moved = Vec::new();
    waiters.retain(|waiter| {
        let moves = woken.is_ok()
            && moved.len() < limit
            && !waiter.inherits()
            && *waiter.key.lock() == from_key;
        if moves {
            *waiter.key.lock() = to_key;
            moved.push(waiter.clone());
        }
        !moves
    });
    let count = moved.len();
    match &mut others {
        Some(others) => {
            others.extend(moved);
            table()[target].set_count(others);
        }
        None => waiters.extend(moved),
    }
    table()[source].set_count(&waiters);
    Ok((woken?, count))
}

/// Locks two queues in the order of the table; the second is none if they are the same.
fn lock_two(first: usize, second: usize) -> (Queue<'static>, Option<Queue<'static>>) {
    let lock = |at: usize| table()[at % BUCKETS].waiters.lock();
    let another = |at: usize| table()[at % BUCKETS].waiters.lock_another();
    match first.cmp(&second) {
        core::cmp::Ordering::Equal => (lock(first), None),
        core::cmp::Ordering::Less => {
            let queue = lock(first);
            (queue, Some(another(second)))
        }
        core::cmp::Ordering::Greater => {
            let other = lock(second);
            (another(first), Some(other))
        }
    }
}

/// `FUTEX_WAKE_OP`: changes the second word, wakes on the first, and on the second if its old value was as `op` says.
pub fn wake_op(
    first: FutexWord,
    count: usize,
    second: FutexWord,
    second_count: usize,
    op: WakeOp,
) -> Result<usize, Errno> {
    let mut old = user::load(second.addr)?;
    loop {
        let found = user::compare_exchange(second.addr, old, op.op.apply(old, op.op_arg))?;
        if found == old {
            break;
        }
        old = found;
    }
    let woken = wake(first, count, ANY)?;
    let more = if op.holds(old) {
        wake(second, second_count, ANY)?
    } else {
        0
    };
    Ok(woken + more)
}
