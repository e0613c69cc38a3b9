//! A thread.
#![allow(unsafe_code)]

use super::frame::{FRAME_SIZE, Frame, Vector, XMM_SIZE};
use super::process::Process;
use super::seccomp::Rules;
use super::signal::ThreadSignals;
use super::{family, sched};
use crate::mm::kernel_space::KernelStack;
use crate::mm::space::AddressSpace;
use crate::rank::{self, Ranked};
use crate::{percpu, time};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
use linux_abi::Errno;
use spin::Mutex;
use vfs::{Backoff, FdTable, FsContext, Wake};

unsafe extern "C" {
    fn thread_start();
}

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Runnable,
    Blocked,
    Dead,
}

const RUNNABLE: u8 = 0;
const BLOCKED: u8 = 1;
const DEAD: u8 = 2;
/// Runnable, and not to fall asleep the next time: a wake-up came when it was not asleep.
const WOKEN: u8 = 3;

/// Instead of a CPU's number.
const NOWHERE: u32 = u32::MAX;

/// The CPU time of a thread, in ns.
#[derive(Default)]
struct CpuClock {
    past: u64,
    /// When it began to run, if it does.
    since: Option<u64>,
}

impl CpuClock {
    fn at(&self, now: u64) -> u64 {
        self.past + self.since.map_or(0, |since| now.saturating_sub(since))
    }
}

/// The part that only the scheduler touches, on the CPU that switches.
pub struct Context {
    pub sp: u64,
    pub vector: Vector,
    pub fs_base: u64,
}

pub struct Thread {
    this: Weak<Thread>,
    pub tid: i32,
    pub process: Arc<Process>,
    /// The process's, for good: execve(2) makes a new thread.
    pub space: Arc<AddressSpace>,
    pub files: Arc<FdTable>,
    pub fs: Arc<FsContext>,
    stack: KernelStack,
    pub context: UnsafeCell<Context>,
    state: AtomicU8,
    /// The CPU that runs it or idles on its stack.
    on_cpu: AtomicU32,
    last_cpu: AtomicU32,
    /// It has come to another CPU, and the program has not been told (rseq(2)).
    moved: AtomicBool,
    /// It gives up a CPU that it may not use.
    moving: AtomicBool,
    /// It is to end on its way out, for another thread's execve(2).
    doomed: AtomicBool,
    pub signals: Ranked<ThreadSignals, { rank::THREAD_SIGNALS }>,
    pub clear_child_tid: AtomicU64,
    pub robust_list: AtomicU64,
    pub rseq: Mutex<(u64, u32, u32)>,
    pub name: Mutex<[u8; 16]>,
    clock: Mutex<CpuClock>,
    /// The call whose wait was interrupted last, and when that was to end; until a handler runs.
    pub interrupted: Mutex<Option<(u64, u64)>>,
    pub affinity: AtomicU64,
    /// Only remembered: all that can be set are scheduled alike.
    pub policy: AtomicU32,
    pub backoff: Backoff,
    /// What it may call, if not everything (seccomp(2)).
    pub seccomp: Mutex<Option<Rules>>,
}

// SAFETY: `context` is only touched by the scheduler of the CPU that runs or switches to the thread.
unsafe impl Sync for Thread {}
// SAFETY: as above.
unsafe impl Send for Thread {}

static THREADS: Mutex<BTreeMap<i32, Weak<Thread>>> = Mutex::new(BTreeMap::new());
static NEXT_ID: AtomicI32 = AtomicI32::new(family::INIT);
static ROUNDS: AtomicU32 = AtomicU32::new(0);

/// `kernel.pid_max`
const PID_MAX: i32 = 4_194_304;
/// Where the numbers begin again: those below are left to what was there first.
const PID_AGAIN: i32 = 300;

/// A new process or thread number.
pub fn new_id() -> i32 {
    loop {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        if id >= PID_MAX {
            let _ =
                NEXT_ID.compare_exchange(id + 1, PID_AGAIN, Ordering::Relaxed, Ordering::Relaxed);
            ROUNDS.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        // In the first round none can be in use.
        let first = ROUNDS.load(Ordering::Relaxed) == 0;
        if first || !(family::is_used(id) || THREADS.lock().contains_key(&id)) {
            return id;
        }
    }
}

impl Thread {
    /// A thread of a process that will leave the kernel with `frame` and the given vector state. It does not run yet.
    pub fn new(
        tid: i32,
        process: &Arc<Process>,
        frame: &Frame,
        xmm: &[u128; 16],
        vector: Vector,
        fs_base: u64,
    ) -> Result<Arc<Self>, Errno> {
        let with = {
            let parts = process.parts.lock();
            let (space, files) = (parts.space.get().clone(), parts.files.get().clone());
            (space, files, parts.fs.clone())
        };
        let thread = Self::build(tid, process, with, frame, (xmm, vector, fs_base))?;
        thread.publish();
        Ok(thread)
    }

    /// One that is in no table yet.
    pub fn build(
        tid: i32,
        process: &Arc<Process>,
        (space, files, fs): (Arc<AddressSpace>, Arc<FdTable>, Arc<FsContext>),
        frame: &Frame,
        (xmm, vector, fs_base): (&[u128; 16], Vector, u64),
    ) -> Result<Arc<Self>, Errno> {
        let stack = KernelStack::new()?;
        let frame_at = stack.top() - FRAME_SIZE;
        let xmm_at = frame_at - XMM_SIZE;
        // What `context_switch` pops: six registers, then the return address.
        let sp = xmm_at - 7 * 8;
        // SAFETY: all of it lies on the new stack, which is mapped and unused.
        unsafe {
            (frame_at as *mut Frame).write(*frame);
            (xmm_at as *mut [u128; 16]).write(*xmm);
            (sp as *mut [u64; 7]).write([0, 0, 0, 0, 0, 0, thread_start as *const () as u64]);
        }
        Ok(Arc::new_cyclic(|this| Self {
            this: this.clone(),
            tid,
            process: process.clone(),
            space,
            files,
            fs,
            stack,
            context: UnsafeCell::new(Context {
                sp,
                vector,
                fs_base,
            }),
            // A signal that comes before it is in a queue must not put it into one.
            state: AtomicU8::new(RUNNABLE),
            on_cpu: AtomicU32::new(NOWHERE),
            last_cpu: AtomicU32::new(percpu::this().cpu),
            moved: AtomicBool::new(false),
            moving: AtomicBool::new(false),
            doomed: AtomicBool::new(false),
            signals: Ranked::new(ThreadSignals::default()),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            rseq: Mutex::new((0, 0, 0)),
            name: Mutex::new([0; 16]),
            clock: Mutex::default(),
            interrupted: Mutex::new(None),
            affinity: AtomicU64::new(u64::MAX),
            policy: AtomicU32::new(0),
            backoff: Backoff::default(),
            seccomp: Mutex::new(None),
        }))
    }

    /// Puts it into the tables.
    pub fn publish(&self) {
        THREADS.lock().insert(self.tid, self.this.clone());
        self.process.threads.lock().push(self.this.clone());
    }

    /// The thread with a number.
    #[must_use]
    pub fn find(tid: i32) -> Option<Arc<Self>> {
        THREADS
            .lock()
            .get(&tid)?
            .upgrade()
            .filter(|thread| thread.state() != State::Dead)
    }

    /// How many there are.
    #[must_use]
    pub fn count() -> usize {
        THREADS.lock().len()
    }

    #[must_use]
    pub fn arc(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    #[must_use]
    pub fn waker(&self) -> Weak<dyn Wake> {
        self.this.clone()
    }

    #[must_use]
    pub fn kstack_top(&self) -> u64 {
        self.stack.top()
    }

    #[must_use]
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            BLOCKED => State::Blocked,
            DEAD => State::Dead,
            _ => State::Runnable,
        }
    }

    pub fn set_state(&self, state: State) {
        let state = match state {
            State::Runnable => RUNNABLE,
            State::Blocked => BLOCKED,
            State::Dead => DEAD,
        };
        self.state.store(state, Ordering::Release);
    }

    fn change_state(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// The running thread blocks, unless a wake-up came early: that one is taken instead.
    pub fn fall_asleep(&self) -> bool {
        self.change_state(RUNNABLE, BLOCKED) || !self.change_state(WOKEN, RUNNABLE)
    }

    /// Takes a wake-up that came early.
    pub fn take_wake(&self) {
        self.change_state(WOKEN, RUNNABLE);
    }

    /// Lets the thread run, now or when it next wants to sleep.
    pub fn wake_up(&self) {
        // What it waits for is so before the look at its state; it looks in the other order.
        fence(Ordering::SeqCst);
        loop {
            let done = match self.state.load(Ordering::SeqCst) {
                BLOCKED => {
                    let woken = self.change_state(BLOCKED, RUNNABLE);
                    if woken && let Some(thread) = self.arc() {
                        sched::enqueue_woken(thread);
                    }
                    woken
                }
                RUNNABLE => self.change_state(RUNNABLE, WOKEN),
                _ => true,
            };
            if done {
                return;
            }
        }
    }

    /// The CPU on which it runs or whose idling uses its stack.
    #[must_use]
    pub fn on_cpu(&self) -> Option<u32> {
        let cpu = self.on_cpu.load(Ordering::SeqCst);
        (cpu != NOWHERE).then_some(cpu)
    }

    /// Where it ran last.
    #[must_use]
    pub fn last_cpu(&self) -> u32 {
        self.last_cpu.load(Ordering::Relaxed)
    }

    /// The scheduler: it is about to run on this CPU.
    pub fn enter_cpu(&self, cpu: u32) {
        if self.last_cpu.swap(cpu, Ordering::Relaxed) != cpu {
            self.moved.store(true, Ordering::Relaxed);
        }
        // With a fence: who queued a signal before this is seen by `has_work`, who does so later sees this.
        self.on_cpu.swap(cpu, Ordering::SeqCst);
    }

    /// The scheduler: its context is saved, and its stack is used no more. True: it wants another CPU.
    #[must_use]
    pub fn leave_cpu(&self) -> bool {
        let moving = self.moving.swap(false, Ordering::Relaxed);
        self.on_cpu.swap(NOWHERE, Ordering::SeqCst);
        moving
    }

    /// It will want another CPU once its stack is free.
    pub fn start_move(&self) {
        self.moving.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed)
    }

    /// Whether the program is to be told that it has come to another CPU.
    pub fn take_moved(&self) -> bool {
        self.has_moved() && self.moved.swap(false, Ordering::Relaxed)
    }

    /// CPU time used, nanoseconds.
    #[must_use]
    pub fn cpu_time(&self) -> u64 {
        self.clock.lock().at(time::monotonic())
    }

    /// The scheduler: it begins to use a CPU.
    pub fn start_clock(&self, now: u64) {
        self.clock.lock().since = Some(now);
    }

    /// The scheduler: it ceases to use a CPU.
    pub fn pause_clock(&self, now: u64) {
        let mut clock = self.clock.lock();
        clock.past = clock.at(now);
        clock.since = None;
    }

    /// Takes the thread out of the tables. Answers whether it was the last of its process.
    pub fn forget(&self) -> bool {
        THREADS.lock().remove(&self.tid);
        self.process
            .past_cpu
            .fetch_add(self.cpu_time(), Ordering::Relaxed);
        let mut threads = self.process.threads.lock();
        threads.retain(|other| !other.ptr_eq(&self.this));
        threads.is_empty()
    }

    /// Has it end on its way out.
    pub fn doom(&self) {
        self.doomed.store(true, Ordering::SeqCst);
        super::signal::note_pending(self);
    }

    /// Whether it is to end on its way out, alone or with its process.
    #[must_use]
    pub fn is_doomed(&self) -> bool {
        self.doomed.load(Ordering::Relaxed) || self.process.ending().is_some()
    }
}

impl Wake for Thread {
    fn wake(&self, _events: u32) {
        self.wake_up();
    }
}
