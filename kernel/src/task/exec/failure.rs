//! Why a program cannot be run: an errno for execve(2), a line of text for the first program.

use crate::mm::frame;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use linux_abi::Errno;
use loader::elf::{ElfError, LoadError};
use loader::stack::StackError;

pub enum Failure {
    /// A file that cannot be opened or read.
    File(Vec<u8>, Errno),
    /// The program, or (last) its interpreter.
    Elf(Vec<u8>, ElfError, bool),
    /// Scripts name scripts without end.
    Scripts,
    /// No place in the address space.
    NoRoom,
    /// No memory for the file's headers.
    NoHeaders,
    Memory(Errno),
    Arguments(StackError),
}

impl Failure {
    pub fn file(path: &[u8], errno: Errno) -> Self {
        Self::File(path.to_vec(), errno)
    }

    pub fn program(path: &[u8], error: LoadError<Errno>, is_interpreter: bool) -> Self {
        match error {
            LoadError::Elf(error) => Self::Elf(path.to_vec(), error, is_interpreter),
            LoadError::Read(errno) => Self::file(path, errno),
            LoadError::NoMemory => Self::NoHeaders,
        }
    }

    pub fn errno(&self) -> Errno {
        let known = |raw: i32| match raw {
            5 => Errno::EIO,
            7 => Errno::E2BIG,
            22 => Errno::EINVAL,
            80 => Errno::ELIBBAD,
            12 => Errno::ENOMEM,
            _ => Errno::ENOEXEC,
        };
        match self {
            Self::File(_, errno) | Self::Memory(errno) => *errno,
            Self::Elf(_, error, false) => known(error.errno()),
            Self::Elf(_, error, true) => known(error.errno_as_interpreter()),
            Self::Scripts => Errno::ELOOP,
            Self::NoRoom | Self::NoHeaders => Errno::ENOMEM,
            Self::Arguments(error) => known(error.errno()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, errno) => write!(f, "{}: {errno:?}", String::from_utf8_lossy(path)),
            Self::Elf(path, error, _) => write!(f, "{}: {error}", String::from_utf8_lossy(path)),
            Self::Scripts => f.write_str("too many levels of scripts"),
            Self::NoRoom => f.write_str("the program does not fit into the address space"),
            Self::NoHeaders => f.write_str("not enough memory"),
            Self::Memory(errno) => {
                let (has, more) = frame::advice();
                write!(
                    f,
                    "cannot map the program: {errno:?}; {has} MiB are too few, give the machine more memory with -m, for example -m {more}M"
                )
            }
            Self::Arguments(error) => write!(f, "{error}"),
        }
    }
}
