//! Files about the machine as a whole.
use crate::Result;
use crate::pseudo::{Context, Text, put};

/// Clock ticks per second, as `sysconf(_SC_CLK_TCK)` has it: the unit of times in /proc.
pub(super) const TICK_NS: u64 = 10_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Seconds and hundredths.
fn hundredths(ns: u64) -> (u64, u64) {
    (ns / SECOND_NS, ns % SECOND_NS / TICK_NS)
}

pub(super) fn command_line(context: &Context, out: &mut Text) -> Result<()> {
    put!(out, "{}\n", context.source.kernel_command_line());
    Ok(())
}

pub(super) fn uptime(context: &Context, out: &mut Text) -> Result<()> {
    let (up, up_part) = hundredths(context.source.uptime());
    let [_, _, idle] = context.source.cpu_times();
    let (idle, idle_part) = hundredths(idle);
    put!(out, "{up}.{up_part:02} {idle}.{idle_part:02}\n");
    Ok(())
}

pub(super) fn loadavg(context: &Context, out: &mut Text) -> Result<()> {
    for load in context.source.load() {
        put!(out, "{}.{:02} ", load / 100, load % 100);
    }
    let processes = context.source.processes();
    let threads: usize = processes
        .iter()
        .map(|&pid| context.source.threads(pid).len())
        .sum();
    let last = processes.last().copied().unwrap_or(0);
    put!(out, "1/{threads} {last}\n");
    Ok(())
}

pub(super) fn version(context: &Context, out: &mut Text) -> Result<()> {
    let uname = context.source.uname();
    put!(
        out,
        "{} version {} {}\n",
        uname.sysname,
        uname.release,
        uname.version
    );
    Ok(())
}

/// All controllers are of version 2, which has number 0.
pub(super) fn cgroups(_context: &Context, out: &mut Text) -> Result<()> {
    put!(out, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
    for name in ["cpuset", "cpu", "memory", "pids"] {
        put!(out, "{name}\t0\t1\t1\n");
    }
    Ok(())
}

pub(super) fn filesystems(_context: &Context, out: &mut Text) -> Result<()> {
    for name in ["sysfs", "tmpfs", "devtmpfs", "proc", "cgroup2"] {
        put!(out, "nodev\t{name}\n");
    }
    put!(out, "\terofs\n");
    Ok(())
}

pub(super) fn swaps(_context: &Context, out: &mut Text) -> Result<()> {
    put!(out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    Ok(())
}

pub(super) fn meminfo(context: &Context, out: &mut Text) -> Result<()> {
    let memory = context.source.memory();
    let available = memory.free + memory.cached.saturating_sub(memory.shared);
    let active = memory.anonymous + memory.cached;
    let file = memory.cached.saturating_sub(memory.shared);
    let rows = [
        ("MemTotal", memory.total),
        ("MemFree", memory.free),
        ("MemAvailable", available),
        ("Buffers", 0),
        ("Cached", memory.cached),
        ("SwapCached", 0),
        ("Active", active),
        ("Inactive", 0),
        ("Active(anon)", memory.anonymous),
        ("Inactive(anon)", 0),
        ("Active(file)", file),
        ("Inactive(file)", 0),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", memory.anonymous),
        ("Mapped", file),
        ("Shmem", memory.shared),
        ("KReclaimable", 0),
        ("Slab", memory.kernel),
        ("SReclaimable", 0),
        ("SUnreclaim", memory.kernel),
        ("KernelStack", memory.kernel_stacks),
        ("PageTables", memory.page_tables),
        ("CommitLimit", memory.total),
        ("Committed_AS", memory.committed),
        ("VmallocTotal", 0),
        ("VmallocUsed", 0),
        ("VmallocChunk", 0),
        ("AnonHugePages", 0),
    ];
    for (name, bytes) in rows {
        put!(
            out,
            "{:<16}{:>8} kB\n",
            alloc::format!("{name}:"),
            bytes / 1024
        );
    }
    put!(
        out,
        "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n"
    );
    put!(out, "Hugepagesize:       2048 kB\n");
    Ok(())
}

pub(super) fn stat(context: &Context, out: &mut Text) -> Result<()> {
    let [user, system, idle] = context.source.cpu_times().map(|ns| ns / TICK_NS);
    put!(out, "cpu  {user} 0 {system} {idle} 0 0 0 0 0 0\n");
    let count = u64::from(context.source.cpu_count()).max(1);
    for cpu in 0..count {
        put!(
            out,
            "cpu{cpu} {} 0 {} {} 0 0 0 0 0 0\n",
            user / count,
            system / count,
            idle / count
        );
    }
    let processes = context.source.processes();
    let last = processes.last().copied().unwrap_or(0);
    put!(
        out,
        "intr 0\nctxt {}\nbtime {}\n",
        context.source.context_switches(),
        context.source.boot_time()
    );
    put!(
        out,
        "processes {last}\nprocs_running 1\nprocs_blocked 0\nsoftirq 0\n"
    );
    Ok(())
}

pub(super) fn cpuinfo(context: &Context, out: &mut Text) -> Result<()> {
    let cpu = context.source.cpu();
    let count = context.source.cpu_count();
    for at in 0..count {
        put!(
            out,
            "processor\t: {at}\nvendor_id\t: {}\ncpu family\t: {}\n",
            cpu.vendor,
            cpu.family
        );
        put!(
            out,
            "model\t\t: {}\nmodel name\t: {}\nstepping\t: {}\n",
            cpu.model,
            cpu.model_name,
            cpu.stepping
        );
        put!(
            out,
            "cpu MHz\t\t: {}.{:03}\ncache size\t: {} KB\n",
            cpu.khz / 1000,
            cpu.khz % 1000,
            cpu.cache_kib
        );
        put!(
            out,
            "physical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {at}\ncpu cores\t: {count}\n"
        );
        put!(
            out,
            "apicid\t\t: {at}\ninitial apicid\t: {at}\nfpu\t\t: yes\nfpu_exception\t: yes\n"
        );
        put!(
            out,
            "cpuid level\t: {}\nwp\t\t: yes\nflags\t\t: {}\nbugs\t\t:\n",
            cpu.cpuid_level,
            cpu.flags
        );
        let bogomips = cpu.khz / 5;
        put!(
            out,
            "bogomips\t: {}.{:02}\nclflush size\t: {}\n",
            bogomips / 100,
            bogomips % 100,
            cpu.clflush_size
        );
        put!(out, "cache_alignment\t: {}\n", cpu.clflush_size);
        put!(
            out,
            "address sizes\t: {} bits physical, {} bits virtual\npower management:\n\n",
            cpu.physical_bits,
            cpu.virtual_bits
        );
    }
    Ok(())
}
