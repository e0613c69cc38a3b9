//! Control messages, see cmsg(3): between the bytes of the program and `net::Control`.

mod decode;
mod encode;
mod parts;

pub(super) use decode::read;
pub(super) use encode::ControlWriter;

use linux_abi::Cmsghdr;

/// `CMSG_LEN(0)`
const HEADER: usize = size_of::<Cmsghdr>();

/// `CMSG_ALIGN`
const fn align(len: usize) -> usize {
    len.next_multiple_of(size_of::<u64>())
}
