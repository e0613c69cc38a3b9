//! Fills each buffer that the driver gives.

use virtio_bindings::virtio_ids::VIRTIO_ID_RNG;
use vm_memory::Bytes;

use crate::devices::virtio::{Chain, Device, DeviceError, Rings};
use crate::host;

const QUEUE: usize = 0;
/// More than this a chain is not filled, as the specification allows: no driver holds the device thread.
const MOST: usize = 16 << 10;

pub struct Rng;

impl Device for Rng {
    type Wants = ();
    const ID: u32 = VIRTIO_ID_RNG;
    const QUEUES: &'static [u16] = &[64];

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> &[u8] {
        &[]
    }

    fn reset(&mut self) {}

    fn process(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        rings.silence(QUEUE)?;
        loop {
            while let Some(chain) = rings.pop(QUEUE)? {
                let written = fill(rings, &chain)?;
                rings.put(QUEUE, chain.head, written)?;
            }
            if !rings.listen(QUEUE)? {
                return Ok(());
            }
        }
    }
}

fn fill(rings: &Rings<'_>, chain: &Chain) -> Result<u32, DeviceError> {
    let mut random = [0; MOST];
    let mut written = 0;
    for buffer in &chain.writable {
        let len = (buffer.len as usize).min(MOST - written);
        let Some(part) = random.get_mut(..len) else {
            break;
        };
        if host::random(part).is_err() {
            return Err(DeviceError::Protocol(
                "asked for random bytes, and the host has none",
            ));
        }
        rings.memory.write_slice(part, buffer.address)?;
        written += len;
    }
    Ok(written as u32)
}
