//! Sockets: everything that the crate `net` does, called as Linux calls it.

mod accept;
mod address;
mod connect;
mod control;
mod env;
mod header;
mod interfaces;
mod lookup;
mod make;
mod many;
mod names;
mod options;
mod patience;
mod receive;
mod send;

pub use accept::{accept, accept4};
pub use connect::connect;
pub use make::{socket, socketpair};
pub use many::{recvmmsg, sendmmsg};
pub use names::{bind, getpeername, getsockname, listen, shutdown};
pub use options::{getsockopt, setsockopt};
pub use receive::{recvfrom, recvmsg};
pub use send::{sendmsg, sendto};

pub(crate) use accept::accept_on;
pub(crate) use connect::{begin_connect, connected};
pub(crate) use interfaces::interface_ioctl;
pub(crate) use patience::Patience;
pub(crate) use receive::{receive_buffers, recvmsg_on};
pub(crate) use send::{Envelope, send_buffers, send_from, sendmsg_on, write};

#[cfg(test)]
pub(crate) use tests::double;
#[cfg(test)]
mod tests;
