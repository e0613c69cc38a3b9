//! Frames from the tap, to the guest. A frame is read straight into as many of the driver's buffers as it may need.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;

use vm_memory::{Permissions, VolatileSlice};

use super::{BATCH, HEADER, LONGEST_FRAME, QUEUE_SIZE};
use crate::devices::virtio::{Chain, DeviceError, Rings};
use crate::memory::GuestMemory;
use crate::pcap::Capture;
use crate::scatter;

pub const QUEUE: usize = 0;
const LONGEST: usize = HEADER + LONGEST_FRAME;
/// Offset of `num_buffers`, which the tap leaves alone.
const NUM_BUFFERS: usize = 10;

/// Where a pass over the tap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The tap has no more.
    Empty,
    /// The driver has given too few buffers.
    Starved,
    /// There may be more; others first.
    More,
    /// The tap is gone.
    Gone,
}

/// How the driver wants frames.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// A frame may be spread over several chains.
    pub mergeable: bool,
    /// Bytes, header included, that a frame usually has at most.
    pub expected: usize,
}

pub struct Receive {
    /// Chains taken from the driver, not filled yet.
    posted: VecDeque<Chain>,
    capacity: usize,
    pieces: usize,
    /// What is read beyond the posted chains lands here.
    spill: Vec<u8>,
    /// Length of a frame that was read and waits for more chains, and how much of it is in chains; the rest is in `spill`.
    held: Option<(usize, usize)>,
    pub packets: u64,
    pub bytes: u64,
    pub dropped: u64,
}

impl Receive {
    pub fn new() -> Self {
        Self {
            posted: VecDeque::new(),
            capacity: 0,
            pieces: 0,
            spill: vec![0; LONGEST],
            held: None,
            packets: 0,
            bytes: 0,
            dropped: 0,
        }
    }

    pub fn reset(&mut self) {
        self.posted.clear();
        (self.capacity, self.pieces, self.held) = (0, 0, None);
    }

    /// Receives a batch. Answers how many frames went to the driver, too.
    pub fn run(
        &mut self,
        rings: &mut Rings<'_>,
        tap: BorrowedFd<'_>,
        mode: Mode,
        capture: Option<&Capture>,
    ) -> Result<(Flow, usize), DeviceError> {
        let mut done = 0;
        for _ in 0..BATCH {
            self.collect(rings, mode)?;
            let frame = if let Some((len, from)) = self.held {
                if self.capacity < len && self.can_grow(mode) {
                    return Ok((Flow::Starved, done));
                }
                self.unspill(rings.memory, len, from)?
            } else if self.posted.is_empty() {
                return Ok((Flow::Starved, done));
            } else {
                match self.read(rings.memory, tap, mode)? {
                    Ok(frame) => frame,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok((Flow::Empty, done)),
                    Err(_) => return Ok((Flow::Gone, done)),
                }
            };
            if let Some(len) = frame {
                self.deliver(rings, mode, len, capture)?;
                done += 1;
            }
        }
        Ok((Flow::More, done))
    }

    /// Takes chains until they hold the frame to come, or the one that is held.
    fn collect(&mut self, rings: &mut Rings<'_>, mode: Mode) -> Result<(), DeviceError> {
        let wanted = self.held.map_or(mode.expected, |(len, _)| len);
        let most = if mode.mergeable {
            usize::from(QUEUE_SIZE)
        } else {
            1
        };
        while self.posted.len() < most
            && self.capacity < wanted
            && self.pieces < 2 * usize::from(QUEUE_SIZE)
        {
            let Some(chain) = rings.pop(QUEUE)? else {
                break;
            };
            let room = room(&chain);
            if room < HEADER || chain.writable.len() > usize::from(QUEUE_SIZE) {
                return Err(DeviceError::Protocol(
                    "gave a receive buffer that cannot be used",
                ));
            }
            self.capacity += room;
            self.pieces += chain.writable.len();
            self.posted.push_back(chain);
        }
        Ok(())
    }

    fn slices<'m>(&self, memory: &'m GuestMemory) -> Result<Vec<VolatileSlice<'m>>, DeviceError> {
        let mut slices = Vec::with_capacity(self.pieces + 1);
        for chain in &self.posted {
            Rings::slices(memory, &chain.writable, Permissions::Write, &mut slices)?;
        }
        Ok(slices)
    }

    /// Reads one frame; answers its length if it can be delivered. One that is longer than the chains is `held`, or dropped
    /// if it never can fit.
    fn read(
        &mut self,
        memory: &GuestMemory,
        tap: BorrowedFd<'_>,
        mode: Mode,
    ) -> Result<io::Result<Option<usize>>, DeviceError> {
        let mut slices = self.slices(memory)?;
        if self.capacity < LONGEST {
            slices.push(VolatileSlice::from(self.spill.as_mut_slice()));
        }
        let len = match scatter::read(tap, &slices) {
            Ok(0) => return Ok(Err(ErrorKind::UnexpectedEof.into())),
            Ok(len) => len,
            Err(e) if e.kind() == ErrorKind::Interrupted => 0,
            Err(e) => return Ok(Err(e)),
        };
        if len > HEADER && len <= self.capacity {
            return Ok(Ok(Some(len)));
        }
        if len > self.capacity && self.can_grow(mode) {
            self.held = Some((len, self.capacity));
        } else if len > 0 {
            self.dropped += 1;
        }
        Ok(Ok(None))
    }

    fn can_grow(&self, mode: Mode) -> bool {
        mode.mergeable && self.posted.len() < usize::from(QUEUE_SIZE)
    }

    /// Moves what was spilled into chains that came since, or drops the frame if all the driver's do not hold it.
    fn unspill(
        &mut self,
        memory: &GuestMemory,
        len: usize,
        from: usize,
    ) -> Result<Option<usize>, DeviceError> {
        self.held = None;
        if self.capacity < len {
            self.dropped += 1;
            return Ok(None);
        }
        let mut slices = self.slices(memory)?;
        scatter::skip(&mut slices, from);
        scatter::give(&slices, self.spill.get(..len - from).unwrap_or(&[]));
        Ok(Some(len))
    }

    /// Gives back the chains that hold the frame.
    fn deliver(
        &mut self,
        rings: &mut Rings<'_>,
        mode: Mode,
        len: usize,
        capture: Option<&Capture>,
    ) -> Result<(), DeviceError> {
        let mut slices = Vec::new();
        let mut used = Vec::new();
        let mut left = len;
        while left > 0 {
            let Some(chain) = self.posted.pop_front() else {
                break;
            };
            let part = left.min(room(&chain));
            self.capacity -= room(&chain);
            self.pieces -= chain.writable.len();
            if used.is_empty() || capture.is_some() {
                Rings::slices(
                    rings.memory,
                    &chain.writable,
                    Permissions::Write,
                    &mut slices,
                )?;
            }
            used.push((chain.head, part as u32));
            left -= part;
            if !mode.mergeable {
                break;
            }
        }
        if let Some(capture) = capture {
            let mut frame = slices.clone();
            scatter::skip(&mut frame, HEADER);
            scatter::cut(&mut frame, len - HEADER);
            capture.frame(&frame);
        }
        scatter::skip(&mut slices, NUM_BUFFERS);
        scatter::give(&slices, &(used.len() as u16).to_le_bytes());
        self.packets += 1;
        self.bytes += (len - HEADER) as u64;
        rings.put_all(QUEUE, &used)
    }
}

fn room(chain: &Chain) -> usize {
    chain
        .writable
        .iter()
        .map(|buffer| buffer.len as usize)
        .sum()
}
