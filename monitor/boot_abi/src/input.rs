//! Standard input that is a file, which the guest reads at any offset.
//!
//! The configuration record [`crate::config::STDIN_FILE`] offers it. The kernel keeps a page of its own for requests: [`WORDS`] words
//! of 64 bits from the page's start on, little-endian. A write of the page's frame number to [`PORT`] carries the request out
//! and returns when it is answered; the CPU waits for as long as the host's file takes.

/// Port for 32-bit writes.
pub const PORT: u16 = 0xe0;

/// Words of a request: what to do, at which offset of the file, into how many bytes of guest memory, from which physical address on.
pub const OPERATION: usize = 0;
pub const OFFSET: usize = 1;
pub const LENGTH: usize = 2;
pub const BUFFER: usize = 3;
/// The answer: how many bytes were read, or an errno, negative.
pub const RESULT: usize = 4;
/// The answer to [`STAT`]: size, blocks of 512 bytes, mode with its type, links; last access, last change of the content and of the rest, each in seconds
/// and nanoseconds.
pub const SIZE: usize = 5;
pub const BLOCKS: usize = 6;
pub const MODE: usize = 7;
pub const LINKS: usize = 8;
pub const TIMES: usize = 9;
pub const WORDS: usize = 15;

/// Part of every operation, so that a page with something else in it is none with a request.
const MAGIC: u64 = 0x7475_706e_6900_0000;
/// Operation: read, as pread(2).
pub const READ: u64 = MAGIC | 1;
/// Operation: what fstat(2) says.
pub const STAT: u64 = MAGIC | 2;
/// Operation: the host's file position is to be OFFSET, for whoever reads on.
pub const LEAVE: u64 = MAGIC | 3;
