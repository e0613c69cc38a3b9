//! The handlers: one folder per component, one file per call or small family.

pub mod aio;
pub mod core;
pub mod events;
pub mod files;
pub mod identity;
pub mod inotify;
pub mod io_uring;
pub mod memory;
pub mod mqueue;
pub mod processes;
pub mod seccomp;
pub mod signals;
pub mod sockets;
mod sysv;
pub mod sysv_msg;
pub mod sysv_sem;
pub mod sysv_shm;
pub mod threads;
pub mod time;
