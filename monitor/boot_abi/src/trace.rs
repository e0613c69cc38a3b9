//! Tracing of system calls: a ring of records in guest memory that the monitor empties into a descriptor.
//!
//! The kernel, told to trace (by the configuration record [`crate::config::TRACE`] or by a line [`crate::LINE_TRACE`] on the
//! control port), makes the ring and writes its page frame number to [`PORT`]. It adds records and moves HEAD; the monitor takes
//! bytes and moves TAIL. Nothing is dropped: where the ring is full the kernel writes [`EMPTY`] to the port, and that
//! write returns when there is room. Both counters are of bytes since the start; byte `n` lies at `n % size` of the data.
//!
//! A record, little-endian: u32 length (a multiple of 8, with this header), u8 kind, u8 flags, u16 zero, i32 thread, i32
//! process, u64 nanoseconds since 1970; then
//! - [`ENTER`]: u64 number, u64 address that the call returns to, six u64 arguments, snippets;
//! - [`EXIT`]: u64 number, i64 result, u64 nanoseconds that it took, snippets;
//! - [`SIGNAL`]: the 128 bytes of its `siginfo_t`;
//! - [`ENDED`]: u64 wait status; of the process with flag [`WHOLE_PROCESS`], else of the thread;
//! - [`SITE`]: u64 address of a `syscall` that trapped for the first time, text that says where that is;
//! - [`STARTED`]: a process began to be traced; text, its program. With flag [`FROM_START`], before its first system call: u64
//!   length of that text, u64 address of its arguments, u64 of its environment, the text, zeros up to a multiple of 8, snippets
//!   with both, each string with its NUL.
//!
//! A snippet is a piece of the program's memory: u64 address, u32 length, u32 zero, the bytes, zeros up to a multiple of 8.

/// Port for 32-bit writes.
pub const PORT: u16 = 0xe4;
/// Value for [`PORT`]: empty the ring before you return.
pub const EMPTY: u32 = 0;

/// First word of the ring.
pub const MAGIC: u64 = 0x3152_5254_5450_4d43;
/// Offsets in the ring: its magic, the size of its data, the two counters, the data.
pub const AT_MAGIC: u64 = 0;
pub const AT_SIZE: u64 = 8;
pub const AT_HEAD: u64 = 64;
pub const AT_TAIL: u64 = 128;
pub const AT_DATA: u64 = 4096;
/// More is not believed.
pub const SIZE_MAX: u64 = 16 << 20;

pub const HEADER: usize = 24;
pub const ENTER: u8 = 1;
pub const EXIT: u8 = 2;
pub const SIGNAL: u8 = 3;
pub const ENDED: u8 = 4;
pub const SITE: u8 = 5;
pub const STARTED: u8 = 6;

/// Flag of [`ENTER`]: the call came by the trap, not by a jump.
pub const TRAPPED: u8 = 1;
/// Flag of [`STARTED`].
pub const FROM_START: u8 = 1;
/// Flag of [`ENDED`].
pub const WHOLE_PROCESS: u8 = 1;

/// Bits of a filter: room for all numbers.
const CALLS: usize = 512;
/// The longest piece of a string that can be asked for.
pub const STRING_MAX: u32 = 4096;

/// What to trace, as text: `STRSIZE CALLS`. CALLS is `all`, or hexadecimal digits, of which digit `i` stands for the calls
/// `4 * i ..`, the lowest in its lowest bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How much of a string or buffer is copied.
    pub string: u32,
    calls: [u8; CALLS / 8],
}

impl Settings {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let string = words.next()?.parse().ok().filter(|n| *n <= STRING_MAX)?;
        let digits = words.next()?;
        let mut calls = [0xff; CALLS / 8];
        if digits != "all" {
            calls = [0; CALLS / 8];
            for (at, digit) in digits.bytes().enumerate() {
                let value = char::from(digit).to_digit(16)? as u8;
                *calls.get_mut(at / 2)? |= value << (4 * (at % 2));
            }
        }
        words.next().is_none().then_some(Self { string, calls })
    }

    /// Whether a call is wanted.
    #[must_use]
    pub fn wants(&self, nr: u64) -> bool {
        // Numbers that no table knows are always of interest.
        usize::try_from(nr)
            .ok()
            .and_then(|nr| Some(self.calls.get(nr / 8)? >> (nr % 8) & 1 == 1))
            .unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_calls_by_bits() {
        let settings = Settings::parse("32 2001").unwrap();
        let wanted: [bool; 4] = [0, 1, 12, 13].map(|nr| settings.wants(nr));
        assert_eq!((settings.string, wanted), (32, [false, true, true, false]));
        assert!(settings.wants(5000) && settings.wants(u64::MAX));
        assert!(Settings::parse("0 all").unwrap().wants(469));
    }

    #[test]
    fn nonsense_is_no_setting() {
        let long = [b'f'; 129];
        let mut text = [b' '; 132];
        text[0] = b'9';
        text[2..131].copy_from_slice(&long);
        for bad in ["", "32", "x all", "32 xyz", "32 all more", "9999 all"] {
            assert_eq!(Settings::parse(bad), None, "{bad}");
        }
        assert_eq!(Settings::parse(core::str::from_utf8(&text).unwrap()), None);
    }
}
