//! /proc, see proc(5).
mod descriptors;
mod machine;
mod maps;
mod mounts;
mod net;
mod process;
mod source;
mod status;
mod sys;

pub use source::{
    CpuInfo, Limit, MapEntry, MemoryUse, NetFile, NetInterface, ProcPlace, ProcSource, ProcessInfo,
    Residence, SystemMemory, Uname,
};
pub(crate) use status::put_cpu_list;

use crate::host::Host;
use crate::inode::InodeRef;
use crate::pseudo::{
    Context, Directory, Dynamic, Entry, Kind, PseudoFs, Show, dir, fixed, mount, put, text,
};
use crate::types::FileType;
use alloc::sync::Arc;

/// `vm.max_map_count`: how many mappings an address space may have.
pub const MAX_MAP_COUNT: usize = 1 << 20;

/// `PROC_SUPER_MAGIC`
const MAGIC: u64 = 0x9fa0;

/// Makes /proc; answers its root.
#[must_use]
pub fn procfs(dev: u64, host: Arc<dyn Host>, source: Arc<dyn ProcSource>) -> InodeRef {
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

static ROOT: Directory = Directory {
    entries: &[
        Entry {
            name: "self",
            mode: 0o777,
            kind: Kind::Link(
                |context, out| {
                    put!(out, "{}", context.source.current().0);
                    Ok(())
                },
                None,
            ),
        },
        Entry {
            name: "thread-self",
            mode: 0o777,
            kind: Kind::Link(
                |context, out| {
                    let (pid, tid) = context.source.current();
                    put!(out, "{pid}/task/{tid}");
                    Ok(())
                },
                None,
            ),
        },
        plain_link("mounts", |_, out| {
            put!(out, "self/mounts");
            Ok(())
        }),
        plain_link("net", |_, out| {
            put!(out, "self/net");
            Ok(())
        }),
        text("cgroups", machine::cgroups),
        text("cmdline", machine::command_line),
        text("cpuinfo", machine::cpuinfo),
        text("filesystems", machine::filesystems),
        text("loadavg", machine::loadavg),
        text("meminfo", machine::meminfo),
        text("modules", |_, _| Ok(())),
        text("stat", machine::stat),
        text("swaps", machine::swaps),
        dir("sys", &sys::ROOT),
        dir("sysvipc", &SYSVIPC),
        text("uptime", machine::uptime),
        text("version", machine::version),
    ],
    dynamic: Some(&PROCESSES),
};

static SYSVIPC: Directory = fixed(&[
    text("msg", crate::sysv::list_msg),
    text("sem", crate::sysv::list_sem),
    text("shm", crate::sysv::list_shm),
]);

/// A link that is simply a path.
const fn plain_link(name: &'static str, show: Show) -> Entry {
    Entry {
        name,
        mode: 0o777,
        kind: Kind::Link(show, None),
    }
}

static PROCESSES: Dynamic = Dynamic {
    find: find_process,
    list: list_processes,
    prefix: "",
    kind: FileType::Directory,
};

/// Whether a directory is that of a process, and not of a thread.
pub(crate) fn is_process(directory: &'static Directory) -> bool {
    core::ptr::eq(directory, &process::PROCESS)
}

/// A number without a sign or leading zeros, as numbered entries are named.
fn number(name: &[u8]) -> Option<u32> {
    if name.len() > 1 && name.first() == Some(&b'0') || !name.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(name).ok()?.parse().ok()
}

fn find_process(context: &Context, name: &[u8]) -> Option<(Entry, Context)> {
    let pid = number(name)?;
    let since = context.source.started(pid, pid)?;
    Some((
        dir("", &process::PROCESS),
        Context {
            pid,
            tid: pid,
            since,
            ..context.clone()
        },
    ))
}

fn list_processes(context: &Context, first: u32, emit: &mut dyn FnMut(u32) -> bool) {
    let _ = context
        .source
        .processes()
        .into_iter()
        .filter(|&pid| pid >= first)
        .all(emit);
}
