//! A thread.
#![allow(unsafe_code)]

use super::frame::{FRAME_SIZE, Frame, Vector, XMM_SIZE};
use super::process::Process;
use super::sched;
use super::signal::ThreadSignals;
use crate::mm::kernel_space::KernelStack;
use crate::time;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use linux_abi::Errno;
use spin::Mutex;
use vfs::Wake;

unsafe extern "C" {
    fn thread_start();
}

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    Runnable,
    Blocked,
    Dead,
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
    stack: KernelStack,
    pub context: UnsafeCell<Context>,
    state: AtomicU8,
    /// A wake-up that came while the thread was not asleep yet.
    woken: AtomicBool,
    pub signals: Mutex<ThreadSignals>,
    pub clear_child_tid: AtomicU64,
    pub robust_list: AtomicU64,
    pub rseq: Mutex<(u64, u32, u32)>,
    pub name: Mutex<[u8; 16]>,
    pub cpu_ns: AtomicU64,
    pub since: AtomicU64,
    pub exit_status: AtomicI32,
    pub affinity: AtomicU64,
}

// SAFETY: `context` is only touched by the scheduler of the CPU that runs or switches to the thread.
unsafe impl Sync for Thread {}
// SAFETY: as above.
unsafe impl Send for Thread {}

static THREADS: Mutex<BTreeMap<i32, Weak<Thread>>> = Mutex::new(BTreeMap::new());
static NEXT_ID: AtomicI32 = AtomicI32::new(1);

/// A new process or thread number.
pub fn new_id() -> i32 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl Thread {
    /// A thread that will leave the kernel with `frame` and the given vector state. It does not run before `start`.
    pub fn new(
        tid: i32,
        process: &Arc<Process>,
        frame: &Frame,
        xmm: &[u128; 16],
        vector: Vector,
        fs_base: u64,
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
        let thread = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            tid,
            process: process.clone(),
            stack,
            context: UnsafeCell::new(Context {
                sp,
                vector,
                fs_base,
            }),
            state: AtomicU8::new(State::Blocked as u8),
            woken: AtomicBool::new(false),
            signals: Mutex::new(ThreadSignals::default()),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            rseq: Mutex::new((0, 0, 0)),
            name: Mutex::new([0; 16]),
            cpu_ns: AtomicU64::new(0),
            since: AtomicU64::new(0),
            exit_status: AtomicI32::new(0),
            affinity: AtomicU64::new(u64::MAX),
        });
        THREADS.lock().insert(tid, Arc::downgrade(&thread));
        process.threads.lock().push(Arc::downgrade(&thread));
        Ok(thread)
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
            0 => State::Runnable,
            1 => State::Blocked,
            _ => State::Dead,
        }
    }

    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Takes a wake-up that came early.
    pub fn take_wake(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    /// Lets the thread run, now or when it next wants to sleep.
    pub fn wake_up(&self) {
        if self.state() == State::Blocked {
            if let Some(thread) = self.arc() {
                self.set_state(State::Runnable);
                sched::enqueue(thread);
            }
        } else {
            self.woken.store(true, Ordering::Release);
        }
    }

    /// CPU time used, nanoseconds.
    #[must_use]
    pub fn cpu_time(&self) -> u64 {
        let past = self.cpu_ns.load(Ordering::Relaxed);
        let running = core::ptr::eq(self, crate::percpu::current());
        if running {
            past + time::monotonic().saturating_sub(self.since.load(Ordering::Relaxed))
        } else {
            past
        }
    }

    /// Takes the thread out of the tables.
    pub fn forget(&self) {
        THREADS.lock().remove(&self.tid);
        self.process
            .threads
            .lock()
            .retain(|other| !other.ptr_eq(&self.this));
        self.process
            .past_cpu
            .fetch_add(self.cpu_time(), Ordering::Relaxed);
    }
}

impl Wake for Thread {
    fn wake(&self, _events: u32) {
        self.wake_up();
    }
}
