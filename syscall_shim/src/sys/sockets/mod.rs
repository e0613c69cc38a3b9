//! Sockets: none yet, said in a way that programs understand.

mod none;

pub use none::{socket, socketpair};

#[cfg(test)]
mod tests;
