//! Other processes.

mod exec;
mod fork;
mod kcmp;
mod pidfd;
mod unshare;
mod vm;
mod wait;

pub use exec::{execve, execveat};
pub use fork::{fork, vfork};
pub use kcmp::kcmp;
pub use pidfd::{pidfd_getfd, pidfd_open, pidfd_send_signal};
pub use unshare::unshare;
pub use vm::{process_vm_readv, process_vm_writev};
pub use wait::{wait4, waitid};

#[cfg(test)]
mod tests;
