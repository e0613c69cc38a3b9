//! The control group that the program is in, version 2: run-times size themselves by it. The machine is its limit.
use crate::Result;
use crate::host::Host;
use crate::inode::InodeRef;
use crate::procfs::{ProcSource, put_cpu_list};
use crate::pseudo::{Context, Directory, PseudoFs, Text, fixed, mount, put, text, value};
use alloc::sync::Arc;

/// `CGROUP2_SUPER_MAGIC`
const MAGIC: u64 = 0x6367_7270;

const NS_PER_US: u64 = 1000;

/// Makes /sys/fs/cgroup; answers its root.
#[must_use]
pub fn cgroupfs(dev: u64, host: Arc<dyn Host>, source: Arc<dyn ProcSource>) -> InodeRef {
    mount(
        PseudoFs {
            dev,
            magic: MAGIC,
            host,
        },
        source,
        &ROOT,
    )
}

static ROOT: Directory = fixed(&[
    value!("cgroup.controllers", "cpuset cpu memory pids"),
    value!("cgroup.events", "populated 1\nfrozen 0"),
    value!("cgroup.freeze", "0"),
    value!("cgroup.max.depth", "max"),
    value!("cgroup.max.descendants", "max"),
    text("cgroup.procs", processes),
    text("cgroup.stat", |_, out| {
        put!(out, "nr_descendants 0\nnr_dying_descendants 0\n");
        Ok(())
    }),
    text("cgroup.subtree_control", |_, _| Ok(())),
    text("cgroup.threads", threads),
    value!("cgroup.type", "domain"),
    value!("cpu.max", "max 100000"),
    text("cpu.stat", cpu_stat),
    value!("cpu.weight", "100"),
    text("cpuset.cpus", cpus),
    text("cpuset.cpus.effective", cpus),
    value!("cpuset.mems", "0"),
    value!("cpuset.mems.effective", "0"),
    text("memory.current", |context, out| {
        let memory = context.source.memory();
        line(out, memory.total.saturating_sub(memory.free))
    }),
    value!("memory.high", "max"),
    value!("memory.low", "0"),
    text("memory.max", |context, out| {
        line(out, context.source.memory().total)
    }),
    value!("memory.min", "0"),
    text("memory.stat", memory_stat),
    value!("memory.swap.current", "0"),
    value!("memory.swap.max", "0"),
    text("pids.current", |context, out| {
        line(out, all_threads(context).count() as u64)
    }),
    value!("pids.max", "max"),
]);

fn line(out: &mut Text, value: u64) -> Result<()> {
    put!(out, "{value}\n");
    Ok(())
}

fn processes(context: &Context, out: &mut Text) -> Result<()> {
    let all = context.source.processes();
    all.into_iter().try_for_each(|pid| line(out, pid.into()))
}

fn all_threads(context: &Context) -> impl Iterator<Item = u32> {
    let processes = context.source.processes().into_iter();
    processes.flat_map(|pid| context.source.threads(pid))
}

fn threads(context: &Context, out: &mut Text) -> Result<()> {
    all_threads(context).try_for_each(|tid| line(out, tid.into()))
}

fn cpus(context: &Context, out: &mut Text) -> Result<()> {
    let count = context.source.cpu_count().clamp(1, 64);
    put_cpu_list(u64::MAX >> (64 - count), out);
    put!(out, "\n");
    Ok(())
}

fn cpu_stat(context: &Context, out: &mut Text) -> Result<()> {
    let [user, system, _] = context.source.cpu_times().map(|ns| ns / NS_PER_US);
    put!(
        out,
        "usage_usec {}\nuser_usec {user}\nsystem_usec {system}\n",
        user + system
    );
    put!(out, "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n");
    Ok(())
}

fn memory_stat(context: &Context, out: &mut Text) -> Result<()> {
    let memory = context.source.memory();
    let rows = [
        ("anon", memory.anonymous),
        ("file", memory.cached),
        ("kernel", memory.kernel),
        ("kernel_stack", memory.kernel_stacks),
        ("pagetables", memory.page_tables),
        ("shmem", memory.shared),
        ("inactive_anon", 0),
        ("active_anon", memory.anonymous + memory.shared),
        ("inactive_file", 0),
        ("active_file", memory.cached.saturating_sub(memory.shared)),
        ("unevictable", 0),
    ];
    for (name, bytes) in rows {
        put!(out, "{name} {bytes}\n");
    }
    Ok(())
}
