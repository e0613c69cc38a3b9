//! The machine's network, as the rest of the kernel sees it. An image whose program makes no sockets has none.

mod files;
mod part;
mod polling;
mod stats;
mod uplinks;

pub use part::network;

use crate::boot::Config;
use crate::{notice, parts};
use ::net::Env;
use alloc::string::String;
use alloc::vec::Vec;
use linux_abi::{Errno, SysResult};
use vfs::{FsContext, NetFile, NetInterface, UserMemory};

/// Sets up the way out that the configuration names, and the files that tell of it.
pub fn init(config: &Config, files: &FsContext) {
    if let Some(part) = parts::network() {
        (part.init)(config, files);
    }
}

/// A file of /proc/net.
pub fn show(file: NetFile, out: &mut Vec<u8>) {
    match parts::network() {
        Some(part) => (part.show)(file, out),
        None => notice::once_each(String::from(
            "the network was left out of this image: /proc/net has empty files; add it with compat wrap --include socket",
        )),
    }
}

/// A write to /proc/sys/net/ipv4/ip_local_port_range.
pub fn set_local_port_range(text: &[u8]) -> Result<(), Errno> {
    match parts::network() {
        Some(part) => (part.set_local_port_range)(text),
        None => Err(Errno::EINVAL),
    }
}

/// The directories of /sys/class/net.
pub fn interfaces() -> Vec<NetInterface> {
    parts::network().map_or_else(Vec::new, |part| (part.interfaces)())
}

/// ioctl(2) on a socket, about an interface.
pub fn ioctl(command: u32, argument: u64, memory: &dyn UserMemory, env: &dyn Env) -> SysResult {
    match parts::network() {
        Some(part) => (part.ioctl)(command, argument, memory, env),
        None => Err(Errno::ENOTTY),
    }
}

/// Figures as JSON.
pub fn stats() -> String {
    parts::network().map_or_else(|| String::from("null"), |part| (part.stats)())
}
