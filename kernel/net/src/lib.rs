//! Sockets without a machine.
//!
//! As in `vfs`, nothing here blocks: an operation that cannot go on answers `EAGAIN`, and the socket's `WaitList` says
//! when to try again. What leaves the guest goes through an [`Uplink`], of which there are two kinds: one forwards
//! connections to sockets of the host, the other is a TCP/IP stack over a network card. Loopback traffic never leaves
//! this crate.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "fuzz"))]
extern crate std;

mod address;
pub mod bpf;
mod env;
pub mod forward;
mod inet;
mod ioctl;
mod message;
mod netconf;
mod netlink;
mod network;
mod packet;
mod procfs;
mod route;
mod socket;
pub mod stack;
#[cfg(test)]
mod tests;
mod unix;
mod uplink;

pub use address::{Address, LinkAddress, RawAddress, UnixName};
pub use env::{Env, Ucred};
pub use inet::{Counter, Counters, InetProtocol, SocketEntry, TcpState};
pub use ioctl::is_interface_ioctl;
pub use linux_abi::Errno;
pub use message::{Control, Outgoing, Received};
pub use netconf::{BadWord, NetConfig, NetMode, hosts};
pub use network::{Interface, InterfaceFlags, Network};
pub use procfs::{SocketCounts, TcpSockets, UnixSockets};
pub use route::{Route, broadcast, lookup, netmask, network_of, table};
pub use socket::{Accepted, Socket, SocketOps, SocketType, receive_vec};
pub use unix::UnixEntry;
pub use uplink::{
    Acceptor, ConnectRequest, Connection, DatagramKind, DatagramReceiver, Datagrams, Listening,
    Stream, StreamOption, Uplink,
};

/// What almost everything here returns.
pub type Result<T> = core::result::Result<T, Errno>;
