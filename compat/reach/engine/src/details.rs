//! Arguments that select what a call does.

use iced_x86::Register::{self, R10, RDI, RDX, RSI};

/// A site that serves more calls gives each other arguments, and which go together is not known.
pub const MAX_NUMBERS: usize = 2;

/// Kinds and the registers that hold them, by the call's number.
pub fn of(number: u64) -> &'static [(&'static str, Register)] {
    match number {
        9 => &[("mmap.flags", R10)],
        16 => &[("ioctl.request", RSI)],
        28 => &[("madvise.advice", RDX)],
        41 => &[
            ("socket.domain", RDI),
            ("socket.type", RSI),
            ("socket.protocol", RDX),
        ],
        54 => &[("setsockopt.level", RSI), ("setsockopt.option", RDX)],
        55 => &[("getsockopt.level", RSI), ("getsockopt.option", RDX)],
        56 => &[("clone.flags", RDI)],
        72 => &[("fcntl.command", RSI)],
        157 => &[("prctl.option", RDI)],
        202 => &[("futex.operation", RSI)],
        _ => &[],
    }
}
