//! What poll(2), select(2) and epoll(7) exchange with the program.

abi_struct! {
    /// `struct pollfd`.
    Pollfd [8] { fd: i32, events: u16, revents: u16, }
    /// The sixth argument of pselect6(2).
    PselectMask [16] { mask: u64, size: u64, }
    /// `struct signalfd_siginfo`.
    SignalfdSiginfo [128] {
        signo: u32,
        errno: i32,
        code: i32,
        pid: u32,
        uid: u32,
        fd: i32,
        tid: u32,
        band: u32,
        overrun: u32,
        trapno: u32,
        status: i32,
        int: i32,
        ptr: u64,
        utime: u64,
        stime: u64,
        addr: u64,
        addr_lsb: u16,
        pad2: u16,
        syscall: i32,
        call_addr: u64,
        arch: u32,
        pad: [u8; 28],
    }
}

/// `struct epoll_event`: packed on x86-64.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[repr(C, packed)]
pub struct EpollEvent {
    pub events: u32,
    pub data: u64,
}

const _: () = assert!(size_of::<EpollEvent>() == 12);

/// `struct kcmp_epoll_slot`
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
pub struct KcmpEpollSlot {
    pub efd: u32,
    pub tfd: u32,
    pub toff: u32,
}
