//! Structures exactly as they lie in the program's memory.

/// Declares structures that are plain data, with the size that the kernel's header gives them.
macro_rules! abi_struct {
    ($($(#[$doc:meta])* $name:ident [$size:literal] { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq,
                zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
            #[repr(C)]
            pub struct $name {
                $($(#[$fdoc])* pub $field: $type,)*
            }

            const _: () = assert!(size_of::<$name>() == $size);

            impl Default for $name {
                fn default() -> Self {
                    zerocopy::FromZeros::new_zeroed()
                }
            }
        )*
    };
}

mod aio;
mod capability;
mod dirent;
mod events;
mod fs;
mod ipc;
mod process;
mod signal;
mod socket;
mod system;
mod terminal;
mod time;

pub use aio::*;
pub use capability::*;
pub use dirent::*;
pub use events::*;
pub use fs::*;
pub use ipc::*;
pub use process::*;
pub use signal::*;
pub use socket::*;
pub use system::*;
pub use terminal::*;
pub use time::*;
