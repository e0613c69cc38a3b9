use crate::kernel::Kernel;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, SysResult};

/// "Only ask".
const QUERY: u32 = 0xffff_ffff;
/// The bits that name a domain; `PER_LINUX` is 0.
const DOMAIN: u32 = 0xff;

/// personality(2)
pub fn personality<K: Kernel>(k: &K, persona: u32) -> SysResult {
    let place = &k.process().persona;
    if persona == QUERY {
        return Ok(place.load(Relaxed) as usize);
    }
    if persona & DOMAIN != 0 {
        k.unsupported_part("personality: other domains than PER_LINUX");
        return Err(Errno::EINVAL);
    }
    Ok(place.swap(persona, Relaxed) as usize)
}
