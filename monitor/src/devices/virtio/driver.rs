//! The driver's side, for tests: sets a device up through its registers and works its queues in guest memory.

use std::sync::Arc;

use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::{VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};
use vm_memory::{Bytes, GuestAddress};

use super::{Device, Registers, Transport};
use crate::memory::GuestMemory;

pub const SIZE: u16 = 16;
const MEMORY: usize = 8 << 20;
/// Where the queues and then the buffers lie.
const QUEUE_SPACE: u64 = 0x1000;
const BUFFERS: u64 = 0x10_0000;

pub fn memory() -> Arc<GuestMemory> {
    Arc::new(GuestMemory::from_ranges(&[(GuestAddress(0), MEMORY)]).unwrap())
}

pub struct Driver<D: Device> {
    pub device: Arc<Transport<D>>,
    pub memory: Arc<GuestMemory>,
    next_descriptor: Vec<u16>,
    next_buffer: u64,
    seen: Vec<u16>,
}

pub fn read<D: Device>(device: &Transport<D>, register: u32) -> u32 {
    let mut word = [0; 4];
    device.read(register.into(), &mut word);
    u32::from_le_bytes(word)
}

pub fn write<D: Device>(device: &Transport<D>, register: u32, value: u32) {
    device.write(register.into(), &value.to_le_bytes());
}

impl<D: Device> Driver<D> {
    /// Takes the device through its whole initialisation.
    pub fn new(device: D, features: u64) -> Self {
        let memory = memory();
        let device = Arc::new(Transport::new(device, Arc::clone(&memory)).unwrap());
        let queues = D::QUEUES.len();
        let driver = Self {
            device,
            memory,
            next_descriptor: vec![0; queues],
            next_buffer: BUFFERS,
            seen: vec![0; queues],
        };
        driver.start(features);
        driver
    }

    pub fn start(&self, features: u64) {
        let device = &*self.device;
        write(device, VIRTIO_MMIO_STATUS, 0);
        write(device, VIRTIO_MMIO_STATUS, 3);
        let features = features | 1 << VIRTIO_F_VERSION_1;
        for half in 0..2 {
            write(device, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
            write(
                device,
                VIRTIO_MMIO_DRIVER_FEATURES,
                (features >> (32 * half)) as u32,
            );
        }
        write(device, VIRTIO_MMIO_STATUS, 11);
        assert_eq!(read(device, VIRTIO_MMIO_STATUS), 11, "features refused");
        for queue in 0..D::QUEUES.len() as u32 {
            write(device, VIRTIO_MMIO_QUEUE_SEL, queue);
            assert!(read(device, VIRTIO_MMIO_QUEUE_NUM_MAX) >= SIZE.into());
            write(device, VIRTIO_MMIO_QUEUE_NUM, SIZE.into());
            let [descriptors, avail, used] = parts(queue as usize);
            write(device, VIRTIO_MMIO_QUEUE_DESC_LOW, descriptors as u32);
            write(device, VIRTIO_MMIO_QUEUE_AVAIL_LOW, avail as u32);
            write(device, VIRTIO_MMIO_QUEUE_USED_LOW, used as u32);
            write(device, VIRTIO_MMIO_QUEUE_READY, 1);
        }
        write(device, VIRTIO_MMIO_STATUS, 15);
    }

    /// Empties the queues, as a driver does that starts anew.
    pub fn forget(&mut self) {
        write(&self.device, VIRTIO_MMIO_STATUS, 0);
        for queue in 0..self.seen.len() {
            let [_, avail, used] = parts(queue);
            for ring in [avail, used] {
                self.memory.write_obj(0u32, GuestAddress(ring)).unwrap();
            }
            self.next_descriptor[queue] = 0;
            self.seen[queue] = 0;
        }
    }

    fn allocate(&mut self, len: usize) -> u64 {
        let at = self.next_buffer;
        self.next_buffer += (len as u64).next_multiple_of(64);
        at
    }

    /// One chain that the device reads; its pieces become descriptors.
    pub fn give(&mut self, queue: usize, pieces: &[&[u8]]) -> u16 {
        let mut buffers = Vec::new();
        for piece in pieces {
            let at = self.allocate(piece.len());
            self.memory.write_slice(piece, GuestAddress(at)).unwrap();
            buffers.push((at, piece.len() as u32, 0));
        }
        self.add(queue, &buffers)
    }

    /// One buffer that the device writes. Returns where it is.
    pub fn lend(&mut self, queue: usize, len: usize) -> u64 {
        let at = self.allocate(len);
        self.add(queue, &[(at, len as u32, VRING_DESC_F_WRITE as u16)]);
        at
    }

    /// A chain of (address, length, flags).
    pub fn add(&mut self, queue: usize, buffers: &[(u64, u32, u16)]) -> u16 {
        let [descriptors, avail, _] = parts(queue);
        let head = self.next_descriptor[queue];
        for (i, (at, len, flags)) in buffers.iter().enumerate() {
            let index = self.next_descriptor[queue];
            self.next_descriptor[queue] = (index + 1) % SIZE;
            let more = if i + 1 < buffers.len() {
                VRING_DESC_F_NEXT as u16
            } else {
                0
            };
            let raw = [
                &at.to_le_bytes()[..],
                &len.to_le_bytes(),
                &(flags | more).to_le_bytes(),
                &self.next_descriptor[queue].to_le_bytes(),
            ];
            self.memory
                .write_slice(
                    &raw.concat(),
                    GuestAddress(descriptors + 16 * u64::from(index)),
                )
                .unwrap();
        }
        let index: u16 = self.memory.read_obj(GuestAddress(avail + 2)).unwrap();
        self.memory
            .write_obj(head, GuestAddress(avail + 4 + 2 * u64::from(index % SIZE)))
            .unwrap();
        self.memory
            .write_obj(index.wrapping_add(1), GuestAddress(avail + 2))
            .unwrap();
        head
    }

    /// The chains given back since the last call: head and length.
    pub fn returned(&mut self, queue: usize) -> Vec<(u32, u32)> {
        let [_, _, used] = parts(queue);
        let index: u16 = self.memory.read_obj(GuestAddress(used + 2)).unwrap();
        let mut out = Vec::new();
        while self.seen[queue] != index {
            let at = used + 4 + 8 * u64::from(self.seen[queue] % SIZE);
            out.push((
                self.memory.read_obj(GuestAddress(at)).unwrap(),
                self.memory.read_obj(GuestAddress(at + 4)).unwrap(),
            ));
            self.seen[queue] = self.seen[queue].wrapping_add(1);
        }
        out
    }

    pub fn bytes(&self, at: u64, len: u32) -> Vec<u8> {
        let mut out = vec![0; len as usize];
        self.memory.read_slice(&mut out, GuestAddress(at)).unwrap();
        out
    }

    pub fn set_avail_index(&self, queue: usize, index: u16) {
        self.memory
            .write_obj(index, GuestAddress(parts(queue)[1] + 2))
            .unwrap();
    }
}

/// Descriptor table, available ring, used ring.
pub fn parts(queue: usize) -> [u64; 3] {
    let base = QUEUE_SPACE * (1 + queue as u64);
    [base, base + 0x400, base + 0x800]
}
