//! Linux's own asynchronous I/O, io_submit(2) and its kin: what libaio calls.
//!
//! As on Linux without `O_DIRECT`, reads and writes are done when they are submitted; only polls take their time.

mod context;
mod events;
mod submit;

pub use context::{forget, io_destroy, io_setup};
pub use events::{io_getevents, io_pgetevents};
pub use submit::{io_cancel, io_submit};

#[cfg(test)]
mod tests;
