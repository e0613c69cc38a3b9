//! The device, as far as sockets care: messages go in, filled buffers come out.
use crate::Result;
use alloc::boxed::Box;

/// The rings that lead to the device.
pub trait Transport: Send + Sync {
    /// Makes sure that the device works. `ENETDOWN`: it does not, or there is none.
    fn start(&self) -> Result<()>;

    /// Hands a message to the device, which gets to know of it at once (`announce`), or by `kick` at the latest. It is given back
    /// if the queue is full; otherwise [`super::Forward::completed`] gets it once the device has done what it says, or
    /// [`super::Forward::kept`] when the device gives it back before.
    fn submit(&self, request: Request, announce: bool) -> core::result::Result<(), Request>;

    /// Tells the device about what was submitted, unless it is looking anyway.
    fn kick(&self);

    /// How many more messages the queue takes.
    fn room(&self) -> usize;

    /// Event buffers that are in use here and not with the device, and how many there are at all.
    fn held_buffers(&self) -> (usize, usize);
}

/// A buffer that the device has filled. Dropping it gives it back to the device.
pub trait EventBuffer: Send + Sync {
    /// What the device has put there.
    fn bytes(&self) -> &[u8];
}

/// A message for the device.
pub struct Request {
    pub(super) buffer: Box<[u8]>,
    pub(super) len: usize,
    /// Whom to tell when it is done, if it held a stream's bytes or a datagram: how many bytes.
    pub(super) socket: u64,
    pub(super) charge: Option<u32>,
}

impl Request {
    /// What the device reads.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }
}
