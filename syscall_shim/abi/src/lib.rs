//! The Linux x86-64 ABI as types: errno, flags, structures. Data only, no policy.
#![no_std]
#![forbid(unsafe_code)]

mod errno;
pub mod flags;
pub mod types;

pub use errno::Errno;
pub use flags::*;
pub use linux_raw_sys as raw;
pub use types::*;
pub use zerocopy;

/// What a system call returns: the value for rax, or the errno.
pub type SysResult = Result<usize, Errno>;

/// Bytes of a page, and of every mapping's granule.
pub const PAGE_SIZE: usize = 4096;
/// First address above what a program may map (`TASK_SIZE_MAX`).
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// Most buffers that one readv(2) or writev(2) takes.
pub const IOV_MAX: usize = 1024;
/// Longest path with its final NUL.
pub const PATH_MAX: usize = 4096;
/// Most bytes that one read(2) or write(2) moves (`MAX_RW_COUNT`).
pub const MAX_RW_COUNT: usize = 0x7fff_f000;
/// Clock ticks a second as programs see them (`sysconf(_SC_CLK_TCK)`).
pub const USER_HZ: u64 = 100;

/// Plain data that the kernel copies to and from the program's memory: any bit pattern is a value, no padding.
pub trait Abi:
    zerocopy::FromBytes
    + zerocopy::IntoBytes
    + zerocopy::Immutable
    + zerocopy::KnownLayout
    + Copy
    + 'static
{
}

impl<T> Abi for T where
    T: zerocopy::FromBytes
        + zerocopy::IntoBytes
        + zerocopy::Immutable
        + zerocopy::KnownLayout
        + Copy
        + 'static
{
}
