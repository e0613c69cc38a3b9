//! The guest's output: from a transmit queue to a descriptor of the host.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use vm_memory::{Permissions, VolatileSlice};

use super::sink::Sink;
use crate::devices::virtio::{Chain, DeviceError, Rings};
use crate::memory::GuestMemory;
use crate::scatter::{MOST_PIECES, skip};
use crate::stats::Counter;

/// Chains held at a time; one call writes them all.
const MOST_CHAINS: usize = 128;
/// Calls before other ports get their turn.
const MOST_WRITES: usize = 32;

#[derive(Debug)]
pub enum Flow {
    /// All that the guest wrote has left.
    Idle,
    /// The host's side takes no more now.
    Blocked,
    /// There is more to do; others first.
    More,
    /// The host's side is gone; from now on output is dropped.
    Closed(io::Error),
}

pub struct Output {
    sink: Sink,
    /// Nobody takes the output any more. The descriptor stays open all the same, as epoll may know it.
    closed: bool,
    queue: usize,
    waiting: VecDeque<Chain>,
    /// Bytes of the first waiting chain that have left.
    gone: usize,
    moved: bool,
    counter: Arc<Counter>,
}

impl Output {
    pub fn new(sink: Sink, queue: usize, counter: Arc<Counter>) -> Self {
        Self {
            sink,
            closed: false,
            queue,
            waiting: VecDeque::new(),
            gone: 0,
            moved: false,
            counter,
        }
    }

    /// What to watch while blocked.
    pub fn watched(&self) -> RawFd {
        self.sink.as_raw_fd()
    }

    pub fn reset(&mut self) {
        self.waiting.clear();
        self.gone = 0;
    }

    /// Asks to be rung for more. `true`: there is more already.
    pub fn listen(&self, rings: &mut Rings<'_>) -> Result<bool, DeviceError> {
        rings.listen(self.queue)
    }

    /// Something left since the last call.
    pub fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Writes what there is, and leaves the driver's doorbell silenced.
    pub fn flush(&mut self, rings: &mut Rings<'_>) -> Result<Flow, DeviceError> {
        rings.silence(self.queue)?;
        for _ in 0..MOST_WRITES {
            self.collect(rings)?;
            if self.waiting.is_empty() {
                return Ok(Flow::Idle);
            }
            let memory = rings.memory;
            match self.write(memory)? {
                Ok(written) => self.advance(rings, written)?,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Flow::Blocked),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    self.closed = true;
                    return Ok(Flow::Closed(e));
                }
            }
        }
        Ok(Flow::More)
    }

    fn collect(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        while self.waiting.len() < MOST_CHAINS {
            match rings.pop(self.queue)? {
                Some(chain) => self.waiting.push_back(chain),
                None => break,
            }
        }
        Ok(())
    }

    /// One call for as much as it can take. Once closed, everything is gone at once.
    fn write(&self, memory: &GuestMemory) -> Result<io::Result<usize>, DeviceError> {
        let mut slices = Vec::new();
        for chain in &self.waiting {
            if slices.len() >= MOST_PIECES {
                break;
            }
            Rings::slices(memory, &chain.readable, Permissions::Read, &mut slices)?;
        }
        skip(&mut slices, self.gone);
        slices.truncate(MOST_PIECES);
        let total = slices.iter().map(VolatileSlice::len).sum();
        Ok(if self.closed || total == 0 {
            Ok(total)
        } else {
            self.sink.write(&slices)
        })
    }

    /// `written` more bytes have left: gives back the chains that are through.
    fn advance(&mut self, rings: &mut Rings<'_>, written: usize) -> Result<(), DeviceError> {
        self.counter.add(written as u64);
        self.moved = true;
        self.gone += written;
        while let Some(chain) = self.waiting.front() {
            let len: usize = chain.readable.iter().map(|b| b.len as usize).sum();
            if self.gone < len {
                break;
            }
            self.gone -= len;
            rings.put(self.queue, chain.head, 0)?;
            self.waiting.pop_front();
        }
        Ok(())
    }
}
