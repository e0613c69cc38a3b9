//! The file tree at boot: the image's root with a writable layer, tmpfs, devices, proc and sys.

use super::{Config, image};
use crate::mm::frame;
use crate::time::HostClock;
use crate::{parts, proc_source, pty, tty};
use alloc::string::String;
use alloc::sync::Arc;
use linux_abi::Errno;
use vfs::{At, Credentials, FsContext, Host, InodeRef, LookupFlags, Mount, MountSpec, Place};

/// `st_dev` of the root.
pub const ROOT_DEV: u64 = 1;
const TMP_DEV: u64 = 2;
const RUN_DEV: u64 = 3;
const SHM_DEV: u64 = 4;
const DEV_DEV: u64 = 5;
const PROC_DEV: u64 = 6;
const SYS_DEV: u64 = 7;
const CGROUP_DEV: u64 = 20;

fn spec(root: InodeRef, fs_type: &'static str, options: &str) -> MountSpec {
    MountSpec {
        root,
        fs_type,
        source: String::from(fs_type),
        options: String::from(options),
        read_only: false,
    }
}

/// Mounts everything; answers the context of the first process, with the working directory as configured.
pub fn mount(config: &Config) -> Result<Arc<FsContext>, Errno> {
    let host: Arc<dyn Host> = Arc::new(HostClock);
    let (_, total) = frame::counts();
    let limit = total / 2;
    let root = vfs::MemFs::over_image(ROOT_DEV, host.clone(), limit, image().root)
        .map_err(|_| Errno::EIO)?;
    let mount = Mount::root(MountSpec {
        source: String::from("image"),
        ..spec(root.clone(), "overlay", "rw,relatime")
    });
    let context = FsContext::new(Place { mount, inode: root });
    let tmpfs = |dev, mode| vfs::MemFs::tmpfs(dev, host.clone(), limit, mode);
    attach(
        &context,
        2,
        b"/proc",
        spec(
            proc_source::procfs(PROC_DEV),
            "proc",
            "rw,nosuid,nodev,noexec,relatime",
        ),
    )?;
    attach(
        &context,
        3,
        b"/sys",
        spec(
            proc_source::sysfs(SYS_DEV),
            "sysfs",
            "rw,nosuid,nodev,noexec,relatime",
        ),
    )?;
    attach(
        &context,
        4,
        b"/dev",
        spec(
            vfs::devfs(DEV_DEV, host.clone(), terminals())?,
            "devtmpfs",
            "rw,nosuid,mode=755",
        ),
    )?;
    attach(
        &context,
        5,
        b"/dev/shm",
        spec(tmpfs(SHM_DEV, 0o1777), "tmpfs", "rw,nosuid,nodev"),
    )?;
    if let Some(root) = parts::ptys().and_then(|part| (part.root)()) {
        let options = "rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=000";
        attach(&context, 9, b"/dev/pts", spec(root, "devpts", options))?;
    }
    attach_if_empty(
        &context,
        6,
        b"/tmp",
        spec(tmpfs(TMP_DEV, 0o1777), "tmpfs", "rw,nosuid,nodev"),
    )?;
    attach_if_empty(
        &context,
        7,
        b"/run",
        spec(tmpfs(RUN_DEV, 0o755), "tmpfs", "rw,nosuid,nodev,mode=755"),
    )?;
    attach(
        &context,
        8,
        b"/sys/fs/cgroup",
        spec(
            proc_source::cgroupfs(CGROUP_DEV),
            "cgroup2",
            "rw,nosuid,nodev,noexec,relatime",
        ),
    )?;
    context.set_umask(config.umask);
    match enter(&context, &config.cwd) {
        Ok(place) => context.set_cwd(place)?,
        Err(errno) => say!(
            "cannot start in {}: {errno:?}; starting in /",
            String::from_utf8_lossy(&config.cwd)
        ),
    }
    Ok(Arc::new(context))
}

fn terminals() -> vfs::Terminals {
    vfs::Terminals {
        console: tty::console(),
        controlling: pty::open_controlling,
        master: pty::open_master,
    }
}

/// The working directory, made if it is not there.
fn enter(context: &FsContext, path: &[u8]) -> Result<Place, Errno> {
    let credentials = Credentials::default();
    let at = At::cwd(context, &credentials);
    let slashes = path
        .iter()
        .enumerate()
        .filter(|&(i, &byte)| byte == b'/' && i > 0)
        .map(|(i, _)| i);
    for end in slashes.chain([path.len()]) {
        match at.mkdir(path.get(..end).unwrap_or(path), 0o755) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    at.resolve(path, LookupFlags::FOLLOW)
}

/// Mounts where the image has nothing: a program or its files may well lie below /tmp.
fn attach_if_empty(
    context: &FsContext,
    id: u32,
    path: &[u8],
    spec: MountSpec,
) -> Result<(), Errno> {
    let credentials = Credentials::default();
    let mut entries = 0;
    if let Ok(place) = At::cwd(context, &credentials).resolve(path, LookupFlags::FOLLOW) {
        place.inode.readdir(0, &mut |_| {
            entries += 1;
            true
        })?;
    }
    // "." and ".." are always there.
    if entries > 2 {
        Ok(())
    } else {
        attach(context, id, path, spec)
    }
}

/// Mounts on a directory, which is made if the image does not have it.
fn attach(context: &FsContext, id: u32, path: &[u8], spec: MountSpec) -> Result<(), Errno> {
    let credentials = Credentials::default();
    let at = At::cwd(context, &credentials);
    if let Err(errno) = at.mkdir(path, 0o755)
        && errno != Errno::EEXIST
    {
        return Err(errno);
    }
    Mount::attach(&at.resolve(path, LookupFlags::empty())?, id, spec);
    Ok(())
}
