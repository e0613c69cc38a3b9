//! Why a file is refused: what is wrong, where, and the errno that `execve` gives for it.

use core::fmt;
use elf::abi;

const EIO: i32 = 5;
const ENOEXEC: i32 = 8;
const ENOMEM: i32 = 12;
const EINVAL: i32 = 22;
const ELIBBAD: i32 = 80;

/// A failed [`Program::parse`](super::Program::parse).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError<E> {
    /// The file is not something that can be run.
    Elf(ElfError),
    /// The file could not be read.
    Read(E),
    /// No memory for the headers.
    NoMemory,
}

impl<E> From<ElfError> for LoadError<E> {
    fn from(error: ElfError) -> Self {
        LoadError::Elf(error)
    }
}

impl<E> LoadError<E> {
    /// The errno for `execve`; `read` translates read errors.
    pub fn errno(&self, read: impl FnOnce(&E) -> i32) -> i32 {
        match self {
            LoadError::Elf(error) => error.errno(),
            LoadError::Read(error) => read(error),
            LoadError::NoMemory => ENOMEM,
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Elf(error) => error.fmt(f),
            LoadError::Read(error) => write!(f, "cannot read the file: {error}"),
            LoadError::NoMemory => f.write_str("not enough memory for the program headers"),
        }
    }
}

/// What is wrong with an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElfError {
    NotElf,
    HeaderTruncated { len: u64 },
    UnknownClass(u8),
    UnknownEncoding(u8),
    Class32(Machine),
    BigEndian(Machine),
    WrongMachine(Machine),
    IdentVersion(u8),
    Version(u32),
    NotExecutable(ObjectKind),
    HeaderSize(u16),
    PhentSize(u16),
    NoProgramHeaders,
    TooManyProgramHeaders(u16),
    ProgramHeadersOverlapHeader { offset: u64 },
    ProgramHeadersBeyondEof { offset: u64, size: u64, len: u64 },
    NoLoadSegment,
    OnlyEmptyLoadSegments,
    Segment { index: u16, fault: SegmentFault },
    InterpEmpty { index: u16 },
    InterpTooLong { index: u16, size: u64 },
    InterpBeyondEof { index: u16 },
    InterpNotTerminated { index: u16 },
    InterpRelative { index: u16 },
    EntryNotExecutable { entry: u64 },
}

/// What is wrong with one `PT_LOAD` segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentFault {
    FileLargerThanMemory { filesz: u64, memsz: u64 },
    OffsetOverflow { offset: u64, filesz: u64 },
    BeyondEof { end: u64, len: u64 },
    AddressOverflow { vaddr: u64, memsz: u64 },
    AboveUser { end: u64 },
    BelowUser { vaddr: u64 },
    InKernelSlot { vaddr: u64, end: u64 },
    NotCongruent { vaddr: u64, offset: u64 },
    AlignmentTooLarge { align: u64 },
    OutOfOrder { vaddr: u64, previous: u64 },
    Overlap { vaddr: u64, previous_end: u64 },
}

impl ElfError {
    /// The errno that `execve` gives when the program itself is at fault.
    pub fn errno(&self) -> i32 {
        match self {
            ElfError::Segment { .. } | ElfError::OnlyEmptyLoadSegments => EINVAL,
            ElfError::InterpBeyondEof { .. } => EIO,
            _ => ENOEXEC,
        }
    }

    /// The errno that `execve` gives when the fault is in the program's interpreter.
    pub fn errno_as_interpreter(&self) -> i32 {
        match self {
            ElfError::Segment { .. } | ElfError::OnlyEmptyLoadSegments => EINVAL,
            _ => ELIBBAD,
        }
    }
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ElfError::NotElf => f.write_str("not an ELF file: wrong magic bytes"),
            ElfError::HeaderTruncated { len } => {
                write!(f, "ELF header is cut off: the file has only {len} bytes")
            }
            ElfError::UnknownClass(class) => write!(
                f,
                "ELF class {class} in byte 4 is neither 32-bit nor 64-bit"
            ),
            ElfError::UnknownEncoding(data) => {
                write!(f, "ELF data encoding {data} in byte 5 is unknown")
            }
            ElfError::Class32(machine) => write!(
                f,
                "32-bit ELF file for {machine}; only 64-bit x86-64 can run"
            ),
            ElfError::BigEndian(machine) => {
                write!(f, "big-endian ELF file for {machine}; only x86-64 can run")
            }
            ElfError::WrongMachine(machine) => {
                write!(f, "ELF file for {machine}; only x86-64 can run")
            }
            ElfError::IdentVersion(version) => {
                write!(f, "ELF version {version} in byte 6; it must be 1")
            }
            ElfError::Version(version) => write!(f, "e_version is {version}; it must be 1"),
            ElfError::NotExecutable(kind) => write!(f, "e_type says {kind}, not an executable"),
            ElfError::HeaderSize(size) => write!(f, "e_ehsize is {size}; it must be 64"),
            ElfError::PhentSize(size) => write!(f, "e_phentsize is {size}; it must be 56"),
            ElfError::NoProgramHeaders => f.write_str("e_phnum is 0: no program headers"),
            ElfError::TooManyProgramHeaders(count) => {
                write!(f, "e_phnum is {count}: the program headers exceed 64 KiB")
            }
            ElfError::ProgramHeadersOverlapHeader { offset } => {
                write!(f, "e_phoff {offset:#x} lies inside the ELF header")
            }
            ElfError::ProgramHeadersBeyondEof { offset, size, len } => write!(
                f,
                "program headers at offset {offset:#x}, {size} bytes, lie beyond the end of the file at {len:#x}"
            ),
            ElfError::NoLoadSegment => f.write_str("no PT_LOAD program header: nothing to load"),
            ElfError::OnlyEmptyLoadSegments => {
                f.write_str("every PT_LOAD segment has p_memsz 0: nothing to load")
            }
            ElfError::Segment { index, fault } => {
                write!(f, "program header {index} (PT_LOAD): {fault}")
            }
            ElfError::EntryNotExecutable { entry } => {
                write!(f, "entry point {entry:#x} lies in no executable segment")
            }
            ElfError::InterpEmpty { index } => {
                write!(f, "program header {index} (PT_INTERP): the path is empty")
            }
            ElfError::InterpTooLong { index, size } => {
                write!(
                    f,
                    "program header {index} (PT_INTERP): {size} bytes is too long for a path"
                )
            }
            ElfError::InterpBeyondEof { index } => {
                write!(
                    f,
                    "program header {index} (PT_INTERP): the path lies beyond the end of the file"
                )
            }
            ElfError::InterpNotTerminated { index } => {
                write!(
                    f,
                    "program header {index} (PT_INTERP): the path does not end with a NUL byte"
                )
            }
            ElfError::InterpRelative { index } => {
                write!(
                    f,
                    "program header {index} (PT_INTERP): the path is not absolute"
                )
            }
        }
    }
}

impl fmt::Display for SegmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            SegmentFault::FileLargerThanMemory { filesz, memsz } => {
                write!(f, "p_filesz {filesz:#x} exceeds p_memsz {memsz:#x}")
            }
            SegmentFault::OffsetOverflow { offset, filesz } => {
                write!(f, "p_offset {offset:#x} + p_filesz {filesz:#x} overflows")
            }
            SegmentFault::BeyondEof { end, len } => {
                write!(
                    f,
                    "file data up to {end:#x} lie beyond the end of the file at {len:#x}"
                )
            }
            SegmentFault::AddressOverflow { vaddr, memsz } => {
                write!(f, "p_vaddr {vaddr:#x} + p_memsz {memsz:#x} overflows")
            }
            SegmentFault::AboveUser { end } => {
                write!(f, "end {end:#x} is above the user address range")
            }
            SegmentFault::BelowUser { vaddr } => {
                write!(f, "p_vaddr {vaddr:#x} is below the user address range")
            }
            SegmentFault::InKernelSlot { vaddr, end } => {
                write!(
                    f,
                    "{vaddr:#x}..{end:#x} lies in the address range reserved for the kernel"
                )
            }
            SegmentFault::NotCongruent { vaddr, offset } => {
                write!(
                    f,
                    "p_vaddr {vaddr:#x} and p_offset {offset:#x} differ modulo the page size"
                )
            }
            SegmentFault::AlignmentTooLarge { align } => {
                write!(f, "p_align {align:#x} is too large")
            }
            SegmentFault::OutOfOrder { vaddr, previous } => {
                write!(
                    f,
                    "p_vaddr {vaddr:#x} is below the one before, {previous:#x}: not in ascending order"
                )
            }
            SegmentFault::Overlap {
                vaddr,
                previous_end,
            } => {
                write!(
                    f,
                    "p_vaddr {vaddr:#x} overlaps the segment before, which ends at {previous_end:#x}"
                )
            }
        }
    }
}

/// An `e_machine` value; prints as the name that people know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine(pub u16);

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            abi::EM_NONE => "no machine",
            abi::EM_386 => "i386",
            abi::EM_X86_64 => "x86-64",
            abi::EM_ARM => "ARM",
            abi::EM_AARCH64 => "AArch64",
            abi::EM_RISCV => "RISC-V",
            abi::EM_PPC => "PowerPC",
            abi::EM_PPC64 => "PowerPC64",
            abi::EM_S390 => "IBM S/390",
            abi::EM_MIPS => "MIPS",
            abi::EM_SPARC | abi::EM_SPARC32PLUS | abi::EM_SPARCV9 => "SPARC",
            abi::EM_IA_64 => "Itanium",
            abi::EM_LOONGARCH => "LoongArch",
            abi::EM_BPF => "BPF",
            other => return write!(f, "machine {other}"),
        };
        f.write_str(name)
    }
}

/// An `e_type` value that is neither `ET_EXEC` nor `ET_DYN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKind(pub u16);

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            abi::ET_NONE => f.write_str("no file type"),
            abi::ET_REL => f.write_str("relocatable object"),
            abi::ET_CORE => f.write_str("core dump"),
            other => write!(f, "unknown type {other}"),
        }
    }
}
