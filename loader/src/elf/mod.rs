//! ELF64 executables, position-independent executables and interpreters for x86-64.
//!
//! [`Program::parse`] validates a file the way Linux's `binfmt_elf` does, refuses what Linux would only notice by a
//! crash, and yields a plan: which pages come from where, with which protection, and what goes into `auxv`.

mod error;
mod header;
mod interp;
mod note;
mod plan;
mod read;
mod segment;
#[cfg(test)]
mod tests;

pub use error::{ElfError, LoadError, Machine, ObjectKind, SegmentFault};
pub use plan::{Placement, Program};
pub use read::ReadAt;
pub use segment::{AnonPart, FilePart, Prot, Segment, ZeroTail};
