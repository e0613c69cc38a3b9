//! Out of memory: who holds what.

use super::{maps, source};
use crate::drivers;
use crate::mm::frame;
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
