//! The used ring: how chains go back to the driver.

use std::sync::atomic::{Ordering, fence};

use virtio_bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress};

use super::DeviceError;
use crate::memory::GuestMemory;

/// Puts (head, bytes written) pairs into the ring and makes them visible at once. Answers whether the driver wants to
/// hear of it.
pub fn publish(
    queue: &mut Queue,
    memory: &GuestMemory,
    chains: &[(u16, u32)],
) -> Result<bool, DeviceError> {
    let (before, size) = (queue.next_used(), queue.size());
    let ring = queue.used_ring();
    let mut next = before;
    for (head, written) in chains {
        if *head >= size {
            return Err(virtio_queue::Error::InvalidDescriptorIndex.into());
        }
        let slot = u64::from(next.checked_rem(size).unwrap_or(0));
        let element = u64::from(*head) | u64::from(*written) << 32;
        memory.write_obj(element.to_le(), at(ring, 4 + 8 * slot)?)?;
        next = next.wrapping_add(1);
    }
    memory.store(next.to_le(), at(ring, 2)?, Ordering::Release)?;
    queue.set_next_used(next);
    // The driver sees the index before its wish is looked at, or both sides could wait.
    fence(Ordering::SeqCst);
    let avail = queue.avail_ring();
    if queue.event_idx_enabled() {
        let event = memory.load(at(avail, 4 + 2 * u64::from(size))?, Ordering::Relaxed)?;
        Ok(passes(u16::from_le(event), before, next))
    } else {
        let flags = u16::from_le(memory.load(at(avail, 0)?, Ordering::Relaxed)?);
        Ok(u32::from(flags) & VRING_AVAIL_F_NO_INTERRUPT == 0)
    }
}

/// Is `event` among the indices from `before` on that come before `next`? `vring_need_event` of the specification.
fn passes(event: u16, before: u16, next: u16) -> bool {
    next.wrapping_sub(event).wrapping_sub(1) < next.wrapping_sub(before)
}

fn at(ring: u64, offset: u64) -> Result<GuestAddress, DeviceError> {
    let address = ring.checked_add(offset).map(GuestAddress);
    address.ok_or(virtio_queue::Error::AddressOverflow.into())
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn the_event_index_is_met_once_also_around_the_end() {
        assert!(passes(5, 5, 6) && passes(5, 3, 9));
        assert!(!passes(5, 6, 7) && !passes(5, 3, 5));
        assert!(passes(u16::MAX, u16::MAX - 1, 1) && passes(0, u16::MAX, 1));
        assert!(!passes(1, u16::MAX, 1));
    }
}
