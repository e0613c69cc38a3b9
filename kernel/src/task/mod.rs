//! Processes and threads: who runs, in which memory, with which files and signals.

mod copy;
mod cpuid;
pub mod describe;
pub mod entry;
pub mod exec;
pub mod family;
pub mod fault;
pub mod fork;
pub mod frame;
pub mod futex;
mod part;
pub mod pidfd;
pub mod process;
pub mod rseq;
pub mod sched;
pub mod seccomp;
pub mod shared;
pub mod sigframe;
pub mod signal;
pub mod thread;
pub mod timer;
pub mod wait;

pub use copy::thread_like;
pub use part::start;
pub use process::Process;
pub use signal::signal_from_host;
pub use thread::Thread;

use crate::mm::space::AddressSpace;
use crate::percpu;
use alloc::sync::Arc;

/// The address space of the running thread.
pub fn current_space() -> &'static Arc<AddressSpace> {
    &percpu::current().space
}
