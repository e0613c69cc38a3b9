//! The parts of /sys that C libraries and runtimes read: CPUs, memory settings.
mod interfaces;

use crate::Result;
use crate::host::Host;
use crate::inode::InodeRef;
use crate::procfs::{ProcSource, put_cpu_list};
use crate::pseudo::{
    Context, Directory, Dynamic, Entry, PseudoFs, Text, dir, fixed, mount, put, text, value,
};
use crate::types::FileType;
use alloc::sync::Arc;

/// `SYSFS_MAGIC`
const MAGIC: u64 = 0x6265_6572;

/// Makes /sys; answers its root.
#[must_use]
pub fn sysfs(dev: u64, host: Arc<dyn Host>, source: Arc<dyn ProcSource>) -> InodeRef {
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
    dir("class", &CLASS),
    dir("devices", &DEVICES),
    dir("fs", &FS),
    dir("kernel", &KERNEL),
]);
static CLASS: Directory = fixed(&[dir("net", &interfaces::NET)]);
static DEVICES: Directory = fixed(&[dir("system", &SYSTEM)]);
static SYSTEM: Directory = fixed(&[dir("cpu", &CPU), dir("node", &NODE)]);
static FS: Directory = fixed(&[dir("cgroup", &CGROUP)]);
static KERNEL: Directory = fixed(&[dir("mm", &MM)]);
static MM: Directory = fixed(&[dir("transparent_hugepage", &THP)]);
static THP: Directory = fixed(&[
    value!("defrag", "always defer defer+madvise [madvise] never"),
    value!("enabled", "always [madvise] never"),
    value!("hpage_pmd_size", 2097152),
    value!(
        "shmem_enabled",
        "always within_size advise [never] deny force"
    ),
]);
/// A file system of its own is mounted there.
static CGROUP: Directory = fixed(&[]);

static CPU: Directory = Directory {
    entries: &[
        text("kernel_max", kernel_max),
        text("offline", offline),
        text("online", cpu_range),
        text("possible", cpu_range),
        text("present", cpu_range),
    ],
    dynamic: Some(&CPUS),
};
static CPUS: Dynamic = Dynamic {
    find: find_cpu,
    list: list_cpus,
    prefix: "cpu",
    kind: FileType::Directory,
};
static ONE_CPU: Directory = fixed(&[dir("topology", &TOPOLOGY)]);
static TOPOLOGY: Directory = fixed(&[
    text("core_cpus", own_mask),
    text("core_cpus_list", own_number),
    text("core_id", own_number),
    value!("physical_package_id", 0),
    text("thread_siblings", own_mask),
    text("thread_siblings_list", own_number),
]);

static NODE: Directory = fixed(&[
    dir("node0", &NODE0),
    value!("online", 0),
    value!("possible", 0),
]);
static NODE0: Directory = fixed(&[text("cpulist", cpu_range)]);

fn kernel_max(_context: &Context, out: &mut Text) -> Result<()> {
    put!(out, "63\n");
    Ok(())
}

fn offline(_context: &Context, out: &mut Text) -> Result<()> {
    put!(out, "\n");
    Ok(())
}

fn cpu_range(context: &Context, out: &mut Text) -> Result<()> {
    let count = context.source.cpu_count().clamp(1, 64);
    put_cpu_list(u64::MAX >> (64 - count), out);
    put!(out, "\n");
    Ok(())
}

fn own_number(context: &Context, out: &mut Text) -> Result<()> {
    put!(out, "{}\n", context.number);
    Ok(())
}

fn own_mask(context: &Context, out: &mut Text) -> Result<()> {
    put!(
        out,
        "{:x}\n",
        1_u64
            .checked_shl(context.number.unsigned_abs())
            .unwrap_or(0)
    );
    Ok(())
}

fn find_cpu(context: &Context, name: &[u8]) -> Option<(Entry, Context)> {
    let number: i32 = core::str::from_utf8(name.strip_prefix(b"cpu")?)
        .ok()?
        .parse()
        .ok()?;
    let known = u32::try_from(number).is_ok_and(|cpu| cpu < context.source.cpu_count());
    known.then(|| {
        (
            dir("", &ONE_CPU),
            Context {
                number,
                ..context.clone()
            },
        )
    })
}

fn list_cpus(context: &Context, first: u32, emit: &mut dyn FnMut(u32) -> bool) {
    let _ = (first..context.source.cpu_count()).all(emit);
}
