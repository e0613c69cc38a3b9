//! The device between a driver and real sockets of the host.

mod guest;
mod streams;
