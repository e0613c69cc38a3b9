//! Other processes.

mod unshare;
mod wait;

pub use unshare::unshare;
pub use wait::{wait4, waitid};

#[cfg(test)]
mod tests;
