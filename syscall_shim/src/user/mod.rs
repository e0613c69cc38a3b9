//! The program's memory, typed: pointers, strings, buffers.

mod buffers;
mod path;
mod ptr;

pub use buffers::{IoBuffers, UserSink, UserSource};
pub use path::UserPath;
pub use ptr::UserPtr;

use crate::kernel::UserMemory;
use linux_abi::Errno;

/// For structures that may be longer than ours (openat2(2), "Extensibility"): E2BIG unless all of the rest is zero.
pub fn require_zeros<K: UserMemory>(k: &K, from: UserPtr<u8>, len: usize) -> Result<(), Errno> {
    let mut bytes = [0; 64];
    let mut done = 0;
    while done < len {
        let step = (len - done).min(bytes.len());
        let part = bytes.get_mut(..step).ok_or(Errno::E2BIG)?;
        from.at(done).read_slice(k, part)?;
        if part.iter().any(|byte| *byte != 0) {
            return Err(Errno::E2BIG);
        }
        done += step;
    }
    Ok(())
}
