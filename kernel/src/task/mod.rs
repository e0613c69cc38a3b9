//! Processes and threads: who runs, in which memory, with which files and signals.

pub mod entry;
pub mod fault;
pub mod frame;
pub mod futex;
pub mod process;
pub mod rseq;
pub mod sched;
pub mod sigframe;
pub mod signal;
pub mod thread;
pub mod timer;
pub mod wait;

pub use process::Process;
pub use signal::signal_from_host;
pub use thread::Thread;

use crate::mm::space::AddressSpace;
use crate::percpu;
use alloc::sync::Arc;

/// The address space of the running thread.
pub fn current_space() -> &'static Arc<AddressSpace> {
    &percpu::current().process.space
}
