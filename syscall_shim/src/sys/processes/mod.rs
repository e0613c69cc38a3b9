//! Other processes.

mod kcmp;
mod unshare;
mod vm;
mod wait;

pub use kcmp::kcmp;
pub use unshare::unshare;
pub use vm::{process_vm_readv, process_vm_writev};
pub use wait::{wait4, waitid};

#[cfg(test)]
mod tests;
