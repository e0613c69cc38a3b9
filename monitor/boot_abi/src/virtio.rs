//! A short cut through the virtio-mmio transport: each access of a register is an exit, and a queue takes seven of them.
//!
//! [`crate::KEY_QUEUE_TABLE`] offers it. The driver writes the guest-physical address of a table to [`QUEUE_TABLE`], below 4 GiB,
//! where the specification has it set up one queue after the other; the table is the device's for as long as the write takes.
//! Its words have 64 bits, little-endian: how many queues, [`QUEUES_MAX`] at the most, then [`WORDS`] for each.
//!
//! Who offers it promises as well that there is a device of version 2 at each address of the command line, and that a reset
//! sets both feature selectors to 0.

/// The register, in the part that the specification leaves free.
pub const QUEUE_TABLE: u32 = 0x0f0;

pub const QUEUES_MAX: usize = 16;

/// Words of a queue: QueueSel, QueueNum, QueueDesc, QueueDriver, QueueDevice. It is ready then.
pub const QUEUE: usize = 0;
pub const SIZE: usize = 1;
pub const DESCRIPTORS: usize = 2;
pub const DRIVER: usize = 3;
pub const DEVICE: usize = 4;
pub const WORDS: usize = 5;
