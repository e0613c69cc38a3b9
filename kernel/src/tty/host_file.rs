//! Standard input that is a file of the host's: read at any offset, by requests to the monitor (`boot_abi::input`).
#![allow(unsafe_code)]

use crate::mm::frame::{self, For, Pfn};
use crate::mm::layout::PAGE;
use alloc::sync::Arc;
use boot_abi::input as abi;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use linux_abi::Errno;
use linux_abi::raw::general::SEEK_SET;
use spin::{Mutex, Once};
use vfs::{File, FileOps, FileType, Metadata, Result, SeekKind, Sink, Timestamp};

/// 2^n pages: one for requests, the others for data.
const ORDER: u8 = 4;
const DATA: u64 = (PAGE << ORDER) - PAGE;
/// What a read that does not follow the one before asks for at least.
const LEAST: u64 = PAGE;

pub struct HostFile(Mutex<Requests>);

/// The memory for requests, and what is left of the last answer.
struct Requests {
    block: Pfn,
    /// Bytes of the file that were read ahead: each is handed out once, so that later changes of the file are seen.
    ahead: Range<u64>,
    /// The file offset of the data's first byte.
    start: u64,
    /// Where the last read ended.
    next: u64,
}

impl HostFile {
    /// None: there is no memory for it.
    pub fn new() -> Option<Self> {
        let block = frame::alloc_zeroed(ORDER, For::Kernel)?;
        Some(Self(Mutex::new(Requests {
            block,
            ahead: 0..0,
            start: 0,
            next: u64::MAX,
        })))
    }
}

impl Requests {
    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: an aligned word of the first page, which is never given back; the other side of it is the monitor.
        unsafe { &*((self.block.virt() + 8 * index as u64) as *const AtomicU64) }
    }

    fn get(&self, index: usize) -> u64 {
        self.word(index).load(Relaxed)
    }

    fn ask(&mut self, operation: u64, offset: u64, length: u64) -> Result<u64> {
        for (index, value) in [
            (abi::OPERATION, operation),
            (abi::OFFSET, offset),
            (abi::LENGTH, length),
            (abi::BUFFER, self.block.phys() + PAGE),
            (abi::RESULT, u64::MAX),
        ] {
            self.word(index).store(value, Relaxed);
        }
        // SAFETY: the monitor writes to the block only: words, and as much data as the block has room for.
        unsafe {
            core::arch::asm!("out dx, eax", in("dx") abi::PORT, in("eax") self.block.0, options(nostack, preserves_flags));
        }
        let result = self.get(abi::RESULT);
        // An errno is negative. Of a regular file there is nothing but EIO to tell.
        if result > length {
            Err(Errno::EIO)
        } else {
            Ok(result)
        }
    }

    /// The file's bytes from `at` on, as far as they are here; none at its end.
    fn bytes(&mut self, at: u64, wanted: usize) -> Result<&[u8]> {
        if !self.ahead.contains(&at) {
            let length = if at == self.next {
                DATA
            } else {
                (wanted as u64).clamp(LEAST, DATA)
            };
            let got = self.ask(abi::READ, at, length)?;
            (self.start, self.ahead) = (at, at..at.saturating_add(got));
        }
        let (from, len) = (at - self.start, self.ahead.end - at);
        let data = self.block.virt() + PAGE + from;
        // SAFETY: `ask` believes no answer that is longer than the block's data; nobody writes there before the next request.
        Ok(unsafe { core::slice::from_raw_parts(data as *const u8, len as usize) })
    }
}

impl FileOps for HostFile {
    /// Fills the sink, as of regular files; less only at the end.
    fn read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        let mut requests = self.0.lock();
        let mut at = offset;
        let answer = loop {
            let wanted = sink.remaining();
            if wanted == 0 {
                break Ok(());
            }
            let taken = requests.bytes(at, wanted).and_then(|bytes| {
                let piece = bytes.get(..wanted.min(bytes.len())).unwrap_or(bytes);
                sink.put(piece).map(|()| piece.len() as u64)
            });
            match taken {
                Ok(0) => break Ok(()),
                Ok(count) => {
                    at += count;
                    requests.ahead.start = at;
                    requests.next = at;
                }
                Err(errno) => break Err(errno),
            }
        };
        match (at - offset, answer) {
            (0, Err(errno)) => Err(errno),
            (count, _) => Ok(count as usize),
        }
    }

    fn seek_kind(&self) -> SeekKind {
        SeekKind::Position
    }

    fn kind(&self) -> Option<FileType> {
        Some(FileType::Regular)
    }

    fn metadata(&self) -> Option<Metadata> {
        let mut requests = self.0.lock();
        requests.ask(abi::STAT, 0, 0).ok()?;
        let time = |index: usize| Timestamp {
            sec: requests.get(abi::TIMES + 2 * index) as i64,
            nsec: requests.get(abi::TIMES + 2 * index + 1) as u32,
        };
        Some(Metadata {
            mode: FileType::Regular.mode_bits() | requests.get(abi::MODE) as u32 & 0o7777,
            nlink: requests.get(abi::LINKS) as u32,
            size: requests.get(abi::SIZE),
            blocks: requests.get(abi::BLOCKS),
            blksize: PAGE as u32,
            atime: time(0),
            mtime: time(1),
            ctime: time(2),
            ..Metadata::default()
        })
    }

    fn class(&self) -> &'static str {
        "stream"
    }

    fn reopen(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn FileOps>> {
        Ok(self)
    }
}

/// Standard input as the program was given it, and the position that the host's file has.
static GIVEN: Once<(Arc<File>, u64)> = Once::new();

/// `file` begins at `position`; where it is at the machine's end others on the host read on.
pub fn keep_position(file: &Arc<File>, position: u64) {
    let begins = i64::try_from(position).is_ok_and(|at| file.seek(at, SEEK_SET).is_ok());
    if begins {
        GIVEN.call_once(|| (file.clone(), position));
    }
}

/// The machine is about to end: the host's file gets the position that the program's has.
pub fn leave_position() {
    let Some((file, before)) = GIVEN.get() else {
        return;
    };
    let ops = file.ops_as::<HostFile>();
    // Whoever still holds a lock was stopped in the middle of a read.
    if let Some(requests) = ops.and_then(|ops| ops.0.try_lock())
        && let Some(position) = file.try_position()
        && position != *before
    {
        let mut requests = requests;
        // Nobody is left who could be told of a failure.
        let _ = requests.ask(abi::LEAVE, position, 0);
    }
}
