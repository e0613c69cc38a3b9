//! The Linux system-call interface: one table, one function per call, generic over what the kernel provides.
//!
//! [`for_each_handler`] has a function for each number, which takes the argument registers; the table (`syscalls.toml`)
//! says which function of [`sys`] it calls with which types. That function checks the arguments as the manual page says and calls the [`Kernel`], or
//! the file layer `vfs` with what the kernel keeps for the process. It never sees a raw register.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod decode;
#[cfg(test)]
mod hostile_tests;
pub mod kernel;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod parts_tests;
pub mod pointers;
pub mod state;
pub mod sys;
pub mod table;
pub mod user;

pub use decode::{Buffer, Fd, FromReg, Path, Regs};
pub use kernel::Kernel;
#[cfg(test)]
use table::dispatch;
pub use table::{Call, DETAILS, Details, Level, Refusal, SLOTS, TABLE, lookup, no_handler};
