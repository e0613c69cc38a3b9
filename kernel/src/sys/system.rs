//! The machine.

use super::Caller;
use crate::mm::frame;
use crate::mm::layout::PAGE;
use crate::task::Thread;
use crate::{boot, drivers};
use alloc::string::String;
use syscall_shim::kernel::{MemoryFigures, System};

/// uname(2) nodename.
#[must_use]
pub fn nodename() -> String {
    boot::config().map_or_else(String::new, |config| {
        String::from_utf8_lossy(&config.hostname).into_owned()
    })
}

impl System for Caller<'_> {
    fn random(&self, into: &mut [u8]) {
        drivers::random::fill(into);
    }

    fn nodename(&self) -> String {
        nodename()
    }

    fn memory_figures(&self) -> MemoryFigures {
        let (free, total) = frame::counts();
        MemoryFigures {
            total: total * PAGE,
            free: free * PAGE,
            shared: 0,
            buffers: 0,
        }
    }

    fn load_averages(&self) -> [u64; 3] {
        // Not measured: a machine with one program in it has no queue to speak of.
        [0; 3]
    }

    fn thread_count(&self) -> usize {
        Thread::count()
    }

    fn sync(&self) {
        // All files live in memory.
    }
}
