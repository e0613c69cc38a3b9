//! The device between a driver and real sockets of the host.

mod datagrams;
mod guest;
mod hostile;
mod listeners;
mod streams;
mod turns;
