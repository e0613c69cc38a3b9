//! What every program uses: its end, names, randomness, processor state.

mod arch_prctl;
mod exit;
mod prctl;
mod random;
mod sysinfo;
mod uname;

pub use arch_prctl::arch_prctl;
pub use exit::{exit, exit_group};
pub use prctl::prctl;
pub use random::getrandom;
pub use sysinfo::sysinfo;
pub use uname::{RELEASE, VERSION, uname};

#[cfg(test)]
mod tests;
