//! Flag sets, named as in the man pages.

/// Declares a flag set whose members carry the names and values of the kernel's headers.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident: $repr:ty, $module:ident { $($flag:ident)* } $(also { $($extra:ident = $value:expr;)* })?) => {
        bitflags::bitflags! {
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
            pub struct $name: $repr {
                $(const $flag = linux_raw_sys::$module::$flag as $repr;)*
                $($(const $extra = $value;)*)?
            }
        }
    };
}

mod events;
mod files;
mod memory;
mod signals;
mod sockets;
mod threads;

pub use events::*;
pub use files::*;
pub use memory::*;
pub use signals::*;
pub use sockets::*;
pub use threads::*;
