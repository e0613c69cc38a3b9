//! Out of memory: who holds what.

use super::{maps, source};
use crate::drivers;
use crate::mm::frame;
use crate::mm::layout::PAGE;
use crate::task::Process;
use crate::task::thread::Thread;
use alloc::string::String;

const MIB: u64 = 1 << 20;
/// How many mappings are named, and from which size on.
const NAMED: usize = 5;

/// Says on standard error that the program cannot go on, and where the memory is.
pub fn report(process: &Process) {
    drivers::settle_output();
    let (has, more) = frame::advice();
    say!(
        "out of memory: the program touched more than the {has} MiB there are; give it more with -m, for example -m {more}M"
    );
    let memory = source().memory();
    say!(
        "  memory of the program {} MiB, files in memory (/tmp and others) {} MiB, kernel {} MiB (page tables {}, stacks of {} threads {}), free {} MiB",
        memory.anonymous / MIB,
        memory.cached / MIB,
        memory.kernel / MIB,
        memory.page_tables / MIB,
        Thread::count(),
        memory.kernel_stacks / MIB,
        memory.free / MIB
    );
    for (held, start) in maps::largest::<NAMED>(&process.space()) {
        if held >= MIB {
            let name = maps::name_at(process, start);
            let name = if name.is_empty() {
                "anonymous".into()
            } else {
                String::from_utf8_lossy(&name)
            };
            say!("  {} MiB in the mapping at {start:#x}: {name}", held / MIB);
        }
    }
}

/// Says that the kernel itself has no memory for what the program asked of it. Takes no lock and no memory: it may be called
/// anywhere.
pub fn report_kernel() {
    let (has, more) = frame::advice();
    let (free, total) = frame::counts();
    say!(
        "out of memory: the kernel needs more than is left of the {has} MiB for what the program has open; give it more with -m, for example -m {more}M"
    );
    say!("  free {} of {} MiB", free * PAGE / MIB, total * PAGE / MIB);
}
