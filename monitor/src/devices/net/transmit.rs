//! Frames of the guest, to the tap.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;

use vm_memory::{Permissions, VolatileSlice};

use super::{BATCH, HEADER, QUEUE_SIZE, header};
use crate::devices::virtio::{Chain, DeviceError, Rings};
use crate::pcap::Capture;
use crate::scatter::{self, Method};

pub const QUEUE: usize = 1;

#[derive(Default)]
pub struct Transmit {
    /// A frame that the tap could not take yet.
    blocked: Option<Chain>,
    pub packets: u64,
    pub bytes: u64,
    pub dropped: u64,
}

impl Transmit {
    pub fn reset(&mut self) {
        self.blocked = None;
    }

    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Sends a batch. Answers whether there was something to do.
    pub fn run(
        &mut self,
        rings: &mut Rings<'_>,
        tap: BorrowedFd<'_>,
        features: u64,
        capture: Option<&Capture>,
    ) -> Result<bool, DeviceError> {
        let mut done = Vec::new();
        while done.len() < BATCH {
            let next = match self.blocked.take() {
                Some(chain) => Some(chain),
                None => rings.pop(QUEUE)?,
            };
            let Some(chain) = next else { break };
            if self.send(rings, &chain, tap, features, capture)? {
                done.push((chain.head, 0));
            } else {
                self.blocked = Some(chain);
                break;
            }
        }
        if !done.is_empty() {
            rings.put_all(QUEUE, &done)?;
        }
        Ok(!done.is_empty())
    }

    /// `false`: the tap cannot take it now.
    fn send(
        &mut self,
        rings: &Rings<'_>,
        chain: &Chain,
        tap: BorrowedFd<'_>,
        features: u64,
        capture: Option<&Capture>,
    ) -> Result<bool, DeviceError> {
        if chain.readable.len() > usize::from(QUEUE_SIZE) {
            return Err(DeviceError::Protocol("scattered a frame too far"));
        }
        let mut slices = Vec::with_capacity(chain.readable.len() + 1);
        Rings::slices(
            rings.memory,
            &chain.readable,
            Permissions::Read,
            &mut slices,
        )?;
        // A copy of the header, so that the driver cannot change what was checked.
        let mut head = [0; HEADER];
        if scatter::take(&mut slices, &mut head) < HEADER {
            return Err(DeviceError::Protocol("sent a frame without a header"));
        }
        let len = slices.iter().map(VolatileSlice::len).sum();
        let Some(mut head) = header::checked(head, len, features) else {
            self.dropped += 1;
            return Ok(true);
        };
        let mut all = Vec::with_capacity(slices.len() + 1);
        all.push(VolatileSlice::from(head.as_mut_slice()));
        all.extend(&slices);
        match send(tap, &all) {
            Ok(_) => {
                self.packets += 1;
                self.bytes += len as u64;
                if let Some(capture) = capture {
                    capture.frame(&slices);
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            // The interface is down, or the host cannot make sense of the frame.
            Err(_) => self.dropped += 1,
        }
        Ok(true)
    }
}

fn send(tap: BorrowedFd<'_>, slices: &[VolatileSlice<'_>]) -> io::Result<usize> {
    loop {
        match scatter::write(tap, slices, Method::Write) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
