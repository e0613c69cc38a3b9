//! Processes, threads, limits.

abi_struct! {
    /// `struct clone_args`, clone3(2), newest size.
    CloneArgs [88] {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    /// `struct robust_list_head`, get_robust_list(2).
    RobustListHead [24] { list: u64, futex_offset: i64, list_op_pending: u64, }
    /// `struct rseq` as far as the kernel wrote it first.
    Rseq [32] {
        cpu_id_start: u32,
        cpu_id: u32,
        rseq_cs: u64,
        flags: u32,
        node_id: u32,
        mm_cid: u32,
        pad: u32,
    }
    /// `struct rseq_cs`.
    RseqCs [32] { version: u32, flags: u32, start_ip: u64, post_commit_offset: u64, abort_ip: u64, }
    /// `struct rlimit64`; on x86-64 also `struct rlimit`.
    Rlimit64 [16] { cur: u64, max: u64, }
    /// `struct rusage`.
    Rusage [144] {
        utime: super::Timeval,
        stime: super::Timeval,
        maxrss: i64,
        ixrss: i64,
        idrss: i64,
        isrss: i64,
        minflt: i64,
        majflt: i64,
        nswap: i64,
        inblock: i64,
        oublock: i64,
        msgsnd: i64,
        msgrcv: i64,
        nsignals: i64,
        nvcsw: i64,
        nivcsw: i64,
    }
    /// `struct sched_attr`, sched_setattr(2), first published size.
    SchedAttr [48] {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    /// `struct __user_cap_header_struct`, capget(2).
    CapHeader [8] { version: u32, pid: i32, }
    /// `struct __user_cap_data_struct`.
    CapData [12] { effective: u32, permitted: u32, inheritable: u32, }
    /// `struct cachestat_range`, cachestat(2).
    CachestatRange [16] { off: u64, len: u64, }
    /// `struct cachestat`.
    Cachestat [40] {
        nr_cache: u64,
        nr_dirty: u64,
        nr_writeback: u64,
        nr_evicted: u64,
        nr_recently_evicted: u64,
    }
    /// `struct futex_waitv`.
    FutexWaitv [24] { val: u64, uaddr: u64, flags: u32, reserved: u32, }
}

/// No limit, getrlimit(2).
pub const RLIM_INFINITY: u64 = u64::MAX;
/// How many limits there are.
pub const RLIM_NLIMITS: usize = 16;

/// `struct sock_fprog`: a program of classic BPF.
#[derive(
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Debug,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[repr(C)]
pub struct SockFprog {
    pub len: u16,
    pub _pad: [u16; 3],
    pub filter: u64,
}
