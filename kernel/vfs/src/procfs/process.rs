//! The directory of a process, and those of its threads.
use super::source::{ProcPlace, ProcessInfo};
use super::{descriptors, maps, mounts, net, number, status};
use crate::Result;
use crate::inode::Link;
use crate::pseudo::{Context, Directory, Dynamic, Entry, Kind, Text, dir, fixed, put, text};
use crate::types::FileType;
use linux_abi::Errno;

pub(super) static PROCESS: Directory = fixed(&[
    text("auxv", auxv).with_mode(0o400),
    text("cgroup", cgroup),
    text("cmdline", command_line),
    Entry {
        name: "comm",
        mode: 0o644,
        kind: Kind::Stored(comm, set_comm),
    },
    text("coredump_filter", |_, out| constant(out, "00000033\n")),
    link("cwd", cwd),
    text("environ", environ).with_mode(0o400),
    link("exe", exe),
    dir("fd", &descriptors::FD).with_mode(0o500),
    dir("fdinfo", &descriptors::FDINFO),
    text("gid_map", identity_map),
    text("io", io).with_mode(0o400),
    text("limits", status::limits),
    text("loginuid", |_, out| constant(out, "4294967295")),
    text("maps", maps::maps),
    text("mountinfo", mounts::mountinfo),
    text("mounts", mounts::mounts),
    dir("net", &net::ROOT),
    text("oom_adj", |_, out| constant(out, "0\n")),
    text("oom_score", |_, out| constant(out, "0\n")),
    Entry {
        name: "oom_score_adj",
        mode: 0o644,
        kind: Kind::Stored(oom_score_adj, set_oom_score_adj),
    },
    text("personality", |_, out| constant(out, "00000000\n")).with_mode(0o400),
    link("root", root),
    text("setgroups", |_, out| constant(out, "allow\n")),
    text("sessionid", |_, out| constant(out, "4294967295")),
    text("smaps", maps::smaps),
    text("smaps_rollup", maps::smaps_rollup),
    text("stat", status::stat),
    text("statm", status::statm),
    text("status", status::status),
    dir("task", &TASKS),
    text("timerslack_ns", |_, out| constant(out, "50000\n")),
    text("uid_map", identity_map),
    text("wchan", |_, out| constant(out, "0")),
]);

static THREAD: Directory = fixed(&[
    text("auxv", auxv).with_mode(0o400),
    text("cgroup", cgroup),
    text("cmdline", command_line),
    Entry {
        name: "comm",
        mode: 0o644,
        kind: Kind::Stored(comm, set_comm),
    },
    link("cwd", cwd),
    text("environ", environ).with_mode(0o400),
    link("exe", exe),
    dir("fd", &descriptors::FD).with_mode(0o500),
    dir("fdinfo", &descriptors::FDINFO),
    text("io", io).with_mode(0o400),
    text("limits", status::limits),
    text("maps", maps::maps),
    text("mountinfo", mounts::mountinfo),
    text("mounts", mounts::mounts),
    dir("net", &net::ROOT),
    link("root", root),
    text("stat", status::stat),
    text("statm", status::statm),
    text("status", status::status),
]);

static TASKS: Directory = Directory {
    entries: &[],
    dynamic: Some(&TASK_LIST),
};
static TASK_LIST: Dynamic = Dynamic {
    find: find_task,
    list: list_tasks,
    prefix: "",
    kind: FileType::Directory,
};

fn find_task(context: &Context, name: &[u8]) -> Option<(Entry, Context)> {
    let tid = number(name)?;
    context.source.started(context.pid, tid)?;
    Some((
        dir("", &THREAD),
        Context {
            tid,
            ..context.clone()
        },
    ))
}

fn list_tasks(context: &Context, first: u32, emit: &mut dyn FnMut(u32) -> bool) {
    let _ = context
        .source
        .threads(context.pid)
        .into_iter()
        .filter(|&tid| tid >= first)
        .all(emit);
}

/// A link to an object that the process holds.
const fn link(name: &'static str, follow: fn(&Context) -> Result<Link>) -> Entry {
    Entry {
        name,
        mode: 0o777,
        kind: Kind::Link(show_for(name), Some(follow)),
    }
}

/// The text of such a link is the path of the object. A function pointer cannot carry the name, so one is picked.
const fn show_for(name: &str) -> fn(&Context, &mut Text) -> Result<()> {
    match name.as_bytes() {
        b"cwd" => |context, out| show_place(context, ProcPlace::Cwd, out),
        b"exe" => |context, out| show_place(context, ProcPlace::Exe, out),
        _ => |context, out| show_place(context, ProcPlace::Root, out),
    }
}

fn show_place(context: &Context, which: ProcPlace, out: &mut Text) -> Result<()> {
    let place = context
        .source
        .place(context.pid, which)
        .ok_or(Errno::ENOENT)?;
    let reader = context.source.current().0;
    let root = require(context.source.place(reader, ProcPlace::Root))?;
    out.0 = place.path(&root).into_link_text();
    Ok(())
}

fn follow_place(context: &Context, which: ProcPlace) -> Result<Link> {
    context
        .source
        .place(context.pid, which)
        .map(Link::Place)
        .ok_or(Errno::ENOENT)
}

fn cwd(context: &Context) -> Result<Link> {
    follow_place(context, ProcPlace::Cwd)
}

fn exe(context: &Context) -> Result<Link> {
    follow_place(context, ProcPlace::Exe)
}

fn root(context: &Context) -> Result<Link> {
    follow_place(context, ProcPlace::Root)
}

/// What a process must have: it has ended if it does not.
pub(super) fn require<T>(value: Option<T>) -> Result<T> {
    value.ok_or(Errno::ESRCH)
}

pub(super) fn info(context: &Context) -> Result<ProcessInfo> {
    require(context.source.process(context.pid, context.tid))
}

fn constant(out: &mut Text, value: &str) -> Result<()> {
    put!(out, "{value}");
    Ok(())
}

fn auxv(context: &Context, out: &mut Text) -> Result<()> {
    out.0 = require(context.source.auxv(context.pid))?;
    Ok(())
}

fn cgroup(_context: &Context, out: &mut Text) -> Result<()> {
    constant(out, "0::/\n")
}

fn identity_map(_context: &Context, out: &mut Text) -> Result<()> {
    put!(out, "{:>10} {:>10} {:>10}\n", 0, 0, u32::MAX);
    Ok(())
}

fn command_line(context: &Context, out: &mut Text) -> Result<()> {
    out.0 = require(context.source.command_line(context.pid))?;
    Ok(())
}

fn environ(context: &Context, out: &mut Text) -> Result<()> {
    out.0 = require(context.source.environment(context.pid))?;
    Ok(())
}

fn comm(context: &Context, out: &mut Text) -> Result<()> {
    out.0 = info(context)?.comm;
    out.0.push(b'\n');
    Ok(())
}

fn set_comm(context: &Context, text: &[u8]) -> Result<()> {
    let name = text.strip_suffix(b"\n").unwrap_or(text);
    context
        .source
        .set_comm(context.pid, context.tid, name.get(..15).unwrap_or(name))
}

fn oom_score_adj(context: &Context, out: &mut Text) -> Result<()> {
    put!(out, "{}\n", context.source.oom_score_adj(context.pid));
    Ok(())
}

fn set_oom_score_adj(context: &Context, text: &[u8]) -> Result<()> {
    let value: i32 = core::str::from_utf8(text)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(Errno::EINVAL)?;
    if !(-1000..=1000).contains(&value) {
        return Err(Errno::EINVAL);
    }
    context.source.set_oom_score_adj(context.pid, value)
}

fn io(context: &Context, out: &mut Text) -> Result<()> {
    let info = info(context)?;
    put!(
        out,
        "rchar: {}\nwchar: {}\nsyscr: {}\nsyscw: {}\n",
        info.bytes_read,
        info.bytes_written,
        info.read_calls,
        info.write_calls
    );
    put!(
        out,
        "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n"
    );
    Ok(())
}
