use linux_abi::{CloneFlags, Errno, SeccompFlags, Signal, SysResult};
use net::bpf::Program;

/// clone(2) and clone3(2), checked: the flags are consistent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloneRequest {
    pub flags: CloneFlags,
    /// What the parent gets when the child ends; none for threads and for 0.
    pub exit_signal: Option<Signal>,
    /// The child's stack pointer; none: the parent's (only without `CLONE_VM`, or with `CLONE_VFORK`).
    pub stack: Option<u64>,
    /// Where `CLONE_PARENT_SETTID` stores.
    pub parent_tid: u64,
    /// Where `CLONE_CHILD_SETTID` stores and `CLONE_CHILD_CLEARTID` clears.
    pub child_tid: u64,
    /// The FS base, with `CLONE_SETTLS`.
    pub tls: u64,
    /// Where `CLONE_PIDFD` stores.
    pub pidfd: u64,
}

/// What seccomp(2) does to the calling thread.
pub enum SeccompChange {
    Strict,
    Filter {
        program: Program,
        flags: SeccompFlags,
    },
}

/// A futex: its address, and whether the program said that no other process uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutexWord {
    pub addr: u64,
    pub private: bool,
}

/// `FUTEX_WAKE_OP`: what is done to the second word and when its waiters are woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeOp {
    pub op: FutexOp,
    pub op_arg: u32,
    pub compare: core::cmp::Ordering,
    /// Wake when the old value stands to `cmp_arg` as `compare` says...
    pub negate: bool,
    pub cmp_arg: i32,
}

/// The operation of a [`WakeOp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FutexOp {
    Set,
    Add,
    Or,
    AndNot,
    Xor,
}

impl FutexOp {
    /// The new value of the word.
    #[must_use]
    pub const fn apply(self, old: u32, arg: u32) -> u32 {
        match self {
            Self::Set => arg,
            Self::Add => old.wrapping_add(arg),
            Self::Or => old | arg,
            Self::AndNot => old & !arg,
            Self::Xor => old ^ arg,
        }
    }
}

impl WakeOp {
    /// Whether the second word's waiters are to be woken, given its old value.
    #[must_use]
    pub fn holds(&self, old: u32) -> bool {
        ((old as i32).cmp(&self.cmp_arg) == self.compare) != self.negate
    }
}

/// membarrier(2) commands that do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembarrierCommand {
    Global,
    GlobalExpedited,
    RegisterGlobalExpedited,
    PrivateExpedited,
    RegisterPrivateExpedited,
    PrivateExpeditedSyncCore,
    RegisterPrivateExpeditedSyncCore,
}

/// Threads, futexes, scheduling.
pub trait Threads {
    fn gettid(&self) -> i32;

    /// The child's tid, to the parent. ENOSYS (with `unsupported_part`) for a kind of child that this kernel cannot make.
    fn clone(&self, request: &CloneRequest) -> Result<i32, Errno>;

    /// Ends the calling thread; `status` is the low byte of exit(2). May return (any value), if the way out of the system
    /// call ends the thread.
    fn exit(&self, status: u8) -> SysResult;

    /// Ends the process.
    fn exit_group(&self, status: u8) -> SysResult;

    /// The word that is cleared and woken when the thread ends. Answers the tid.
    fn set_tid_address(&self, addr: u64) -> i32;

    fn set_robust_list(&self, head: u64);

    /// The head of a thread's list; ESRCH.
    fn get_robust_list(&self, tid: i32) -> Result<u64, Errno>;

    /// Registers (or with `unregister` forgets) the area. The shim has checked size and alignment. EBUSY: there is one
    /// already, the same; EINVAL: another; EPERM: the signature differs.
    fn rseq(&self, addr: u64, len: u32, unregister: bool, signature: u32) -> Result<(), Errno>;

    /// Sleeps if the word holds `expected`. EAGAIN if it does not; ETIMEDOUT after the deadline (CLOCK_MONOTONIC ns);
    /// ERESTARTSYS on a signal.
    fn futex_wait(
        &self,
        word: FutexWord,
        expected: u32,
        bitset: u32,
        deadline: Option<u64>,
    ) -> Result<(), Errno>;

    /// How many were woken.
    fn futex_wake(&self, word: FutexWord, count: u32, bitset: u32) -> Result<usize, Errno>;

    /// Wakes `wake` and moves up to `requeue` more to the other word; EAGAIN if `expected` is given and not there.
    /// Answers how many were woken and how many moved.
    fn futex_requeue(
        &self,
        from: FutexWord,
        to: FutexWord,
        wake: u32,
        requeue: u32,
        expected: Option<u32>,
    ) -> Result<(usize, usize), Errno>;

    /// `FUTEX_WAKE_OP`: changes the second word in one step, wakes on the first, and on the second if `op` holds.
    fn futex_wake_op(
        &self,
        word: FutexWord,
        wake: u32,
        second: FutexWord,
        wake_second: u32,
        op: WakeOp,
    ) -> Result<usize, Errno>;

    /// `FUTEX_LOCK_PI`: the word holds the owner's tid; sleeps until the caller is the owner. With `try_only` EAGAIN instead
    /// of sleeping. EDEADLK if it is already; ESRCH if the owner does not exist; ETIMEDOUT after the deadline
    /// (CLOCK_MONOTONIC ns). A kernel without it answers ENOSYS, which C libraries take for "not offered".
    fn futex_lock_pi(
        &self,
        _word: FutexWord,
        _try_only: bool,
        _deadline: Option<u64>,
    ) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    /// `FUTEX_UNLOCK_PI`: hands the word to the next waiter. EPERM if the caller does not own it.
    fn futex_unlock_pi(&self, _word: FutexWord) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    /// futex_waitv(2): sleeps while each word holds what stands beside it; answers which was woken. Errors as of `futex_wait`.
    fn futex_wait_many(
        &self,
        words: &[(FutexWord, u32)],
        deadline: Option<u64>,
    ) -> Result<usize, Errno>;

    /// `FUTEX_WAIT_REQUEUE_PI`: sleeps while `condition` holds `expected`, until the caller owns `mutex`.
    fn futex_wait_requeue_pi(
        &self,
        condition: FutexWord,
        expected: u32,
        deadline: Option<u64>,
        mutex: FutexWord,
    ) -> Result<(), Errno>;

    /// `FUTEX_CMP_REQUEUE_PI`: one who waits for `condition` gets `mutex`, or queues for it, and `limit` more queue for it.
    /// EAGAIN if `expected` is not there; EINVAL if they wait otherwise. Answers how many there were.
    fn futex_requeue_pi(
        &self,
        condition: FutexWord,
        mutex: FutexWord,
        limit: u32,
        expected: u32,
    ) -> Result<usize, Errno>;

    fn sched_yield(&self);

    /// How many processors there are.
    fn cpu_count(&self) -> usize;

    /// The processor the thread runs on.
    fn current_cpu(&self) -> u32;

    /// The processors that a thread (0: the caller) may use, one bit each. ESRCH.
    fn sched_getaffinity(&self, tid: i32) -> Result<u64, Errno>;

    /// `mask` holds at least one existing processor and no others. ESRCH.
    fn sched_setaffinity(&self, tid: i32, mask: u64) -> Result<(), Errno>;

    /// The policy of a thread (0: the caller), as sched_getscheduler(2) tells it. ESRCH.
    fn sched_policy(&self, tid: i32) -> Result<u32, Errno>;

    /// `policy` is a valid one, perhaps with `SCHED_RESET_ON_FORK`. ESRCH.
    fn set_sched_policy(&self, tid: i32, policy: u32) -> Result<(), Errno>;

    /// Whether `tid` is a thread (0: the caller).
    fn thread_exists(&self, tid: i32) -> bool;

    /// Whether it is one of the calling process.
    fn is_own_thread(&self, tid: i32) -> bool;

    /// The name in /proc and in debuggers (`PR_GET_NAME`), NUL-padded.
    fn thread_name(&self) -> [u8; 16];

    /// `PR_SET_NAME`; the last byte is 0.
    fn set_thread_name(&self, name: [u8; 16]);

    fn membarrier(&self, command: MembarrierCommand) -> Result<(), Errno>;

    /// seccomp(2): from now on the calling thread's calls are filtered. EINVAL: it is in the other mode. ENOMEM: the filters
    /// together are too long. With `TSYNC` those of all threads of the process; the answer is the number of one that has
    /// filters of its own, or ESRCH.
    fn seccomp(&self, change: SeccompChange) -> SysResult;

    /// seccomp(2) for prctl(2), by itself no reason to have it in an image.
    fn seccomp_if_there(&self, op: u32, args: u64) -> SysResult;

    /// `PR_GET_SECCOMP`
    fn seccomp_mode(&self) -> u32;

    fn fs_base(&self) -> u64;

    /// EPERM outside the program's half.
    fn set_fs_base(&self, addr: u64) -> Result<(), Errno>;

    fn gs_base(&self) -> u64;

    /// EPERM also where the kernel itself needs GS.
    fn set_gs_base(&self, addr: u64) -> Result<(), Errno>;
}
