//! io_uring(7): system calls by shared memory.
//!
//! There are no worker threads: a request is tried when it is submitted, and what cannot go on waits for its file to
//! become ready. It goes on when the program enters the kernel by io_uring_enter(2). Until then the submission ring's flags say
//! `IORING_SQ_TASKRUN`, which liburing looks at when it finds no completion.

mod cancel;
mod chain;
mod data;
mod enter;
mod instance;
mod ops;
mod register;
mod request;
mod rings;
mod setup;
mod timeout;

pub use enter::io_uring_enter;
pub use register::io_uring_register;
pub use setup::io_uring_setup;

#[cfg(test)]
mod tests;
