//! Things that go wrong by chance, to see what the kernel makes of it: memory that is not there, sleepers that wake for nothing,
//! interrupts between CPUs that come late. Only a kernel that is built with checks can do it; in others all of this is nothing.

#[cfg(debug_assertions)]
mod injector;

#[cfg(debug_assertions)]
pub use injector::{delay_call, disturb_somebody, init, linger, send_delayed, strikes};

pub use boot_abi::faults::Kind;

#[cfg(not(debug_assertions))]
mod nothing {
    use super::Kind;
    use crate::boot::option;
    use alloc::string::String;

    pub fn init(cmdline: &str) -> Result<(), String> {
        match option(cmdline, boot_abi::KEY_FAULTS) {
            Some(_) => Err("faults are asked for, and this kernel was built without them".into()),
            None => Ok(()),
        }
    }

    pub const fn strikes(_: Kind) -> bool {
        false
    }

    pub const fn delay_call(_: u32) {}

    pub const fn linger() {}

    pub const fn send_delayed(_: bool) {}

    pub const fn disturb_somebody() {}
}
#[cfg(not(debug_assertions))]
pub use nothing::{delay_call, disturb_somebody, init, linger, send_delayed, strikes};
