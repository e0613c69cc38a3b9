use crate::Buffer;
use crate::kernel::Kernel;
use linux_abi::{Errno, GetrandomFlags, MAX_RW_COUNT, SysResult};

/// How many bytes are made at a time.
const STEP: usize = 256;

/// getrandom(2). The source never blocks, so the flags change nothing.
pub fn getrandom<K: Kernel>(k: &K, buf: Buffer, len: usize, flags: u32) -> SysResult {
    let flags = GetrandomFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(GetrandomFlags::GRND_RANDOM | GetrandomFlags::GRND_INSECURE) {
        return Err(Errno::EINVAL);
    }
    let len = len.min(MAX_RW_COUNT);
    if !k.access_ok(buf.addr(), len as u64) {
        return Err(Errno::EFAULT);
    }
    let mut bytes = [0; STEP];
    let mut done = 0;
    while done < len {
        let step = (len - done).min(STEP);
        let part = bytes.get_mut(..step).ok_or(Errno::EFAULT)?;
        k.random(part);
        let written = k.write_some(buf.at(done).addr(), part);
        done += written;
        if written < step {
            return if done > 0 {
                Ok(done)
            } else {
                Err(Errno::EFAULT)
            };
        }
        // A very long request ends early on a signal, but never before the first 256 bytes.
        if done < len && k.signal_pending() {
            break;
        }
    }
    Ok(done)
}
