//! A program in a new address space: found, checked, mapped, with its stack.

use super::Request;
use super::failure::Failure;
use crate::drivers::random;
use crate::mm::layout::{PAGE, page_down, page_up};
use crate::mm::map::Backing;
use crate::mm::space::{AddressSpace, At as MapAt, file_backing};
use crate::task::process::ExecInfo;
use crate::task::sigframe;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::arch::x86_64::__cpuid;
use linux_abi::raw::general::O_RDONLY;
use linux_abi::{Errno, MapFlags, Prot};
use loader::aslr::{Entropy, Layout};
use loader::elf::{Program, ReadAt};
use loader::script::{FileKind, HEAD_SIZE, classify};
use loader::stack::{self, StackRequest};
use syscall_shim::state::Identity;
use vfs::{At, Credentials, File, FileType, FsContext, LookupFlags, Place, SliceSink, access};

/// Scripts may name scripts; as deep as Linux allows.
const SCRIPT_DEPTH: usize = 5;
const STACK_PREFILL: u64 = 64 << 10;

/// By whom.
pub struct Runner<'a> {
    pub fs: &'a FsContext,
    /// Whose right to run files is asked for; none: nobody's.
    pub credentials: Option<&'a Credentials>,
    pub stack_limit: u64,
}

/// The file that is really run, with its interpreters looked up.
pub struct Found {
    pub file: Arc<File>,
    path: Vec<u8>,
    args: Vec<Vec<u8>>,
}

/// The new space, where the first instruction is, and the stack pointer.
pub struct Loaded {
    pub space: Arc<AddressSpace>,
    pub entry: u64,
    pub sp: u64,
    pub info: ExecInfo,
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

impl Runner<'_> {
    fn find(&self, path: &[u8]) -> Result<Place, Failure> {
        let root = Credentials::default();
        let credentials = self.credentials.unwrap_or(&root);
        At::cwd(self.fs, credentials)
            .resolve(path, LookupFlags::FOLLOW)
            .map_err(|errno| Failure::file(path, errno))
    }

    /// The file, if it may be run.
    fn open(&self, place: Place, path: &[u8]) -> Result<Arc<File>, Failure> {
        let denied = |errno| Failure::file(path, errno);
        if place.inode.kind() != FileType::Regular {
            return Err(denied(Errno::EACCES));
        }
        if let Some(credentials) = self.credentials {
            credentials
                .check(&place.inode.metadata(), access::EXEC)
                .map_err(denied)?;
        }
        Ok(File::new(place, None, O_RDONLY))
    }

    /// Resolves `#!` lines.
    pub fn resolve(&self, request: &Request) -> Result<Found, Failure> {
        let mut path = request.path.clone();
        let mut args = request.args.clone();
        let mut place = request.place.clone();
        for _ in 0..SCRIPT_DEPTH {
            let file = self.open(place, &path)?;
            let mut head = [0; HEAD_SIZE];
            let len = file
                .read_at(0, &mut SliceSink::new(&mut head))
                .map_err(|errno| Failure::file(&path, errno))?;
            let FileKind::Script(script) = classify(head.get(..len).unwrap_or(&head)) else {
                return Ok(Found { file, path, args });
            };
            if script.interp.is_empty() {
                return Err(Failure::file(&path, Errno::EACCES));
            }
            let mut new: Vec<Vec<u8>> = Vec::from([script.interp.to_vec()]);
            new.extend(script.arg.map(<[u8]>::to_vec));
            new.push(path);
            new.extend(args.into_iter().skip(1));
            (path, args) = (script.interp.to_vec(), new);
            place = self.find(&path)?;
        }
        Err(Failure::Scripts)
    }

    /// Makes the space. `identity` is that of the program, which may not be the caller's.
    pub fn load(
        &self,
        found: &Found,
        request: &Request,
        identity: &Identity,
    ) -> Result<Loaded, Failure> {
        let file = &found.file;
        let program = parse(file, &found.path, false)?;
        let interp = match &program.interp {
            Some(path) => {
                let file = self.open(self.find(path)?, path)?;
                let plan = parse(&file, path, true)?;
                Some((file, plan))
            }
            None => None,
        };
        let [stack, mmap, pie, brk, align_rnd] = random_words();
        let entropy = Entropy {
            stack,
            mmap,
            pie,
            brk,
        };
        let layout = Layout::choose(
            &entropy,
            self.stack_limit,
            &program,
            interp.as_ref().map(|(_, plan)| plan),
        )
        .ok_or(Failure::NoRoom)?;
        let layout = align_to_image(layout, file, &program);
        let space = AddressSpace::new().map_err(Failure::Memory)?;
        map_program(&space, file, &program, layout.program_bias).map_err(Failure::Memory)?;
        if let Some((file, plan)) = &interp {
            map_program(&space, file, plan, layout.interp_bias).map_err(Failure::Memory)?;
        }
        space.set_layout(layout.mmap_base, layout.brk_start);
        let vdso = crate::vdso::map(&space).map_err(Failure::Memory)?;
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
            uid: u64::from(identity.ruid),
            euid: u64::from(identity.euid),
            gid: u64::from(identity.rgid),
            egid: u64::from(identity.egid),
            secure: identity.ruid != identity.euid || identity.rgid != identity.egid,
            rseq_feature_size: 28,
            rseq_align: 32,
        };
        let mut random = [0; 16];
        random::fill(&mut random);
        let image = stack::build(&StackRequest {
            top: layout.stack_top,
            argv: &found.args,
            envp: &request.env,
            execfn: &request.path,
            random,
            align_rnd,
            stack_limit: self.stack_limit,
            auxv: &auxv,
        })
        .map_err(Failure::Arguments)?;
        map_stack(
            &space,
            layout.stack_top,
            self.stack_limit,
            program.exec_stack,
            &image,
        )
        .map_err(Failure::Memory)?;
        let info = ExecInfo {
            exe: Some(file.place().clone()),
            args: image.args,
            env: image.env,
            auxv: image.auxv,
            brk_start: layout.brk_start,
            stack_top: layout.stack_top,
            vdso: if interp.is_some() || program.has_abi_tag {
                vdso
            } else {
                0
            },
        };
        let start = interp.as_ref().map_or(entry, |(_, plan)| {
            plan.entry.wrapping_add(layout.interp_bias)
        });
        Ok(Loaded {
            space,
            entry: start,
            sp: image.sp,
            info,
        })
    }
}

fn parse(file: &File, path: &[u8], is_interpreter: bool) -> Result<Program, Failure> {
    Program::parse(&Source(file)).map_err(|error| Failure::program(path, error, is_interpreter))
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
