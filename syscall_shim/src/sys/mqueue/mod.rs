//! POSIX message queues, mq_overview(7).

mod notify;
mod open;
mod transfer;

pub use notify::mq_notify;
pub use open::{mq_getsetattr, mq_open, mq_unlink};
pub use transfer::{mq_timedreceive, mq_timedsend};

use linux_abi::Errno;
use vfs::{File, Mqueue};

/// The queue of a descriptor; anything else is EBADF.
fn queue_of(file: &File) -> Result<&Mqueue, Errno> {
    file.ops_as().ok_or(Errno::EBADF)
}

#[cfg(test)]
mod tests;
