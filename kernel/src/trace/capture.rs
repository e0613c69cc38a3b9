//! What is copied of the program's memory, by `syscall_shim::pointers`.

use super::record::Record;
use linux_abi::Errno;
use syscall_shim::Regs;
use syscall_shim::pointers::{Count, Data, Flow, Pointer, pointers};

const PATH_MAX: u64 = 4096;
/// More elements of an array are not shown.
const ELEMENTS: u64 = 64;
/// A socket's address, an option's value.
const SMALL: u64 = 256;
/// Where only another argument knows what there is.
const UNKNOWN: u64 = 64;
/// Less can be no address, and a look there would be a fault.
const LOWEST: u64 = 0x1_0000;
const IOVEC: u64 = 16;

/// What the call gets.
pub fn before(record: &mut Record, nr: u64, regs: &Regs, string: u32) {
    let copier = Copier {
        regs,
        string: u64::from(string),
        result: None,
    };
    for pointer in pointers(nr) {
        if pointer.flow.before() {
            copier.copy(record, pointer);
        }
    }
}

/// What it gave.
pub fn after(record: &mut Record, nr: u64, regs: &Regs, result: i64, string: u32) {
    let interrupted = [Errno::EINTR, Errno::ERESTARTSYS, Errno::ERESTARTNOHAND]
        .iter()
        .any(|errno| result == -i64::from(errno.raw()));
    if (-4095..0).contains(&result) && !interrupted {
        return;
    }
    let copier = Copier {
        regs,
        string: u64::from(string),
        result: Some(result.max(0) as u64),
    };
    for pointer in pointers(nr) {
        if pointer.flow.after() {
            copier.copy(record, pointer);
        }
    }
}

struct Copier<'a> {
    regs: &'a Regs,
    string: u64,
    /// The call's, once it is over.
    result: Option<u64>,
}

impl Copier<'_> {
    fn arg(&self, at: u8) -> u64 {
        self.regs.args.get(usize::from(at)).copied().unwrap_or(0)
    }

    fn count(&self, record: &mut Record, count: Count) -> u64 {
        match count {
            Count::Argument(at) => self.arg(at),
            Count::Behind(at) => {
                let bytes = <[u8; 4]>::try_from(record.snippet(self.arg(at), 4));
                bytes.map_or(0, u32::from_le_bytes).into()
            }
            Count::One => 1,
        }
    }

    /// How many there are of what the call was asked to fill: its result, as a rule.
    fn filled(&self, flow: Flow, count: u64) -> u64 {
        match self.result {
            Some(result) if flow == Flow::Out && result != 0 => count.min(result),
            _ => count,
        }
    }

    fn copy(&self, record: &mut Record, pointer: &Pointer) {
        let address = self.arg(pointer.arg);
        if address < LOWEST {
            return;
        }
        let flow = pointer.flow;
        match pointer.data {
            Data::Text => record.string(address, PATH_MAX),
            Data::Bytes(count) => {
                let len = self.count(record, count);
                let len = match self.result {
                    Some(result) if flow == Flow::Out => len.min(result),
                    _ => len,
                };
                record.snippet(address, len.min(self.string));
            }
            Data::Small(count) => {
                let len = self.count(record, count).min(SMALL);
                record.snippet(address, self.filled(flow, len));
            }
            Data::Whole(count) => {
                let len = self.count(record, count);
                record.snippet(address, self.filled(flow, len));
            }
            Data::Structs(size, count) => {
                let many = self.count(record, count);
                let many = match count {
                    Count::One => 1,
                    // No result, no elements: nobody was waited for in vain.
                    _ => self.filled(flow, many).min(ELEMENTS),
                };
                record.snippet(address, u64::from(size) * many);
            }
            Data::Vectors(count) => {
                let many = self.count(record, count);
                self.vectors(record, address, many);
            }
            Data::Messages(step, count) => {
                let many = self.count(record, count);
                let many = self.filled(flow, many).min(ELEMENTS);
                for at in 0..many {
                    self.message(record, address.wrapping_add(at * u64::from(step)), step);
                }
            }
            Data::Texts => self.texts(record, address),
            Data::Bits(bits) => {
                let bytes = (self.arg(bits) & 0xffff).div_ceil(64) * 8;
                record.snippet(address, bytes);
            }
            Data::Unknown => {
                record.snippet(address, UNKNOWN);
            }
        }
    }

    fn vectors(&self, record: &mut Record, address: u64, many: u64) {
        let vectors = record.snippet(address, many.min(ELEMENTS) * IOVEC).to_vec();
        let mut left = self.result.unwrap_or(u64::MAX);
        for vector in vectors.chunks_exact(IOVEC as usize) {
            let (base, len) = (word(vector, 0), word(vector, 8).min(left));
            record.snippet(base, len.min(self.string));
            left -= len;
        }
    }

    /// `struct msghdr`: name, its length, vectors, their number, control data, their length.
    fn message(&self, record: &mut Record, address: u64, size: u16) {
        let header = record.snippet(address, u64::from(size)).to_vec();
        record.snippet(
            word(&header, 0),
            (word(&header, 8) & 0xffff_ffff).min(SMALL),
        );
        self.vectors(record, word(&header, 16), word(&header, 24));
        record.snippet(word(&header, 32), word(&header, 40).min(SMALL));
    }

    fn texts(&self, record: &mut Record, address: u64) {
        let pointers = record.snippet(address, ELEMENTS * 8).to_vec();
        for pointer in pointers.chunks_exact(8) {
            match word(pointer, 0) {
                0 => break,
                text => record.string(text, self.string + 1),
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}
