//! Asynchronous I/O: io_submit(2) and io_uring_setup(2).

abi_struct! {
    /// `struct iocb`.
    Iocb [64] {
        data: u64,
        key: u32,
        rw_flags: u32,
        opcode: u16,
        reqprio: i16,
        fildes: i32,
        buf: u64,
        nbytes: u64,
        offset: i64,
        reserved: u64,
        flags: u32,
        resfd: i32,
    }
    /// `struct io_event`.
    IoEvent [32] { data: u64, obj: u64, res: i64, res2: i64, }
    /// `struct __aio_sigset` of io_pgetevents(2), and the sixth argument of io_uring_enter(2) in disguise.
    AioSigset [16] { mask: u64, size: u64, }
    /// `struct io_uring_sqe`. Unions are named after their first use.
    IoUringSqe [64] {
        opcode: u8,
        flags: u8,
        ioprio: u16,
        fd: i32,
        off: u64,
        addr: u64,
        len: u32,
        rw_flags: u32,
        user_data: u64,
        buf_index: u16,
        personality: u16,
        file_index: u32,
        addr3: u64,
        pad: u64,
    }
    /// `struct io_sqring_offsets`.
    IoSqringOffsets [40] {
        head: u32,
        tail: u32,
        ring_mask: u32,
        ring_entries: u32,
        flags: u32,
        dropped: u32,
        array: u32,
        resv1: u32,
        user_addr: u64,
    }
    /// `struct io_cqring_offsets`.
    IoCqringOffsets [40] {
        head: u32,
        tail: u32,
        ring_mask: u32,
        ring_entries: u32,
        overflow: u32,
        cqes: u32,
        flags: u32,
        resv1: u32,
        user_addr: u64,
    }
    /// `struct io_uring_params`.
    IoUringParams [120] {
        sq_entries: u32,
        cq_entries: u32,
        flags: u32,
        sq_thread_cpu: u32,
        sq_thread_idle: u32,
        features: u32,
        wq_fd: u32,
        resv: [u32; 3],
        sq_off: IoSqringOffsets,
        cq_off: IoCqringOffsets,
    }
    /// `struct io_uring_getevents_arg`.
    IoUringGeteventsArg [24] { sigmask: u64, sigmask_sz: u32, min_wait_usec: u32, ts: u64, }
    /// `struct io_uring_files_update`.
    IoUringFilesUpdate [16] { offset: u32, resv: u32, fds: u64, }
    /// `struct io_uring_probe`, before its operations.
    IoUringProbe [16] { last_op: u8, ops_len: u8, resv: u16, resv2: [u32; 3], }
    /// `struct io_uring_probe_op`.
    IoUringProbeOp [8] { op: u8, resv: u8, flags: u16, resv2: u32, }
}

/// io_submit(2) operations, from `linux/aio_abi.h`.
pub const IOCB_CMD_PREAD: u16 = 0;
pub const IOCB_CMD_PWRITE: u16 = 1;
pub const IOCB_CMD_FSYNC: u16 = 2;
pub const IOCB_CMD_FDSYNC: u16 = 3;
pub const IOCB_CMD_POLL: u16 = 5;
pub const IOCB_CMD_PREADV: u16 = 7;
pub const IOCB_CMD_PWRITEV: u16 = 8;
/// `resfd` is an eventfd that counts completions.
pub const IOCB_FLAG_RESFD: u32 = 1;
