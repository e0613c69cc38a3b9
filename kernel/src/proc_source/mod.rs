//! What the kernel tells /proc and /sys.

mod cpu;
mod maps;
mod process;
mod shortage;

use crate::drivers::random;
use crate::mm::kernel_space::KernelStack;
use crate::mm::layout::PAGE;
use crate::mm::{frame, heap, paging};
use crate::task::{Process, family, sched};
use crate::{boot, net, percpu, sys, time};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicI32, Ordering};
use spin::Once;
use syscall_shim::state::Resource;
use syscall_shim::sys::core::{RELEASE, VERSION};
use vfs::{
    CpuInfo, Errno, FdTable, InodeRef, Limit, MapEntry, MemoryUse, NetFile, NetInterface, Place,
    ProcPlace, ProcSource, ProcessInfo, SystemMemory, Uname,
};

/// Longest piece of the program's memory that is shown: its arguments, its environment.
const MAX_STRINGS: u64 = 8 << 20;

pub use shortage::{report, report_kernel};

/// Makes /proc; answers its root.
pub fn procfs(dev: u64) -> InodeRef {
    vfs::procfs(dev, time::host(), source())
}

/// Makes /sys; answers its root.
pub fn sysfs(dev: u64) -> InodeRef {
    vfs::sysfs(dev, time::host(), source())
}

/// Makes /sys/fs/cgroup; answers its root.
pub fn cgroupfs(dev: u64) -> InodeRef {
    vfs::cgroupfs(dev, time::host(), source())
}

fn source() -> Arc<dyn ProcSource> {
    static SOURCE: Once<Arc<Source>> = Once::new();
    SOURCE
        .call_once(|| {
            Arc::new(Source {
                boot_id: random_bytes(),
                oom_score_adj: AtomicI32::new(0),
            })
        })
        .clone()
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    bytes
}

struct Source {
    boot_id: [u8; 16],
    /// Of the one process. It is kept for the program; there is nobody else to end in its place.
    oom_score_adj: AtomicI32,
}

fn find(pid: u32) -> Option<Arc<Process>> {
    family::find(i32::try_from(pid).ok()?)
}

/// Anonymous memory of all processes, that which several have in common counted once.
fn anonymous_memory() -> u64 {
    let mut seen: Vec<u64> = Vec::new();
    let mut sum = 0;
    for process in family::all() {
        let space = process.space();
        if !seen.contains(&space.root()) {
            seen.push(space.root());
            sum += maps::own_share(&space);
        }
    }
    sum
}

/// A piece of the memory of a process.
fn memory_of(
    pid: u32,
    pick: impl FnOnce(&crate::task::process::ExecInfo) -> Range<u64>,
) -> Option<Vec<u8>> {
    let process = find(pid)?;
    let range = pick(&process.exec.lock());
    let len = range.end.checked_sub(range.start)?.min(MAX_STRINGS);
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    // The program may have unmapped it; then there is nothing to show.
    let read = process.space().read_range(range.start, &mut bytes);
    bytes.truncate(read);
    Some(bytes)
}

impl ProcSource for Source {
    fn current(&self) -> (u32, u32) {
        let thread = percpu::current();
        (thread.process.pid as u32, thread.tid as u32)
    }

    fn processes(&self) -> Vec<u32> {
        family::all()
            .iter()
            .map(|process| process.pid as u32)
            .collect()
    }

    fn threads(&self, pid: u32) -> Vec<u32> {
        let Some(process) = find(pid) else {
            return Vec::new();
        };
        let mut tids: Vec<u32> = process
            .live_threads()
            .iter()
            .map(|thread| thread.tid as u32)
            .collect();
        tids.sort_unstable();
        tids
    }

    fn started(&self, pid: u32, tid: u32) -> Option<u64> {
        process::started(&*find(pid)?, tid)
    }

    fn process(&self, pid: u32, tid: u32) -> Option<ProcessInfo> {
        process::info(&*find(pid)?, tid)
    }

    fn memory_use(&self, pid: u32) -> Option<MemoryUse> {
        Some(maps::memory_use(&*find(pid)?))
    }

    fn maps(&self, pid: u32, emit: &mut dyn FnMut(&MapEntry<'_>)) -> Result<(), Errno> {
        maps::list(&*find(pid).ok_or(Errno::ESRCH)?, emit);
        Ok(())
    }

    fn command_line(&self, pid: u32) -> Option<Vec<u8>> {
        memory_of(pid, |exec| exec.args.clone())
    }

    fn environment(&self, pid: u32) -> Option<Vec<u8>> {
        memory_of(pid, |exec| exec.env.clone())
    }

    fn auxv(&self, pid: u32) -> Option<Vec<u8>> {
        memory_of(pid, |exec| exec.auxv.clone())
    }

    fn files(&self, pid: u32) -> Option<Arc<FdTable>> {
        find(pid).map(|process| process.files())
    }

    fn place(&self, pid: u32, which: ProcPlace) -> Option<Place> {
        let process = find(pid)?;
        match which {
            ProcPlace::Exe => process.exec.lock().exe.clone(),
            ProcPlace::Cwd => Some(process.fs().cwd()),
            ProcPlace::Root => Some(process.fs().root()),
        }
    }

    fn limits(&self, pid: u32) -> Option<[Limit; 16]> {
        let limits = find(pid)?.state.limits.lock().clone();
        let one = |number: usize| {
            let limit = Resource::new(number as u32)
                .map(|resource| limits.get(resource))
                .unwrap_or_default();
            Limit {
                soft: limit.cur,
                hard: limit.max,
            }
        };
        Some(core::array::from_fn(one))
    }

    fn oom_score_adj(&self, _pid: u32) -> i32 {
        self.oom_score_adj.load(Ordering::Relaxed)
    }

    fn set_oom_score_adj(&self, _pid: u32, value: i32) -> Result<(), Errno> {
        self.oom_score_adj.store(value, Ordering::Relaxed);
        Ok(())
    }

    fn set_comm(&self, pid: u32, tid: u32, name: &[u8]) -> Result<(), Errno> {
        let process = find(pid).ok_or(Errno::ESRCH)?;
        let thread = process::thread(&process, tid).ok_or(Errno::ESRCH)?;
        let mut comm = [0; 16];
        comm.iter_mut()
            .take(15)
            .zip(name)
            .for_each(|(slot, byte)| *slot = *byte);
        *thread.name.lock() = comm;
        Ok(())
    }

    fn memory(&self) -> SystemMemory {
        let (free, total) = frame::counts();
        let anonymous = anonymous_memory();
        let taken = (total - free) * PAGE;
        let files = heap::file_pages() * PAGE;
        SystemMemory {
            total: total * PAGE,
            free: free * PAGE,
            shared: files,
            anonymous,
            cached: files,
            kernel: taken.saturating_sub(files + anonymous),
            kernel_stacks: KernelStack::bytes(),
            page_tables: paging::tables() * PAGE,
            committed: anonymous + files,
        }
    }

    fn cpu_count(&self) -> u32 {
        sched::cpu_count()
    }

    fn cpu(&self) -> CpuInfo {
        cpu::info()
    }

    fn uname(&self) -> Uname {
        Uname {
            sysname: String::from("Linux"),
            nodename: sys::nodename(),
            release: String::from(RELEASE),
            version: String::from(VERSION),
            machine: String::from("x86_64"),
            domainname: String::from("(none)"),
        }
    }

    fn uptime(&self) -> u64 {
        time::monotonic()
    }

    fn boot_time(&self) -> u64 {
        time::realtime_offset() / time::SECOND
    }

    fn cpu_times(&self) -> [u64; 3] {
        // Of processes that have ended their parents know.
        let used = |process: &Arc<Process>| process.cpu_time() + process.children_usage.lock().user;
        let busy: u64 = family::all().iter().map(used).sum();
        [busy, 0, time::monotonic().saturating_sub(busy)]
    }

    fn context_switches(&self) -> u64 {
        let switches = |process: &Arc<Process>| process.switches.load(Ordering::Relaxed);
        family::all().iter().map(switches).sum()
    }

    fn boot_id(&self) -> [u8; 16] {
        self.boot_id
    }

    fn random_id(&self) -> [u8; 16] {
        random_bytes()
    }
    fn network(&self, file: NetFile, out: &mut Vec<u8>) {
        net::show(file, out);
    }
    fn set_local_port_range(&self, text: &[u8]) -> Result<(), Errno> {
        net::set_local_port_range(text)
    }
    fn interfaces(&self) -> Vec<NetInterface> {
        net::interfaces()
    }
    fn kernel_command_line(&self) -> String {
        boot::command_line()
    }
}
