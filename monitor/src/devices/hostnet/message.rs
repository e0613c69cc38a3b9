//! Requests as they come from the driver, and the buffers in which it gets events.

use boot_abi::hostnet::{
    ADDRESS_SIZE, EVENT_BUFFER_MIN, Header, QUEUE_EVENTS, QUEUE_REQUESTS, REQUEST_MAX, USED_DONE,
    USED_KEPT, decode_address,
};
use std::net::SocketAddr;
use vm_memory::GuestMemoryBackend as _;

use super::sys::Pieces;
use crate::devices::virtio::{Buffer, Chain, DeviceError, Rings};
use crate::memory::GuestMemory;

const REQUESTS: usize = QUEUE_REQUESTS as usize;
const EVENTS: usize = QUEUE_EVENTS as usize;
/// What a request other than data may carry: an address and options.
pub const SHORT: usize = 512;
/// No more of an event buffer is used.
const BUFFER_MOST: usize = 1 << 20;

/// Where the chain of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Queue,
    /// Given back; the memory is no longer needed.
    Returned,
    /// Given back; the driver waits for `EV_TAKEN`.
    Kept,
}

/// A request, until it is carried out.
#[derive(Debug)]
pub struct Request {
    pub header: Header,
    pub chain: Chain,
    /// Bytes of the payload that are through.
    pub done: usize,
    pub place: Place,
}

impl Request {
    pub fn read(memory: &GuestMemory, chain: Chain) -> Result<Self, DeviceError> {
        let mut head = [0; Header::SIZE];
        copy_out(memory, &chain.readable, 0, &mut head)?;
        let header = Header::from_bytes(head);
        let length = header.length as usize;
        if length > REQUEST_MAX || total(&chain.readable) < Header::SIZE + length {
            return Err(DeviceError::Protocol("sent a request of a wrong length"));
        }
        if !chain.writable.is_empty() {
            return Err(DeviceError::Protocol(
                "sent a request that can be written to",
            ));
        }
        Ok(Self {
            header,
            chain,
            done: 0,
            place: Place::Queue,
        })
    }

    /// The whole payload of a request that has a short one.
    pub fn payload<'b>(
        &self,
        memory: &GuestMemory,
        space: &'b mut [u8; SHORT],
    ) -> Result<&'b [u8], DeviceError> {
        let part = space.get_mut(..self.header.length as usize);
        let part = part.ok_or(DeviceError::Protocol("sent an overlong request"))?;
        copy_out(memory, &self.chain.readable, Header::SIZE, part)?;
        Ok(part)
    }

    /// The first bytes of the payload.
    pub fn prefix<const N: usize>(&self, memory: &GuestMemory) -> Result<[u8; N], DeviceError> {
        if (self.header.length as usize) < N {
            return Err(DeviceError::Protocol("sent a short request"));
        }
        let mut bytes = [0; N];
        copy_out(memory, &self.chain.readable, Header::SIZE, &mut bytes)?;
        Ok(bytes)
    }

    pub fn number(&self, memory: &GuestMemory) -> Result<u32, DeviceError> {
        Ok(u32::from_le_bytes(self.prefix(memory)?))
    }

    pub fn address(&self, memory: &GuestMemory) -> Result<SocketAddr, DeviceError> {
        address(&self.prefix::<ADDRESS_SIZE>(memory)?)
    }

    /// The payload from `done` on, behind `skip` bytes of fields.
    pub fn rest<'m>(
        &self,
        memory: &'m GuestMemory,
        skip: usize,
    ) -> Result<Pieces<'m>, DeviceError> {
        let len = (self.header.length as usize).saturating_sub(skip + self.done);
        let start = Header::SIZE + skip + self.done;
        Pieces::new(memory, &self.chain.readable, start, len)
    }

    /// A copy of `len` bytes of what `rest` names.
    pub fn copy(
        &self,
        memory: &GuestMemory,
        skip: usize,
        len: usize,
    ) -> Result<Vec<u8>, DeviceError> {
        let mut bytes = vec![0; len];
        let start = Header::SIZE + skip + self.done;
        copy_out(memory, &self.chain.readable, start, &mut bytes)?;
        Ok(bytes)
    }

    /// Gives the chain back, once.
    pub fn give_back(&mut self, rings: &mut Rings<'_>, place: Place) -> Result<(), DeviceError> {
        if self.place == Place::Queue {
            let used = match place {
                Place::Queue => return Ok(()),
                Place::Returned => USED_DONE,
                Place::Kept => USED_KEPT,
            };
            rings.put_soon(REQUESTS, self.chain.head, used)?;
            self.place = place;
        }
        Ok(())
    }
}

pub fn address(bytes: &[u8]) -> Result<SocketAddr, DeviceError> {
    let address = bytes
        .first_chunk::<ADDRESS_SIZE>()
        .and_then(decode_address)
        .ok_or(DeviceError::Protocol("sent no address"))?;
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn total(buffers: &[Buffer]) -> usize {
    buffers.iter().map(|buffer| buffer.len as usize).sum()
}

/// The parts of `buffers` that hold the bytes from `at` on: address and range of the bytes.
fn spans(
    buffers: &[Buffer],
    mut at: usize,
    len: usize,
) -> impl Iterator<Item = (vm_memory::GuestAddress, std::ops::Range<usize>)> {
    let mut done = 0;
    let parts = buffers.iter().map_while(move |buffer| {
        let size = buffer.len as usize;
        let part = size.saturating_sub(at).min(len - done);
        let start = buffer.address.0.saturating_add(at as u64);
        at = at.saturating_sub(size);
        done += part;
        (done < len || part > 0).then(|| (vm_memory::GuestAddress(start), done - part..done))
    });
    // Where there is nothing to read there may be no memory either.
    parts.filter(|(_, range)| !range.is_empty())
}

fn copy_out(
    memory: &GuestMemory,
    buffers: &[Buffer],
    at: usize,
    to: &mut [u8],
) -> Result<(), DeviceError> {
    let mut filled = 0;
    for (address, range) in spans(buffers, at, to.len()) {
        filled = range.end;
        if let Some(part) = to.get_mut(range) {
            memory.get_slice(address, part.len())?.copy_to(part);
        }
    }
    if filled < to.len() {
        return Err(DeviceError::Protocol("sent a short request"));
    }
    Ok(())
}

/// What is being told to the driver.
#[derive(Default)]
pub struct EventBuffers {
    chain: Chain,
    /// Bytes of the chain, 0: there is none at hand.
    size: usize,
    used: usize,
    /// The driver has given no buffer since the last look.
    pub starved: bool,
    /// Messages so far.
    pub messages: u64,
}

impl EventBuffers {
    /// Forgets the buffer: the driver has.
    pub fn reset(&mut self) {
        (self.size, self.used, self.starved) = (0, 0, false);
    }

    /// Makes room for a message with at least `payload` bytes of payload; says how many there is room for. `None`: the driver must
    /// give a buffer first.
    pub fn room(
        &mut self,
        rings: &mut Rings<'_>,
        payload: usize,
    ) -> Result<Option<usize>, DeviceError> {
        let need = Header::SIZE + payload;
        if self.size != 0 && self.size - self.used < need {
            self.flush(rings)?;
        }
        if self.size == 0 {
            if !rings.pop_into(EVENTS, &mut self.chain)? {
                self.starved = true;
                return Ok(None);
            }
            let size = total(&self.chain.writable);
            if size < EVENT_BUFFER_MIN.max(need) || !self.chain.readable.is_empty() {
                return Err(DeviceError::Protocol("gave a short event buffer"));
            }
            (self.size, self.used) = (size.min(BUFFER_MOST), 0);
        }
        Ok(Some(self.size - self.used - Header::SIZE))
    }

    /// The memory for the payload of the next message, `skip` bytes into it.
    pub fn space<'m>(
        &self,
        memory: &'m GuestMemory,
        skip: usize,
        len: usize,
    ) -> Result<Pieces<'m>, DeviceError> {
        let start = self.used + Header::SIZE + skip;
        Pieces::new(memory, &self.chain.writable, start, len)
    }

    /// Writes bytes of the payload of the next message.
    pub fn write(&self, memory: &GuestMemory, at: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        self.write_at(memory, self.used + Header::SIZE + at, bytes)
    }

    fn write_at(&self, memory: &GuestMemory, at: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        for (address, range) in spans(&self.chain.writable, at, bytes.len()) {
            if let Some(part) = bytes.get(range) {
                memory.get_slice(address, part.len())?.copy_from(part);
            }
        }
        Ok(())
    }

    /// Reads bytes of the payload of the next message.
    pub fn read(
        &self,
        memory: &GuestMemory,
        at: usize,
        bytes: &mut [u8],
    ) -> Result<(), DeviceError> {
        copy_out(
            memory,
            &self.chain.writable,
            self.used + Header::SIZE + at,
            bytes,
        )
    }

    /// A copy of bytes of the payload of the next message.
    pub fn copy(
        &self,
        memory: &GuestMemory,
        at: usize,
        len: usize,
    ) -> Result<Vec<u8>, DeviceError> {
        let mut bytes = vec![0; len];
        self.read(memory, at, &mut bytes)?;
        Ok(bytes)
    }

    /// The payload is there: completes the message.
    pub fn commit(&mut self, memory: &GuestMemory, header: Header) -> Result<(), DeviceError> {
        self.write_at(memory, self.used, &header.to_bytes())?;
        let end = self.used + Header::SIZE + header.length as usize;
        self.used = end.next_multiple_of(8).min(self.size);
        self.messages += 1;
        Ok(())
    }

    /// A message of a few bytes. `false`: no buffer for it.
    pub fn tell(
        &mut self,
        rings: &mut Rings<'_>,
        kind: u16,
        socket: u64,
        payload: &[u8],
    ) -> Result<bool, DeviceError> {
        if self.room(rings, payload.len())?.is_none() {
            return Ok(false);
        }
        self.write(rings.memory, 0, payload)?;
        self.commit(rings.memory, Header::new(kind, socket, payload.len()))?;
        Ok(true)
    }

    /// Gives the driver what there is.
    pub fn flush(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        if self.used != 0 {
            rings.put(EVENTS, self.chain.head, self.used as u32)?;
            (self.size, self.used) = (0, 0);
        }
        Ok(())
    }
}
