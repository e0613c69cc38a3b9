//! A process: what its threads share.

use super::family::Exit;
use super::shared::Shared;
use super::signal::ProcessSignals;
use super::thread::Thread;
use crate::mm::space::AddressSpace;
use crate::rank::{self, Ranked};
use crate::time;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};
use linux_abi::Signal;
use spin::Mutex;
use syscall_shim::kernel::Usage;
use syscall_shim::state::ProcessState;
use vfs::{FdTable, FsContext, Place, WaitList};

/// What execve(2) set, for /proc.
#[derive(Clone, Default)]
pub struct ExecInfo {
    pub exe: Option<Place>,
    /// Where the argument, environment and auxiliary vector strings lie in the program's memory.
    pub args: Range<u64>,
    pub env: Range<u64>,
    pub auxv: Range<u64>,
    pub brk_start: u64,
    pub stack_top: u64,
    /// Where the vDSO was mapped; 0 if its unwinder would not look there: programs that are linked with musl statically.
    pub vdso: u64,
}

/// What a thread needs at every step, and takes along when it is made. A process has it for those who look at it from outside.
pub struct Parts {
    pub space: Shared<AddressSpace>,
    pub files: Shared<FdTable>,
    pub fs: Arc<FsContext>,
}

pub struct Process {
    pub pid: i32,
    /// Changed by `family` only; 0: none.
    pub ppid: AtomicI32,
    pub parts: Mutex<Parts>,
    pub state: ProcessState,
    pub signals: Ranked<ProcessSignals, { rank::PROCESS_SIGNALS }>,
    pub threads: Mutex<Vec<Weak<Thread>>>,
    pub exec: Mutex<ExecInfo>,
    /// The first thread's, once there is none any more.
    pub name: Mutex<[u8; 16]>,
    pub timers: super::timer::ProcessTimers,
    /// CPU time of threads that have ended, nanoseconds.
    pub past_cpu: AtomicU64,
    pub switches: AtomicU64,
    pub minor_faults: AtomicU64,
    /// The most memory that an address space held which it has left, in KiB.
    pub past_peak: AtomicU64,
    /// What children used that have been waited for.
    pub children_usage: Mutex<Usage>,
    /// The leader's exit(2) status, should the last thread end so.
    pub leader_status: AtomicI32,
    /// All threads are to end: with [`ENDING`], what for.
    ending: AtomicU32,
    /// The signal that has stopped it; 0: none.
    stopped: AtomicU8,
    /// What a parent that asks is still to hear of stopping and going on.
    news: Mutex<Option<News>>,
    /// Who goes on first is to tell the parent.
    pub tells_going_on: AtomicBool,
    /// What the parent is told by when it ends; 0: nothing.
    pub exit_signal: AtomicU8,
    pub has_execed: AtomicBool,
    /// A thread of it waits for the others to end.
    pub is_execing: AtomicBool,
    /// For wait4(2) and its kin.
    pub child_events: WaitList,
    /// For pidfds.
    pub ended: WaitList,
    /// A thread that waits until the memory that it lent (vfork(2)) is not used any more.
    pub lender: Mutex<Option<Weak<Thread>>>,
    /// Nanoseconds since boot.
    pub start_time: u64,
}

/// A change that is not the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    Stopped(Signal),
    Continued,
}

/// Marks [`Process::ending`]; the low half is the wait status.
const ENDING: u32 = 1 << 16;

impl Process {
    #[must_use]
    pub fn new(pid: i32, parts: Parts, state: ProcessState) -> Arc<Self> {
        Arc::new(Self {
            pid,
            ppid: AtomicI32::new(0),
            parts: Mutex::new(parts),
            state,
            signals: Ranked::new(ProcessSignals::default()),
            threads: Mutex::new(Vec::new()),
            exec: Mutex::new(ExecInfo::default()),
            name: Mutex::new([0; 16]),
            timers: super::timer::ProcessTimers::default(),
            past_cpu: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            minor_faults: AtomicU64::new(0),
            past_peak: AtomicU64::new(0),
            children_usage: Mutex::new(Usage::default()),
            leader_status: AtomicI32::new(0),
            ending: AtomicU32::new(0),
            stopped: AtomicU8::new(0),
            news: Mutex::new(None),
            tells_going_on: AtomicBool::new(false),
            exit_signal: AtomicU8::new(Signal::SIGCHLD.number()),
            has_execed: AtomicBool::new(false),
            is_execing: AtomicBool::new(false),
            child_events: WaitList::new(),
            ended: WaitList::new(),
            lender: Mutex::new(None),
            start_time: time::monotonic(),
        })
    }

    #[must_use]
    pub fn space(&self) -> Arc<AddressSpace> {
        self.parts.lock().space.get().clone()
    }

    #[must_use]
    pub fn files(&self) -> Arc<FdTable> {
        self.parts.lock().files.get().clone()
    }

    #[must_use]
    pub fn fs(&self) -> Arc<FsContext> {
        self.parts.lock().fs.clone()
    }

    /// The live threads, the leader first if it lives.
    #[must_use]
    pub fn live_threads(&self) -> Vec<Arc<Thread>> {
        self.threads
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// CPU time of all threads, nanoseconds.
    #[must_use]
    pub fn cpu_time(&self) -> u64 {
        let live: u64 = self
            .live_threads()
            .iter()
            .map(|thread| thread.cpu_time())
            .sum();
        live + self.past_cpu.load(Ordering::Relaxed)
    }

    /// Why it is ending, if it is.
    #[must_use]
    pub fn ending(&self) -> Option<Exit> {
        let word = self.ending.load(Ordering::Relaxed);
        (word & ENDING != 0).then_some(Exit(word as u16))
    }

    /// All its threads are to end. The first reason counts.
    pub fn begin_ending(&self, exit: Exit) {
        let word = ENDING | u32::from(exit.0);
        let _ = self
            .ending
            .compare_exchange(0, word, Ordering::SeqCst, Ordering::SeqCst);
        self.live_threads()
            .iter()
            .for_each(|thread| super::signal::note_pending(thread));
    }

    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) != 0
    }

    /// Has all threads stay where they leave the kernel.
    pub fn stop(&self, signal: Signal) {
        self.stopped.store(signal.number(), Ordering::SeqCst);
        self.set_news(News::Stopped(signal));
        self.live_threads()
            .iter()
            .for_each(|thread| super::signal::note_pending(thread));
    }

    /// Has them go on. Answers whether it was stopped.
    pub fn resume(&self) -> bool {
        let was_stopped = self.stopped.swap(0, Ordering::SeqCst) != 0;
        if was_stopped {
            self.live_threads()
                .iter()
                .for_each(|thread| super::signal::note_pending(thread));
        }
        was_stopped
    }

    pub fn set_news(&self, news: News) {
        *self.news.lock() = Some(news);
    }

    /// The news, if they are of a kind that is asked for; with `take` nobody hears of them again.
    pub fn news(&self, wanted: impl Fn(News) -> bool, take: bool) -> Option<News> {
        let mut news = self.news.lock();
        let found = news.filter(|news| wanted(*news));
        if found.is_some() && take {
            *news = None;
        }
        found
    }

    /// Nobody uses the memory any more that another process lent.
    pub fn give_back_memory(&self) {
        let lender = self.lender.lock().take();
        if let Some(lender) = lender.and_then(|lender| lender.upgrade()) {
            lender.wake_up();
        }
    }
}
