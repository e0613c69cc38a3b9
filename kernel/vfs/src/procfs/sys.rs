//! /proc/sys: settings. They are what this kernel does, not switches, except for the host name.
use crate::Result;
use crate::inotify;
use crate::mqueue;
use crate::pseudo::{Context, Directory, Entry, Kind, Text, dir, fixed, put, text};

/// A setting that never changes.
macro_rules! setting {
    ($name:literal, $value:literal) => {
        text($name, |_, out| {
            put!(out, concat!($value, "\n"));
            Ok(())
        })
    };
}

pub(super) static ROOT: Directory = fixed(&[
    dir("fs", &FS),
    dir("kernel", &KERNEL),
    dir("net", &super::net::SETTINGS),
    dir("vm", &VM),
]);

static KERNEL: Directory = fixed(&[
    setting!("cap_last_cap", 40),
    setting!("core_pattern", "core"),
    text("domainname", |context, out| {
        line(out, &context.source.uname().domainname)
    }),
    Entry {
        name: "hostname",
        mode: 0o644,
        kind: Kind::Stored(hostname, set_hostname),
    },
    setting!("kptr_restrict", 1),
    setting!("msgmax", 8192),
    text("msgmnb", |_, out| number(out, crate::sysv::MSGMNB)),
    text("msgmni", |_, out| number(out, crate::sysv::IPCMNI)),
    setting!("ngroups_max", 65536),
    text("osrelease", |context, out| {
        line(out, &context.source.uname().release)
    }),
    text("ostype", |context, out| {
        line(out, &context.source.uname().sysname)
    }),
    setting!("overflowgid", 65534),
    setting!("overflowuid", 65534),
    setting!("perf_event_paranoid", 4),
    setting!("pid_max", 4194304),
    dir("random", &RANDOM),
    setting!("randomize_va_space", 2),
    setting!("sem", "32000\t1024000000\t500\t32000"),
    setting!("shmall", 18446744073692774399_u64),
    setting!("shmmax", 18446744073692774399_u64),
    text("shmmni", |_, out| number(out, crate::sysv::SHMMNI)),
    setting!("threads-max", 65536),
    text("version", |context, out| {
        line(out, &context.source.uname().version)
    }),
]);

static RANDOM: Directory = fixed(&[
    text("boot_id", |context, out| {
        uuid(out, context.source.boot_id())
    }),
    setting!("entropy_avail", 256),
    setting!("poolsize", 256),
    text("uuid", |context, out| uuid(out, context.source.random_id())),
]);

static VM: Directory = fixed(&[
    text("max_map_count", |_, out| {
        put!(out, "{}\n", super::MAX_MAP_COUNT);
        Ok(())
    }),
    setting!("mmap_min_addr", 65536),
    setting!("nr_hugepages", 0),
    setting!("overcommit_memory", 1),
    setting!("overcommit_ratio", 50),
    setting!("swappiness", 0),
]);

static FS: Directory = fixed(&[
    setting!("aio-max-nr", 65536),
    dir("epoll", &EPOLL),
    setting!("file-max", 1048576),
    dir("inotify", &INOTIFY),
    setting!("lease-break-time", 45),
    dir("mqueue", &MQUEUE),
    setting!("nr_open", 1048576),
    setting!("pipe-max-size", 1048576),
]);

static EPOLL: Directory = fixed(&[setting!("max_user_watches", 1048576)]);

static MQUEUE: Directory = fixed(&[
    text("msg_default", |_, out| number(out, mqueue::MSG_DEFAULT)),
    text("msg_max", |_, out| number(out, mqueue::MSG_MAX)),
    text("msgsize_default", |_, out| {
        number(out, mqueue::MSGSIZE_DEFAULT)
    }),
    text("msgsize_max", |_, out| number(out, mqueue::MSGSIZE_MAX)),
    text("queues_max", |_, out| number(out, mqueue::QUEUES_MAX)),
]);

static INOTIFY: Directory = fixed(&[
    text("max_queued_events", |_, out| {
        number(out, inotify::MAX_QUEUED_EVENTS)
    }),
    text("max_user_instances", |_, out| {
        number(out, inotify::MAX_USER_INSTANCES)
    }),
    text("max_user_watches", |_, out| {
        number(out, inotify::MAX_USER_WATCHES)
    }),
]);

fn number(out: &mut Text, value: impl core::fmt::Display) -> Result<()> {
    put!(out, "{value}\n");
    Ok(())
}

fn line(out: &mut Text, value: &str) -> Result<()> {
    put!(out, "{value}\n");
    Ok(())
}

fn hostname(context: &Context, out: &mut Text) -> Result<()> {
    line(out, &context.source.uname().nodename)
}

fn set_hostname(context: &Context, text: &[u8]) -> Result<()> {
    context
        .source
        .set_hostname(text.strip_suffix(b"\n").unwrap_or(text))
}

/// A random UUID, version 4.
fn uuid(out: &mut Text, bytes: [u8; 16]) -> Result<()> {
    let bits =
        (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let (a, b, c) = (
        (bits >> 96) as u32,
        (bits >> 80) as u16,
        (bits >> 64) as u16,
    );
    let (d, e) = ((bits >> 48) as u16, bits as u64 & 0xffff_ffff_ffff);
    put!(out, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}\n");
    Ok(())
}
