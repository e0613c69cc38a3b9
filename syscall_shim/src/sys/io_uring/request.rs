//! A request on its way.
use super::chain::Chain;
use super::instance::Uring;
use crate::kernel::Kernel;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use linux_abi::raw::io_uring::io_uring_sqe_flags_bit::IOSQE_FIXED_FILE_BIT;
use linux_abi::{Errno, IoUringSqe};
use spin::{Mutex, Once};
use vfs::{File, Host, Wake};

/// How an attempt went.
pub(super) enum Step {
    /// It is over: the answer, and whether what is linked to it may run.
    Done(i32, bool),
    /// It goes on when the file is ready or the time has come.
    Wait,
    /// It has an answer, and goes on.
    More(i32),
}

impl Step {
    pub(super) fn of(answer: Result<usize, Errno>) -> Self {
        match answer {
            Ok(value) => Self::Done(value as i32, true),
            Err(errno) => Self::Done(negative(errno), false),
        }
    }
}

/// What a completion says of an error. A signal does not restart what is not a call.
pub(super) fn negative(errno: Errno) -> i32 {
    match errno {
        Errno::ERESTARTSYS | Errno::ERESTARTNOHAND => -(Errno::EINTR.raw() as i32),
        errno => -(errno.raw() as i32),
    }
}

/// When a timeout is over.
#[derive(Clone, Copy)]
pub(super) struct Timer {
    pub(super) clock: u32,
    pub(super) deadline: u64,
}

pub(super) struct Request {
    pub(super) sqe: IoUringSqe,
    /// The `IORING_OP_LINK_TIMEOUT` behind it, if there is one.
    pub(super) limit: Option<IoUringSqe>,
    /// What is linked to it.
    pub(super) rest: Mutex<Chain>,
    pub(super) ring: Weak<Uring>,
    pub(super) this: Weak<Request>,
    file: Once<Arc<File>>,
    /// Its own timeout, or that of `limit`.
    pub(super) timer: Mutex<Option<Timer>>,
    /// A timeout that is over after so many completions of the instance.
    pub(super) target: AtomicU64,
    /// How many bytes have been moved by attempts before; for connect: whether it has begun.
    pub(super) done: AtomicUsize,
    ready: AtomicBool,
    claimed: AtomicBool,
}

impl Request {
    pub(super) fn new(ring: &Arc<Uring>, sqe: IoUringSqe, limit: Option<IoUringSqe>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            sqe,
            limit,
            rest: Mutex::new(Chain::new()),
            ring: Arc::downgrade(ring),
            this: this.clone(),
            file: Once::new(),
            timer: Mutex::new(None),
            target: AtomicU64::new(u64::MAX),
            done: AtomicUsize::new(0),
            ready: AtomicBool::new(false),
            claimed: AtomicBool::new(false),
        })
    }

    fn is_fixed(&self) -> bool {
        self.sqe.flags & (1 << IOSQE_FIXED_FILE_BIT as u8) != 0
    }

    /// The open file that it is about; the same one for all attempts.
    pub(super) fn file<K: Kernel>(&self, k: &K) -> Result<&Arc<File>, Errno> {
        self.file.try_call_once(|| {
            let file = if self.is_fixed() {
                let ring = self.ring.upgrade().ok_or(Errno::EBADF)?;
                ring.fixed_file(self.sqe.fd)?
            } else {
                k.files().get(self.sqe.fd)?
            };
            if file.is_path() {
                Err(Errno::EBADF)
            } else {
                Ok(file)
            }
        })
    }

    /// The same, if an attempt has come so far as to need it.
    pub(super) fn open_file(&self) -> Option<&Arc<File>> {
        self.file.get()
    }

    /// The descriptor, for what is done by a call that takes one.
    pub(super) fn descriptor(&self) -> Result<i32, Errno> {
        if self.is_fixed() {
            Err(Errno::EBADF)
        } else {
            Ok(self.sqe.fd)
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Acquire)
    }

    /// Tells the program to enter the kernel.
    pub(super) fn set_ready(&self) {
        self.ready.store(true, Release);
    }

    /// So many completions have been posted.
    pub(super) fn count(&self, posted: u64) {
        if posted >= self.target.load(Relaxed) {
            self.set_ready();
        }
    }

    /// Whether the caller, and no other thread, may go on with it now.
    pub(super) fn claim(&self) -> bool {
        let claimed = !self.claimed.swap(true, AcqRel);
        if claimed {
            self.ready.store(false, Release);
        }
        claimed
    }

    pub(super) fn unclaim(&self) {
        self.claimed.store(false, Release);
    }

    /// Asks to be told when the file is ready and the time has come.
    pub(super) fn watch(&self, host: &Arc<dyn Host>) {
        let Some(this) = self.this.upgrade() else {
            return;
        };
        let waker: Arc<dyn Wake> = this;
        if let Some(list) = self.file.get().and_then(|file| file.wait_list()) {
            list.add(&waker);
        }
        if let Some(Timer { clock, deadline }) = *self.timer.lock() {
            host.wake_at(clock, deadline, Arc::downgrade(&waker));
        }
    }

    /// The opposite, as far as needed.
    pub(super) fn unwatch(&self) {
        let list = self.file.get().and_then(|file| file.wait_list());
        if let (Some(list), Some(this)) = (list, self.this.upgrade()) {
            let waker: Arc<dyn Wake> = this;
            list.remove(&waker);
        }
    }

    /// Whether its time is over.
    pub(super) fn is_late(&self, host: &Arc<dyn Host>) -> bool {
        let timer = *self.timer.lock();
        timer.is_some_and(|timer| host.clock(timer.clock) >= timer.deadline)
    }
}

impl Wake for Request {
    fn wake(&self, _events: u32) {
        self.set_ready();
        if let Some(ring) = self.ring.upgrade() {
            ring.nudge();
        }
    }
}
