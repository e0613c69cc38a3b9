//! The virtio entropy device. Used only where neither the monitor nor the processor gives random numbers.
use super::hal::{DirectMap, dma_block};
use super::mmio::Mmio;
use virtio_drivers::device::rng::VirtIORng;
use virtio_drivers::transport::DeviceType;

/// Fills `into` with the device's bytes. Sets the device up for each call, since there is hardly ever more than one.
pub fn fill(into: &mut [u8]) -> Result<(), &'static str> {
    let mmio = super::find(DeviceType::EntropySource).ok_or("there is none")?;
    if !mmio.is_modern() {
        return Err("it is a legacy device, which is not supported");
    }
    let mut device: VirtIORng<DirectMap, Mmio> =
        VirtIORng::new(mmio).map_err(|_| "it cannot be set up")?;
    // The device writes to memory of the direct map, which `into` need not be.
    let page = dma_block(1).ok_or("out of memory")?;
    for chunk in into.chunks_mut(page.len()) {
        let mut filled = 0;
        while filled < chunk.len() {
            let Some(want) = page.get_mut(..chunk.len() - filled) else {
                return Err("out of memory");
            };
            let got = device
                .request_entropy(want)
                .map_err(|_| "it does not answer")?;
            let got = got.min(chunk.len() - filled);
            if got == 0 {
                return Err("it does not answer");
            }
            if let (Some(to), Some(from)) = (chunk.get_mut(filled..filled + got), page.get(..got)) {
                to.copy_from_slice(from);
            }
            filled += got;
        }
    }
    Ok(())
}
