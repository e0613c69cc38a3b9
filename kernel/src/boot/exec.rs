//! The first program: found, checked, mapped, and made a thread.

use super::Config;
use crate::drivers::random;
use crate::mm::frame;
use crate::mm::layout::{PAGE, page_down, page_up};
use crate::mm::map::Backing;
use crate::mm::space::{AddressSpace, At as MapAt, file_backing};
use crate::task::frame::{Frame, Vector};
use crate::task::process::{ExecInfo, Process};
use crate::task::thread::{self, State, Thread};
use crate::task::{entry, sched, sigframe};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use boot_abi::config::{STREAM_FILE, STREAM_NULL, STREAM_TTY};
use core::arch::x86_64::__cpuid;
use linux_abi::raw::general::{O_LARGEFILE, O_RDONLY, O_RDWR, O_WRONLY};
use linux_abi::{Errno, MapFlags, Prot};
use loader::aslr::{Entropy, Layout};
use loader::elf::{LoadError, Program, ReadAt};
use loader::script::{FileKind, classify};
use loader::stack::{self, StackRequest};
use syscall_shim::state::{Identity, Limits, ProcessState, Resource};
use vfs::{At, Credentials, FdTable, File, FileOps, FsContext, OpenHow, SliceSink};

/// Scripts may name scripts; as deep as Linux allows.
const SCRIPT_DEPTH: usize = 5;
const STACK_PREFILL: u64 = 64 << 10;

/// Makes the first process and puts its thread into the queue.
pub fn start_first(
    config: &Config,
    fs: Arc<FsContext>,
    std_files: [Option<Arc<dyn FileOps>>; 3],
) -> Result<(), String> {
    let space = AddressSpace::new().map_err(|_| "not enough memory")?;
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
        files
            .replace(fd, file, false)
            .map_err(|errno| format!("standard streams: {errno:?}"))?;
    }
    let pid = thread::new_id();
    let state = ProcessState::new(pid, identity, limits);
    let process = Process::new(pid, space, files, fs, state);
    let program = load(&process, config)?;
    let frame = Frame {
        rip: program.entry,
        rsp: program.sp,
        cs: 0x33,
        ss: 0x2b,
        rflags: crate::gate::USER_FLAGS,
        orig_rax: u64::MAX,
        ..Frame::default()
    };
    let thread = Thread::new(pid, &process, &frame, &[0; 16], Vector::initial(), 0)
        .map_err(|_| "not enough memory")?;
    *thread.name.lock() = comm(&config.exe);
    entry::set_init_process(process);
    thread.set_state(State::Runnable);
    sched::keep(thread.clone());
    sched::enqueue(thread);
    Ok(())
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

/// `TASK_COMM_LEN`: 15 bytes of the file's name.
fn comm(path: &[u8]) -> [u8; 16] {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    let mut comm = [0; 16];
    comm.iter_mut()
        .take(15)
        .zip(name)
        .for_each(|(slot, byte)| *slot = *byte);
    comm
}

/// Where the first instruction is, and the stack pointer.
struct Loaded {
    entry: u64,
    sp: u64,
}

/// An open file, for the loader.
struct Source<'a>(&'a File);

impl ReadAt for Source<'_> {
    type Error = Errno;

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.0.read_at(offset, &mut SliceSink::new(buffer))
    }

    fn len(&self) -> u64 {
        self.0.metadata().size
    }
}

fn open(fs: &FsContext, path: &[u8]) -> Result<Arc<File>, String> {
    let credentials = Credentials::default();
    let how = OpenHow {
        flags: O_RDONLY,
        ..OpenHow::default()
    };
    At::cwd(fs, &credentials)
        .open(path, &how)
        .map_err(|errno| format!("{}: {errno:?}", String::from_utf8_lossy(path)))
}

/// Resolves `#!` lines: the file that is really run, and the arguments.
fn resolve(fs: &FsContext, config: &Config) -> Result<(Arc<File>, Vec<u8>, Vec<Vec<u8>>), String> {
    let mut path = config.exe.clone();
    let mut args = config.args.clone();
    for _ in 0..SCRIPT_DEPTH {
        let file = open(fs, &path)?;
        let mut head = [0; 256];
        let len = file
            .read_at(0, &mut SliceSink::new(&mut head))
            .map_err(|errno| format!("{}: {errno:?}", String::from_utf8_lossy(&path)))?;
        match classify(&head[..len]) {
            FileKind::Script(script) => {
                let mut new: Vec<Vec<u8>> = Vec::from([script.interp.to_vec()]);
                new.extend(script.arg.map(<[u8]>::to_vec));
                new.push(path);
                new.extend(args.into_iter().skip(1));
                (path, args) = (script.interp.to_vec(), new);
            }
            _ => return Ok((file, path, args)),
        }
    }
    Err(String::from("too many levels of scripts"))
}

fn parse(file: &File, path: &[u8]) -> Result<Program, String> {
    Program::parse(&Source(file)).map_err(|error| match error {
        LoadError::Elf(error) => format!("{}: {error}", String::from_utf8_lossy(path)),
        LoadError::Read(errno) => format!("{}: {errno:?}", String::from_utf8_lossy(path)),
        LoadError::NoMemory => String::from("not enough memory"),
    })
}

fn load(process: &Arc<Process>, config: &Config) -> Result<Loaded, String> {
    let (file, path, args) = resolve(&process.fs, config)?;
    let program = parse(&file, &path)?;
    let interp = match &program.interp {
        Some(interp_path) => {
            let file = open(&process.fs, interp_path)?;
            let plan = parse(&file, interp_path)?;
            Some((file, plan))
        }
        None => None,
    };
    let stack_limit = process.state.limits.lock().current(Resource::STACK);
    let [stack, mmap, pie, brk, align_rnd] = random_words();
    let entropy = Entropy {
        stack,
        mmap,
        pie,
        brk,
    };
    let layout = Layout::choose(
        &entropy,
        stack_limit,
        &program,
        interp.as_ref().map(|(_, plan)| plan),
    )
    .ok_or("the program does not fit into the address space")?;
    let layout = align_to_image(layout, &file, &program);
    let space = &process.space;
    let memory = |errno: Errno| {
        let (has, more) = frame::advice();
        format!(
            "cannot map the program: {errno:?}; {has} MiB are too few, give the machine more memory with -m, for example -m {more}M"
        )
    };
    map_program(space, &file, &program, layout.program_bias).map_err(memory)?;
    if let Some((file, plan)) = &interp {
        map_program(space, file, plan, layout.interp_bias).map_err(memory)?;
    }
    space.set_layout(layout.mmap_base, layout.brk_start);
    let vdso = crate::vdso::map(space).map_err(memory)?;
    let entry = program.entry.wrapping_add(layout.program_bias);
    let auxv = loader::Auxv {
        sysinfo_ehdr: vdso,
        minsigstksz: sigframe::min_stack(),
        hwcap: u64::from(__cpuid(1).edx),
        hwcap2: 2,
        phdr: if program.phdr_vaddr == 0 {
            0
        } else {
            program.phdr_vaddr.wrapping_add(layout.program_bias)
        },
        phnum: u64::from(program.phnum),
        base: layout.interp_bias,
        entry,
        uid: u64::from(config.uid),
        euid: u64::from(config.uid),
        gid: u64::from(config.gid),
        egid: u64::from(config.gid),
        secure: false,
        rseq_feature_size: 28,
        rseq_align: 32,
    };
    let mut random = [0; 16];
    random::fill(&mut random);
    let request = StackRequest {
        top: layout.stack_top,
        argv: &args,
        envp: &config.env,
        execfn: &config.exe,
        random,
        align_rnd,
        stack_limit,
        auxv: &auxv,
    };
    let image = stack::build(&request).map_err(|error| format!("{error}"))?;
    map_stack(
        space,
        layout.stack_top,
        stack_limit,
        program.exec_stack,
        &image,
    )
    .map_err(memory)?;
    *process.exec.lock() = ExecInfo {
        exe: Some(file.place().clone()),
        args: image.args,
        env: image.env,
        auxv: image.auxv,
        brk_start: layout.brk_start,
        stack_top: layout.stack_top,
    };
    let start = interp.as_ref().map_or(entry, |(_, plan)| {
        plan.entry.wrapping_add(layout.interp_bias)
    });
    Ok(Loaded {
        entry: start,
        sp: image.sp,
    })
}

fn random_words() -> [u64; 5] {
    let mut bytes = [0; 40];
    random::fill(&mut bytes);
    let mut words = [0; 5];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

/// A large position-independent program goes where its pages in the image can be mapped in 2 MiB pieces.
fn align_to_image(mut layout: Layout, file: &File, program: &Program) -> Layout {
    use crate::mm::layout::HUGE_PAGE;
    let movable = program.placement == loader::elf::Placement::Pie && program.len() >= HUGE_PAGE;
    let page = program
        .segments
        .first()
        .and_then(|segment| file.inode().map_page(segment.offset / PAGE, false).ok());
    if let (true, Some(page)) = (movable, page) {
        let wanted = page.as_ptr() as u64 % HUGE_PAGE;
        let shift = layout.program_base.wrapping_sub(wanted) % HUGE_PAGE;
        layout.program_base -= shift;
        layout.program_bias = layout.program_bias.wrapping_sub(shift);
    }
    layout
}

fn map_program(
    space: &AddressSpace,
    file: &File,
    program: &Program,
    bias: u64,
) -> Result<(), Errno> {
    for segment in &program.segments {
        if let Some(part) = segment.file_part() {
            let backing = file_backing(file, file.inode().clone(), false, part.offset);
            let prot = Prot::from_bits_truncate(part.prot.bits());
            space.map(
                MapAt::Fixed(part.vaddr.wrapping_add(bias)),
                part.len,
                prot,
                backing,
                MapFlags::empty(),
            )?;
        }
        if let Some(zero) = segment.zero_tail() {
            space.zero(zero.vaddr.wrapping_add(bias), zero.len)?;
        }
        if let Some(part) = segment.anon_part() {
            let prot = Prot::from_bits_truncate(part.prot.bits());
            space.map(
                MapAt::Fixed(part.vaddr.wrapping_add(bias)),
                part.len,
                prot,
                Backing::Anonymous,
                MapFlags::empty(),
            )?;
        }
    }
    Ok(())
}

fn map_stack(
    space: &AddressSpace,
    top: u64,
    limit: u64,
    exec: bool,
    image: &stack::StackImage,
) -> Result<(), Errno> {
    let size = page_up(limit.clamp(1 << 20, 1 << 30)).max(page_up(top - image.sp) + (1 << 20));
    let start = page_down(top - size);
    let mut prot = Prot::PROT_READ | Prot::PROT_WRITE;
    prot.set(Prot::PROT_EXEC, exec);
    space.map(
        MapAt::Fixed(start),
        top - start,
        prot,
        Backing::Anonymous,
        MapFlags::MAP_GROWSDOWN,
    )?;
    space.prefill(image.sp - STACK_PREFILL..page_up(top))?;
    space.copy_in(image.sp, &image.bytes)
}
