//! From registers to typed arguments.
use crate::user::{UserPath, UserPtr};

/// A file descriptor, or `AT_FDCWD`.
pub type Fd = i32;
/// A buffer of bytes; its length is another argument.
pub type Buffer = UserPtr<u8>;
/// A buffer that the call fills.
pub type OutBuffer = Buffer;
/// A structure that the call fills in.
pub type Out<T> = UserPtr<T>;
/// A structure that the call reads and changes.
pub type InOut<T> = UserPtr<T>;
/// A NUL-terminated path.
pub type Path = UserPath;

/// The argument registers of a system call in their order: rdi, rsi, rdx, r10, r8, r9.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regs {
    pub args: [u64; 6],
}

impl Regs {
    #[must_use]
    pub const fn new(args: [u64; 6]) -> Self {
        Self { args }
    }

    /// Argument number `N`.
    #[inline]
    #[must_use]
    pub const fn arg<const N: usize>(&self) -> u64 {
        const { assert!(N < 6) };
        self.args[N]
    }
}

/// How an argument's type is made from a register: as the C type of that width, so upper halves are ignored.
pub trait FromReg {
    fn from_reg(raw: u64) -> Self;
}

macro_rules! integers {
    ($($int:ty)*) => {
        $(impl FromReg for $int {
            #[inline]
            fn from_reg(raw: u64) -> Self {
                raw as $int
            }
        })*
    };
}

integers!(i32 u32 i64 u64 usize);

impl<T> FromReg for UserPtr<T> {
    #[inline]
    fn from_reg(raw: u64) -> Self {
        UserPtr::new(raw)
    }
}

impl FromReg for UserPath {
    #[inline]
    fn from_reg(raw: u64) -> Self {
        UserPath::new(raw)
    }
}
