//! The first process.

use super::Config;
use crate::mm::frame;
use crate::task::exec::{self, Failure, Loaded, Request, Runner};
use crate::task::frame::Vector;
use crate::task::process::{Parts, Process};
use crate::task::shared::Shared;
use crate::task::thread::{self, State, Thread};
use crate::task::{entry, family, sched};
use crate::tty;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use boot_abi::config::{STREAM_FILE, STREAM_NULL, STREAM_TTY};
use linux_abi::raw::general::{O_LARGEFILE, O_RDONLY, O_RDWR, O_WRONLY};
use syscall_shim::state::{Identity, Limits, ProcessState, Resource};
use vfs::{At, Credentials, FdTable, File, FileOps, FsContext, LookupFlags};

/// Makes the first process and puts its thread into the queue.
pub fn start_first(
    config: &Config,
    fs: Arc<FsContext>,
    std_files: [Option<Arc<dyn FileOps>>; 3],
) -> Result<(), String> {
    let identity = Identity::new(config.uid, config.gid);
    let threads = frame::counts().1 / 8;
    let mut limits = Limits::new(threads);
    limits.set(
        Resource::NOFILE,
        linux_abi::Rlimit64 {
            cur: 1024,
            max: 1 << 20,
        },
    );
    let files = Arc::new(FdTable::new(1024));
    for (fd, ops) in (0..).zip(std_files) {
        let Some(ops) = ops else { continue };
        let kind = config.streams.get(fd as usize).copied().unwrap_or_default();
        let file = std_file(&fs, ops, fd, kind);
        if let (0, Some(position)) = (fd, config.stdin_position) {
            tty::keep_position(&file, position);
        }
        files
            .replace(fd, file, false)
            .map_err(|errno| format!("standard streams: {errno:?}"))?;
    }
    let pid = thread::new_id();
    let program = load(config, &fs, &identity, limits.current(Resource::STACK))
        .map_err(|failure| format!("{failure}"))?;
    let frame = exec::initial_frame(&program);
    let parts = Parts {
        space: Shared::new(program.space),
        files: Shared::new(files),
        fs,
    };
    let process = Process::new(pid, parts, ProcessState::new(pid, identity, limits));
    *process.exec.lock() = program.info;
    let thread = Thread::new(pid, &process, &frame, &[0; 16], Vector::initial(), 0)
        .map_err(|_| "not enough memory")?;
    *thread.name.lock() = exec::comm(&config.exe);
    entry::set_init_process(process.clone());
    family::add(process, 0);
    thread.set_state(State::Runnable);
    sched::keep(thread.clone());
    sched::enqueue(thread);
    Ok(())
}

/// The program; nobody asks whether it may be run.
fn load(
    config: &Config,
    fs: &FsContext,
    identity: &Identity,
    stack_limit: u64,
) -> Result<Loaded, Failure> {
    let credentials = Credentials::default();
    let place = At::cwd(fs, &credentials)
        .resolve(&config.exe, LookupFlags::FOLLOW)
        .map_err(|errno| Failure::file(&config.exe, errno))?;
    let runner = Runner {
        fs,
        credentials: None,
        stack_limit,
    };
    let request = Request {
        place,
        path: config.exe.clone(),
        args: config.args.clone(),
        env: config.env.clone(),
    };
    let found = runner.resolve(&request)?;
    runner.load(&found, &request, identity)
}

/// A standard stream. A terminal is /dev/console, so that ttyname(3) finds it.
fn std_file(fs: &FsContext, ops: Arc<dyn FileOps>, fd: i32, kind: u8) -> Arc<File> {
    // What open(2) adds, but pipe(2) and socket(2) do not.
    let opened = match kind {
        STREAM_FILE | STREAM_NULL | STREAM_TTY => O_LARGEFILE,
        _ => 0,
    };
    if kind == STREAM_TTY {
        let credentials = Credentials::default();
        let place = At::cwd(fs, &credentials).resolve(b"/dev/console", vfs::LookupFlags::FOLLOW);
        return match place {
            Ok(place) => File::new(place, Some(ops), O_RDWR | opened),
            Err(_) => File::from_ops(ops, O_RDWR | opened),
        };
    }
    let access = if fd == 0 { O_RDONLY } else { O_WRONLY };
    File::from_ops(ops, access | opened)
}
