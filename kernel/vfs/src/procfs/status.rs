//! stat, statm, status and limits of a process.
use super::machine::TICK_NS;
use super::process::{info, require};
use super::source::{MemoryUse, ProcessInfo};
use crate::Result;
use crate::pseudo::{Context, Text, put};

const PAGE: u64 = 4096;
/// `RLIMIT_SIGPENDING`
const SIGPENDING: usize = 11;

pub(super) fn stat(context: &Context, out: &mut Text) -> Result<()> {
    let p = info(context)?;
    let m = require(context.source.memory_use(context.pid))?;
    let resident_limit = context
        .source
        .limits(context.pid)
        .map_or(u64::MAX, |limits| limits[5].soft);
    put!(out, "{} (", p.tid);
    out.0.extend_from_slice(&p.comm);
    put!(
        out,
        ") {} {} {} {} {} {} 4194304 ",
        char::from(p.state),
        p.ppid,
        p.pgid,
        p.sid,
        p.tty,
        p.tpgid
    );
    put!(
        out,
        "{} 0 {} 0 {} {} 0 0 ",
        p.minor_faults,
        p.major_faults,
        p.user_time / TICK_NS,
        p.system_time / TICK_NS
    );
    put!(
        out,
        "{} {} {} 0 {} ",
        20 + p.nice,
        p.nice,
        p.threads,
        p.start_time / TICK_NS
    );
    put!(out, "{} {} {resident_limit} ", m.size, m.resident / PAGE);
    put!(
        out,
        "{} {} {} 0 0 ",
        p.start_code,
        p.end_code,
        p.start_stack
    );
    let (pending, blocked) = (
        p.signals_pending & 0x7fff_ffff,
        p.signals_blocked & 0x7fff_ffff,
    );
    put!(
        out,
        "{pending} {blocked} {} {} ",
        p.signals_ignored & 0x7fff_ffff,
        p.signals_caught & 0x7fff_ffff
    );
    put!(out, "0 0 0 17 {} 0 0 0 0 0 ", p.cpu);
    put!(
        out,
        "{} {} {} {} {} {} {} 0\n",
        p.start_data,
        p.end_data,
        p.start_brk,
        p.arg_start,
        p.arg_end,
        p.env_start,
        p.env_end
    );
    Ok(())
}

pub(super) fn statm(context: &Context, out: &mut Text) -> Result<()> {
    require(context.source.started(context.pid, context.tid))?;
    let m = require(context.source.memory_use(context.pid))?;
    let shared = (m.resident_file + m.resident_shared) / PAGE;
    let data = (m.data + m.stack) / PAGE;
    put!(
        out,
        "{} {} {shared} {} 0 {data} 0\n",
        m.size / PAGE,
        m.resident / PAGE,
        m.text / PAGE
    );
    Ok(())
}

fn state_name(state: u8) -> &'static str {
    match state {
        b'R' => "running",
        b'D' => "disk sleep",
        b'T' => "stopped",
        b'Z' => "zombie",
        _ => "sleeping",
    }
}

pub(super) fn status(context: &Context, out: &mut Text) -> Result<()> {
    let p = info(context)?;
    let fd_size = context
        .source
        .files(context.pid)
        .map_or(0, |files| files.size().next_multiple_of(64));
    put!(out, "Name:\t");
    out.0.extend_from_slice(&p.comm);
    put!(
        out,
        "\nUmask:\t{:04o}\nState:\t{} ({})\n",
        p.umask,
        char::from(p.state),
        state_name(p.state)
    );
    put!(
        out,
        "Tgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n",
        p.pid,
        p.tid,
        p.ppid
    );
    let [uid, euid, suid, fsuid] = p.uids;
    let [gid, egid, sgid, fsgid] = p.gids;
    put!(
        out,
        "Uid:\t{uid}\t{euid}\t{suid}\t{fsuid}\nGid:\t{gid}\t{egid}\t{sgid}\t{fsgid}\nFDSize:\t{fd_size}\nGroups:\t"
    );
    for group in &p.groups {
        put!(out, "{group} ");
    }
    put!(
        out,
        "\nNStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{}\nNSsid:\t{}\n",
        p.pid,
        p.tid,
        p.pgid,
        p.sid
    );
    let memory = require(context.source.memory_use(context.pid))?;
    memory_lines(&memory, out);
    let queue_limit = context
        .source
        .limits(context.pid)
        .map_or(0, |limits| limits[SIGPENDING].soft);
    signal_lines(&p, queue_limit, out);
    let all_cpus = u64::MAX
        .checked_shr(64_u32.saturating_sub(context.source.cpu_count()))
        .unwrap_or(1);
    scheduling_lines(&p, all_cpus, out);
    Ok(())
}

fn memory_lines(m: &MemoryUse, out: &mut Text) {
    let rows = [
        ("VmPeak", m.size_peak),
        ("VmSize", m.size),
        ("VmLck", m.locked),
        ("VmPin", 0),
        ("VmHWM", m.resident_peak),
        ("VmRSS", m.resident),
        ("RssAnon", m.resident_anonymous),
        ("RssFile", m.resident_file),
        ("RssShmem", m.resident_shared),
        ("VmData", m.data),
        ("VmStk", m.stack),
        ("VmExe", m.text),
        ("VmLib", m.libraries),
        ("VmPTE", m.page_tables),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ];
    for (name, bytes) in rows {
        put!(out, "{name}:\t{:>8} kB\n", bytes / 1024);
    }
    put!(out, "CoreDumping:\t0\nTHP_enabled:\t1\n");
}

fn signal_lines(p: &ProcessInfo, queue_limit: u64, out: &mut Text) {
    put!(
        out,
        "Threads:\t{}\nSigQ:\t{}/{queue_limit}\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\n",
        p.threads,
        p.signals_queued,
        p.signals_pending,
        p.signals_shared_pending
    );
    put!(
        out,
        "SigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\n",
        p.signals_blocked,
        p.signals_ignored,
        p.signals_caught
    );
    let names = ["Inh", "Prm", "Eff", "Bnd", "Amb"];
    for (name, set) in names.iter().zip(p.capabilities) {
        put!(out, "Cap{name}:\t{:016x}\n", set.bits());
    }
}

fn scheduling_lines(p: &ProcessInfo, all_cpus: u64, out: &mut Text) {
    put!(
        out,
        "NoNewPrivs:\t{}\nSeccomp:\t{}\nSeccomp_filters:\t{}\n",
        u8::from(p.no_new_privs),
        p.seccomp.0,
        p.seccomp.1
    );
    put!(
        out,
        "Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\tconditional enabled\n"
    );
    let affinity = if p.affinity == 0 {
        all_cpus
    } else {
        p.affinity & all_cpus
    };
    put!(out, "Cpus_allowed:\t{affinity:x}\nCpus_allowed_list:\t");
    put_cpu_list(affinity, out);
    put!(out, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
    put!(
        out,
        "voluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n",
        p.voluntary_switches,
        p.involuntary_switches
    );
}

/// A set of CPUs as ranges: `0-3,6`.
pub(crate) fn put_cpu_list(set: u64, out: &mut Text) {
    let has = |cpu: u32| cpu < 64 && set >> cpu & 1 != 0;
    let mut separator = "";
    let mut cpu = 0;
    while cpu < 64 {
        if has(cpu) {
            let first = cpu;
            while has(cpu + 1) {
                cpu += 1;
            }
            put!(out, "{separator}{first}");
            if cpu > first {
                put!(out, "-{cpu}");
            }
            separator = ",";
        }
        cpu += 1;
    }
}

/// Names and units of the limits, in the order of their numbers.
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

pub(super) fn limits(context: &Context, out: &mut Text) -> Result<()> {
    let limits = require(context.source.limits(context.pid))?;
    put!(
        out,
        "{:<25} {:<20} {:<20} {:<10}\n",
        "Limit",
        "Soft Limit",
        "Hard Limit",
        "Units"
    );
    for ((name, unit), limit) in LIMITS.iter().zip(limits) {
        put!(out, "{name:<25} ");
        for value in [limit.soft, limit.hard] {
            if value == u64::MAX {
                put!(out, "{:<20} ", "unlimited");
            } else {
                put!(out, "{value:<20} ");
            }
        }
        put!(out, "{unit:<10}\n");
    }
    Ok(())
}
