//! Pipes and FIFOs, see pipe(7).
mod store;

use crate::Result;
use crate::anon;
use crate::file::File;
use crate::io::{Sink, SliceSink, SliceSource, Source, UserMemory};
use crate::ops::FileOps;
use crate::types::{FileType, poll};
use crate::wait::WaitList;
use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use linux_abi::Errno;
use linux_abi::raw::general::{
    O_ACCMODE, O_CLOEXEC, O_DIRECT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY,
};
use linux_abi::raw::ioctl::FIONREAD;
use spin::Mutex;
use store::Store;

/// Writes up to this size are not mixed with others.
pub(crate) const PIPE_BUF: usize = 4096;
const DEFAULT_CAPACITY: usize = 65536;
/// The default of /proc/sys/fs/pipe-max-size.
const MAX_CAPACITY: usize = 1 << 20;

struct State {
    store: Store,
    readers: usize,
    writers: usize,
    /// How many times an end has been opened: who opens a FIFO waits for the other count to move.
    readers_ever: u64,
    writers_ever: u64,
}

/// The pipe itself, which its ends share.
pub struct Pipe {
    state: Mutex<State>,
    waiters: WaitList,
}

/// An open end; a FIFO opened with `O_RDWR` is both.
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// How often the other side had been opened when this end was opened without one; else `u64::MAX`.
    seen_writers: u64,
    seen_readers: u64,
    /// open(2) of a FIFO waits for the other side, unless told not to.
    waits: bool,
    /// What is written keeps its bounds (`O_DIRECT`).
    packets: AtomicBool,
}

/// What stands for a pipe in /proc/pid/fd: counts as neither end.
struct PipeNode(Arc<Pipe>);

/// pipe2(2): the read end and the write end. flags are `O_NONBLOCK` and `O_DIRECT` (packet mode).
pub fn pipe(flags: u32) -> Result<(Arc<File>, Arc<File>)> {
    if flags & !(O_NONBLOCK | O_CLOEXEC | O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let pipe = Pipe::new();
    let node: Arc<dyn FileOps> = Arc::new(PipeNode(pipe.clone()));
    let place = anon::place_for(&node);
    let reader = pipe.end(true, false, Opening::Anonymous);
    let writer = pipe.end(false, true, Opening::Anonymous);
    writer.packets.store(flags & O_DIRECT != 0, Relaxed);
    let status = flags & O_NONBLOCK;
    Ok((
        File::new(place.clone(), Some(reader), status | O_RDONLY),
        File::new(place, Some(writer), status | (flags & O_DIRECT) | O_WRONLY),
    ))
}

/// Whether an end's opening has to do with the other side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// A pipe without a name; the other side may have gone for good.
    Anonymous,
    /// A FIFO: who opens it alone sees no hang-up before the other side came, and may wait for it.
    Fifo { waits: bool },
}

impl Pipe {
    pub(crate) fn new() -> Arc<Self> {
        let state = State {
            store: Store::new(DEFAULT_CAPACITY),
            readers: 0,
            writers: 0,
            readers_ever: 0,
            writers_ever: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            waiters: WaitList::new(),
        })
    }

    fn end(self: &Arc<Self>, reads: bool, writes: bool, opening: Opening) -> Arc<PipeEnd> {
        let (seen_readers, seen_writers) = {
            let mut state = self.state.lock();
            let unless_open = |open: usize, ever: u64| {
                if open == 0 && opening != Opening::Anonymous {
                    ever
                } else {
                    u64::MAX
                }
            };
            let seen = (
                unless_open(state.readers, state.readers_ever),
                unless_open(state.writers, state.writers_ever),
            );
            state.readers += usize::from(reads);
            state.writers += usize::from(writes);
            state.readers_ever += u64::from(reads);
            state.writers_ever += u64::from(writes);
            seen
        };
        self.waiters.notify(poll::ALWAYS);
        Arc::new(PipeEnd {
            pipe: self.clone(),
            reads,
            writes,
            seen_writers,
            seen_readers,
            waits: opening == Opening::Fifo { waits: true },
            packets: AtomicBool::new(false),
        })
    }

    /// Opens a FIFO; [`FileOps::is_open`] of the answer tells when open(2) may return.
    pub(crate) fn open_fifo(self: &Arc<Self>, flags: u32) -> Result<Arc<dyn FileOps>> {
        let nonblocking = flags & O_NONBLOCK != 0;
        if nonblocking && flags & O_ACCMODE == O_WRONLY && self.state.lock().readers == 0 {
            return Err(Errno::ENXIO);
        }
        let waits = !nonblocking && flags & O_ACCMODE != O_RDWR;
        self.open(flags, Opening::Fifo { waits })
    }

    fn open(self: &Arc<Self>, flags: u32, opening: Opening) -> Result<Arc<dyn FileOps>> {
        let end = match flags & O_ACCMODE {
            O_RDONLY => self.end(true, false, opening),
            O_WRONLY => self.end(false, true, opening),
            O_RDWR => self.end(true, true, opening),
            _ => return Err(Errno::EINVAL),
        };
        end.packets.store(flags & O_DIRECT != 0, Relaxed);
        Ok(end)
    }
}

impl PipeEnd {
    /// `F_GETPIPE_SZ`
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pipe.state.lock().store.capacity()
    }

    /// How many bytes can be read.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pipe.state.lock().store.len()
    }

    /// How many bytes can be written.
    #[must_use]
    pub fn room(&self) -> usize {
        self.pipe.state.lock().store.room()
    }

    /// Whether both are ends of one pipe.
    #[must_use]
    pub fn same_pipe(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pipe, &other.pipe)
    }

    /// tee(2) without the waiting: copies at most `len` bytes of what can be read here to `other`. 0 at the end of the
    /// pipe; `EAGAIN` when there is nothing yet, or no room.
    pub fn tee(&self, other: &Self, len: usize) -> Result<usize> {
        let room = {
            let target = other.pipe.state.lock();
            if target.readers == 0 {
                return Err(Errno::EPIPE);
            }
            target.store.room()
        };
        let mut copy;
        {
            let state = self.pipe.state.lock();
            if state.store.is_empty() && state.writers == 0 {
                return Ok(0);
            }
            copy = vec![0; len.min(room).min(state.store.len())];
            state.store.peek(&mut SliceSink::new(&mut copy))?;
        }
        if copy.is_empty() {
            return Err(Errno::EAGAIN);
        }
        let count = other
            .pipe
            .state
            .lock()
            .store
            .put(&mut SliceSource::new(&copy), usize::MAX)?;
        other.pipe.waiters.notify(poll::IN | poll::RDNORM);
        // No room is left when another writer was quicker.
        if count == 0 {
            Err(Errno::EAGAIN)
        } else {
            Ok(count)
        }
    }

    /// `F_SETPIPE_SZ`: answers the capacity that it became.
    pub fn set_capacity(&self, wanted: usize, privileged: bool) -> Result<usize> {
        if wanted > (1 << 31) {
            return Err(Errno::EINVAL);
        }
        let capacity = wanted.max(PIPE_BUF).next_power_of_two();
        if capacity > MAX_CAPACITY && !privileged {
            return Err(Errno::EPERM);
        }
        self.pipe.state.lock().store.set_capacity(capacity)?;
        self.pipe.waiters.notify(poll::OUT | poll::WRNORM);
        Ok(capacity)
    }
}

impl FileOps for PipeEnd {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let count = {
            let mut state = self.pipe.state.lock();
            if state.store.is_empty() {
                return if state.writers == 0 {
                    Ok(0)
                } else {
                    Err(Errno::EAGAIN)
                };
            }
            state.store.take(sink)?
        };
        self.pipe.waiters.notify(poll::OUT | poll::WRNORM);
        Ok(count)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        let wanted = source.remaining();
        let count = {
            let mut state = self.pipe.state.lock();
            if state.readers == 0 {
                return Err(Errno::EPIPE);
            }
            let packets = self.packets.load(Relaxed);
            let room = match state.store.room() {
                // A packet takes a page, however small it is.
                room if packets && room < PIPE_BUF => 0,
                room => room,
            };
            if (wanted <= PIPE_BUF && room < wanted) || (wanted > 0 && room == 0) {
                return Err(Errno::EAGAIN);
            }
            if packets {
                state.store.put_packets(source)?
            } else {
                state.store.put(source, wanted)?
            }
        };
        self.pipe.waiters.notify(poll::IN | poll::RDNORM);
        Ok(count)
    }

    fn poll(&self) -> u32 {
        let state = self.pipe.state.lock();
        let mut events = 0;
        if self.reads {
            if !state.store.is_empty() {
                events |= poll::IN | poll::RDNORM;
            }
            if state.writers == 0 && state.writers_ever != self.seen_writers {
                events |= poll::HUP;
            }
        }
        if self.writes {
            if state.store.room() >= PIPE_BUF {
                events |= poll::OUT | poll::WRNORM;
            }
            if state.readers == 0 {
                events |= poll::ERR;
            }
        }
        events
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.pipe.waiters)
    }

    fn wakes_one(&self) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        if !self.waits {
            return true;
        }
        let state = self.pipe.state.lock();
        if self.reads {
            state.writers > 0 || state.writers_ever != self.seen_writers
        } else {
            state.readers > 0 || state.readers_ever != self.seen_readers
        }
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        if command != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let waiting = self.waiting();
        memory.write(
            argument,
            &i32::try_from(waiting).unwrap_or(i32::MAX).to_le_bytes(),
        )?;
        Ok(0)
    }

    fn set_flags(&self, flags: u32) {
        self.packets.store(flags & O_DIRECT != 0, Relaxed);
    }

    fn kind(&self) -> Option<FileType> {
        Some(FileType::Fifo)
    }

    fn class(&self) -> &'static str {
        "pipe"
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        {
            let mut state = self.pipe.state.lock();
            state.readers -= usize::from(self.reads);
            state.writers -= usize::from(self.writes);
            if state.readers == 0 && state.writers == 0 {
                // Nobody can read what is left; a FIFO starts empty when it is opened again.
                state.store.clear();
            }
        }
        self.pipe
            .waiters
            .notify(poll::HUP | poll::ERR | poll::IN | poll::OUT);
    }
}

impl FileOps for PipeNode {
    fn kind(&self) -> Option<FileType> {
        Some(FileType::Fifo)
    }

    fn class(&self) -> &'static str {
        "pipe"
    }

    fn reopen(self: Arc<Self>, flags: u32) -> Result<Arc<dyn FileOps>> {
        self.0.open(flags, Opening::Anonymous)
    }
}
