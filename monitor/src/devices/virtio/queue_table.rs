//! Queues that the driver sets up all at once, see [`boot_abi::virtio`].

use boot_abi::virtio::{DESCRIPTORS, DEVICE, DRIVER, QUEUE, QUEUES_MAX, SIZE, WORDS};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress};

use super::DeviceError;
use crate::memory::GuestMemory;

/// Sets up the queues that the table at `table` tells of. What cannot be is refused; those before it are set up then.
pub fn apply(memory: &GuestMemory, table: u32, queues: &mut [Queue]) -> Result<(), DeviceError> {
    let table = u64::from(table);
    let count: u64 = memory.read_obj(GuestAddress(table))?;
    if count > QUEUES_MAX as u64 {
        return Err(DeviceError::Protocol("named too many queues in its table"));
    }
    (0..count).try_for_each(|i| {
        let at = table + 8 * (1 + i * WORDS as u64);
        set_up(&memory.read_obj(GuestAddress(at))?, queues)
    })
}

fn set_up(words: &[u64; WORDS], queues: &mut [Queue]) -> Result<(), DeviceError> {
    let index = usize::try_from(words[QUEUE]).ok();
    let queue = index.and_then(|index| queues.get_mut(index));
    let queue = queue.ok_or(DeviceError::Protocol("named a queue that does not exist"))?;
    let size = u16::try_from(words[SIZE]).unwrap_or(0);
    queue.set_size(size);
    if queue.size() != size {
        return Err(DeviceError::Protocol(
            "gave a queue a size that it cannot have",
        ));
    }
    let halves = |word: usize| (Some(words[word] as u32), Some((words[word] >> 32) as u32));
    let (low, high) = halves(DESCRIPTORS);
    queue.set_desc_table_address(low, high);
    let (low, high) = halves(DRIVER);
    queue.set_avail_ring_address(low, high);
    let (low, high) = halves(DEVICE);
    queue.set_used_ring_address(low, high);
    queue.set_ready(true);
    Ok(())
}
