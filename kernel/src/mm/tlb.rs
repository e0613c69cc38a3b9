//! Translations that CPUs still hold after a change of page tables, and the memory behind them.
//!
//! A page's frame goes back to the allocator only when no CPU can reach it by an old translation. Other CPUs that run in
//! the same space are interrupted, and the gate flushes and says so without waiting for any lock, in the kernel as in the program;
//! so waiting for them is safe with locks held. A CPU that idles, or waits for a space's lock, flushes afterwards instead.

use super::frame;
use super::paging::{Entry, HUGE};
use crate::drivers::apic;
use crate::faults;
use crate::gate::{self, FLUSH_VECTOR};
use crate::percpu::{self, MAX_CPUS};
use crate::task::sched;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

/// As many entries are kept before they are flushed and given back.
const HELD_MAX: usize = 32768;
const HELD_FIRST: usize = 64;

/// Entries that were taken out of the page tables at `root`, or that allow less than before.
pub struct Dropped {
    root: u64,
    pages: usize,
    last: u64,
    held: Vec<Entry>,
    /// Instead, where there is no memory for a list.
    one: Option<Entry>,
}

impl Dropped {
    #[must_use]
    pub fn new(root: u64) -> Self {
        Self {
            root,
            pages: 0,
            last: 0,
            held: Vec::new(),
            one: None,
        }
    }

    pub fn note(&mut self, address: u64, entry: Entry) {
        if entry.is_present() {
            self.pages += 1;
            self.last = address;
        }
    }

    /// Gives back what the entry holds, once nobody can reach it any more. Answers how many pages that are.
    pub fn release(&mut self, entry: Entry) -> u64 {
        if !entry.is_frame() {
            return 0;
        }
        if sched::cpu_count() == 1 {
            give_back(entry);
        } else {
            self.hold(entry);
        }
        if entry.0 & HUGE != 0 { 512 } else { 1 }
    }

    fn hold(&mut self, entry: Entry) {
        if self.one.is_some() || self.held.len() >= HELD_MAX {
            self.flush();
        }
        let more = self.held.len().max(HELD_FIRST);
        if self.held.len() < self.held.capacity() || self.held.try_reserve(more).is_ok() {
            self.held.push(entry);
        } else {
            self.one = Some(entry);
        }
    }

    /// Flushes what was noted, on all CPUs, and gives the memory back.
    pub fn flush(&mut self) {
        if self.pages > 0 {
            let page = (self.pages == 1).then_some(self.last);
            forget_here(self.root, page);
            forget_elsewhere(self.root);
        }
        self.pages = 0;
        self.held
            .drain(..)
            .chain(self.one.take())
            .for_each(give_back);
    }
}

fn give_back(entry: Entry) {
    if entry.0 & HUGE != 0 {
        frame::put_block(entry.pfn(), frame::HUGE_ORDER);
    } else {
        frame::put(entry.pfn());
    }
}

/// The page's entry has come to name another frame: nobody reaches the old one after this.
pub fn forget_page(root: u64, page: u64) {
    forget_here(root, Some(page));
    forget_elsewhere(root);
}

/// A table without entries has been taken out: CPUs may have remembered where it was.
pub fn forget_tables(root: u64) {
    if sched::cpu_count() > 1 {
        forget_here(root, None);
        forget_elsewhere(root);
    }
}

/// Every CPU that uses the tables has ordered its memory accesses, and fetches its instructions anew, after this.
pub fn synchronize(root: u64) {
    forget_elsewhere(root);
}

/// One page, or all.
fn forget_here(root: u64, page: Option<u64>) {
    if percpu::this().root.load(Ordering::Relaxed) != root {
        return;
    }
    match page {
        Some(page) => gate::invalidate_page(page),
        // SAFETY: the CPU has this very root already.
        #[allow(unsafe_code)]
        None => unsafe { gate::load_cr3(root) },
    }
}

fn forget_elsewhere(root: u64) {
    let count = sched::cpu_count();
    if count == 1 {
        return;
    }
    // The changes come before the look at who uses the tables; who loads them later sees the changes.
    fence(Ordering::SeqCst);
    let me = percpu::this().cpu;
    let mut awaited = [0u64; MAX_CPUS];
    for cpu in (0..count).filter(|&cpu| cpu != me) {
        awaited[cpu as usize] = ask(cpu, root).unwrap_or(0);
    }
    for (cpu, ticket) in (0..).zip(awaited).filter(|(_, ticket)| *ticket != 0) {
        if let Some(block) = percpu::of(cpu) {
            while block.flush_done.load(Ordering::Acquire) < ticket {
                core::hint::spin_loop();
            }
        }
    }
}

/// Asks a CPU that uses the tables to flush; answers what to wait for.
fn ask(cpu: u32, root: u64) -> Option<u64> {
    let block = percpu::of(cpu)?;
    if block.root.load(Ordering::SeqCst) != root {
        return None;
    }
    let ticket = block.flush_wanted.fetch_add(1, Ordering::SeqCst) + 1;
    if block.quiet.load(Ordering::SeqCst) {
        return None;
    }
    faults::linger();
    apic::send(cpu, FLUSH_VECTOR);
    Some(ticket)
}

/// Waits for something without touching the program's memory: until then nobody waits for this CPU to flush.
pub fn quietly<R>(wait: impl FnOnce() -> R) -> R {
    let this = percpu::this();
    // The waits may be nested.
    let outer = this.quiet.swap(true, Ordering::SeqCst);
    let result = wait();
    if !outer {
        this.quiet.store(false, Ordering::SeqCst);
        catch_up();
    }
    result
}

fn catch_up() {
    let this = percpu::this();
    let wanted = this.flush_wanted.load(Ordering::SeqCst);
    if this.flush_done.load(Ordering::SeqCst) < wanted {
        let root = this.root.load(Ordering::Relaxed);
        if root != 0 {
            // SAFETY: the CPU has this very root already.
            #[allow(unsafe_code)]
            unsafe {
                gate::load_cr3(root)
            };
        }
        // The gate may have gone farther meanwhile.
        this.flush_done.fetch_max(wanted, Ordering::SeqCst);
    }
}
