//! A device's view of its queues while it works on them.

use smallvec::SmallVec;
use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{GuestAddress, GuestMemory as _, Permissions, VolatileSlice};

use super::{DeviceError, Interrupt, used};
use crate::memory::GuestMemory;

/// An indirect table could hold 65535; no driver needs more than the host takes in one call.
const LONGEST_CHAIN: usize = 1024;

/// So many chains are given back together: each time costs as much as three chains, and the driver may wait for the first.
const TOGETHER: usize = 32;

/// One piece of guest memory that a descriptor names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    pub address: GuestAddress,
    pub len: u32,
}

/// A descriptor chain taken from a queue, to be given back by its head.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    pub head: u16,
    /// The device reads these.
    pub readable: Vec<Buffer>,
    /// The device writes these.
    pub writable: Vec<Buffer>,
}

pub struct Rings<'a> {
    queues: &'a mut [Queue],
    pub memory: &'a GuestMemory,
    interrupt: &'a Interrupt,
    /// Chains of one queue that the driver does not see yet, see `put_soon`.
    soon: (usize, SmallVec<[(u16, u32); TOGETHER]>),
    /// The driver wants to hear of what was given back.
    wanted: bool,
    /// No interrupts: the caller tells the driver.
    quiet: bool,
}

impl<'a> Rings<'a> {
    pub fn new(queues: &'a mut [Queue], memory: &'a GuestMemory, interrupt: &'a Interrupt) -> Self {
        Self {
            queues,
            memory,
            interrupt,
            soon: (0, SmallVec::new()),
            wanted: false,
            quiet: false,
        }
    }

    /// From now on `signal` does nothing, and the caller asks `wanted`.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Whether the driver wants to hear of what was given back.
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// Tells the driver of what was given back, if it wants to hear of it. `true`: it was told.
    pub fn signal(&mut self) -> bool {
        if self.quiet {
            return false;
        }
        let wanted = std::mem::take(&mut self.wanted);
        if wanted {
            self.interrupt.queue_used();
        }
        wanted
    }

    fn ready(&mut self, index: usize) -> Option<&mut Queue> {
        self.queues.get_mut(index).filter(|queue| queue.ready())
    }

    /// The next chain that the driver made available. A queue that the driver did not set up has none.
    pub fn pop(&mut self, index: usize) -> Result<Option<Chain>, DeviceError> {
        let mut chain = Chain::default();
        Ok(self.pop_into(index, &mut chain)?.then_some(chain))
    }

    /// As `pop`, into a chain whose space is used again. `false`: there is none.
    pub fn pop_into(&mut self, index: usize, chain: &mut Chain) -> Result<bool, DeviceError> {
        let memory = self.memory;
        let Some(queue) = self.ready(index) else {
            return Ok(false);
        };
        let Some(descriptors) = queue.iter(memory)?.next() else {
            return Ok(false);
        };
        chain.head = descriptors.head_index();
        chain.readable.clear();
        chain.writable.clear();
        for descriptor in descriptors {
            let buffer = Buffer {
                address: descriptor.addr(),
                len: descriptor.len(),
            };
            let list = if descriptor.is_write_only() {
                &mut chain.writable
            } else {
                &mut chain.readable
            };
            list.push(buffer);
            if list.len() > LONGEST_CHAIN {
                return Err(DeviceError::Protocol("made an overlong descriptor chain"));
            }
        }
        Ok(true)
    }

    /// Gives a chain back, of which the device wrote `written` bytes.
    pub fn put(&mut self, index: usize, head: u16, written: u32) -> Result<(), DeviceError> {
        self.put_all(index, &[(head, written)])
    }

    /// Gives several chains back, each with the bytes written, in such a way that the driver sees all or none of them.
    pub fn put_all(&mut self, index: usize, chains: &[(u16, u32)]) -> Result<(), DeviceError> {
        self.put_rest()?;
        self.publish(index, chains)
    }

    /// Gives a chain back with others: before anything else is given back, with `put_rest`, or when the work is done.
    pub fn put_soon(&mut self, index: usize, head: u16, written: u32) -> Result<(), DeviceError> {
        let (queue, chains) = &self.soon;
        if *queue != index || chains.len() == TOGETHER {
            self.put_rest()?;
        }
        self.soon.0 = index;
        self.soon.1.push((head, written));
        Ok(())
    }

    /// Has the driver see all that was given back.
    pub fn put_rest(&mut self) -> Result<(), DeviceError> {
        let (index, chains) = &mut self.soon;
        let (index, chains) = (*index, std::mem::take(chains));
        if chains.is_empty() {
            return Ok(());
        }
        self.publish(index, &chains)
    }

    fn publish(&mut self, index: usize, chains: &[(u16, u32)]) -> Result<(), DeviceError> {
        let memory = self.memory;
        if let Some(queue) = self.ready(index) {
            let wanted = used::publish(queue, memory, chains)?;
            self.wanted |= wanted;
        }
        Ok(())
    }

    /// Tells the driver that the configuration space reads differently now.
    pub fn config_changed(&self) {
        self.interrupt.config_changed();
    }

    /// Is there a chain to take?
    pub fn available(&mut self, index: usize) -> Result<bool, DeviceError> {
        let memory = self.memory;
        let Some(queue) = self.ready(index) else {
            return Ok(false);
        };
        Ok(queue
            .avail_idx(memory, std::sync::atomic::Ordering::Acquire)?
            .0
            != queue.next_avail())
    }

    /// Asks the driver not to ring for this queue: the device looks by itself.
    pub fn silence(&mut self, index: usize) -> Result<(), DeviceError> {
        let memory = self.memory;
        Ok(self
            .ready(index)
            .map_or(Ok(()), |queue| queue.disable_notification(memory))?)
    }

    /// Asks the driver to ring when it adds a chain. `true`: it just did, look again.
    pub fn listen(&mut self, index: usize) -> Result<bool, DeviceError> {
        let memory = self.memory;
        Ok(self
            .ready(index)
            .map_or(Ok(false), |queue| queue.enable_notification(memory))?)
    }

    /// The host's view of buffers, appended to `slices`.
    pub fn slices<'m>(
        memory: &'m GuestMemory,
        buffers: &[Buffer],
        access: Permissions,
        slices: &mut Vec<VolatileSlice<'m>>,
    ) -> Result<(), DeviceError> {
        for buffer in buffers {
            for slice in memory.get_slices(buffer.address, buffer.len as usize, access)? {
                slices.push(slice?);
            }
        }
        Ok(())
    }
}
