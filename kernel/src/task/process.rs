//! A process: what its threads share.

use super::signal::ProcessSignals;
use super::thread::Thread;
use crate::mm::space::AddressSpace;
use crate::rank::{self, Ranked};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use spin::Mutex;
use syscall_shim::state::ProcessState;
use vfs::{FdTable, FsContext, Place};

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
}

pub struct Process {
    pub pid: i32,
    pub ppid: i32,
    pub space: Arc<AddressSpace>,
    pub files: Arc<FdTable>,
    pub fs: Arc<FsContext>,
    pub state: ProcessState,
    pub signals: Ranked<ProcessSignals, { rank::PROCESS_SIGNALS }>,
    pub threads: Mutex<Vec<Weak<Thread>>>,
    pub exec: Mutex<ExecInfo>,
    pub timers: super::timer::ProcessTimers,
    /// CPU time of threads that have ended, nanoseconds.
    pub past_cpu: AtomicU64,
    pub switches: AtomicU64,
    pub minor_faults: AtomicU64,
    /// The leader's exit(2) status, should the last thread end so.
    pub leader_status: AtomicI32,
}

impl Process {
    #[must_use]
    pub fn new(
        pid: i32,
        space: Arc<AddressSpace>,
        files: Arc<FdTable>,
        fs: Arc<FsContext>,
        state: ProcessState,
    ) -> Arc<Self> {
        Arc::new(Self {
            pid,
            ppid: 0,
            space,
            files,
            fs,
            state,
            signals: Ranked::new(ProcessSignals::default()),
            threads: Mutex::new(Vec::new()),
            exec: Mutex::new(ExecInfo::default()),
            timers: super::timer::ProcessTimers::default(),
            past_cpu: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            minor_faults: AtomicU64::new(0),
            leader_status: AtomicI32::new(0),
        })
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
}
