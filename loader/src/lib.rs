//! From the bytes of a program to everything that must be in memory before its first instruction.
//!
//! * [`elf`]: validates an executable or interpreter and turns it into a mapping plan;
//! * [`script`]: tells ELF files and `#!` scripts apart;
//! * [`aslr`]: where the pieces go;
//! * [`stack`]: arguments, environment and auxiliary vector;
//! * [`patch`]: turns the planned `syscall` instructions of mapped code into jumps.
//!
//! Nothing here touches memory or page tables: the kernel carries the plans out. All input is taken to be hostile.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod aslr;
pub mod elf;
pub mod patch;
pub mod script;
pub mod stack;

mod auxv;
mod page;

pub use auxv::Auxv;
pub use page::{KERNEL_SLOT, PAGE_SIZE, USER_END, USER_START};
