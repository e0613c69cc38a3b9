//! The kernel as the shim sees it: the traits of `syscall_shim::kernel`, for the calling thread.
#![allow(unsafe_code)]

mod dispatch;
mod files;
mod memory;
mod net;
mod process;
mod signals;
mod system;
mod threads;
mod time;
mod user;
mod wait;

pub use dispatch::dispatch;
pub use files::file_locks;
pub use system::nodename;

use crate::notice;
use crate::percpu;
use crate::task::entry::is_restart;
use crate::task::frame::Frame;
use crate::task::thread::Thread;
use alloc::format;
use core::cell::UnsafeCell;
use linux_abi::SysResult;
use syscall_shim::{Call, Kernel, Refusal};

/// The calling thread in a system call.
pub struct Caller<'a> {
    frame: UnsafeCell<&'a mut Frame>,
}

impl<'a> Caller<'a> {
    pub fn new(frame: &'a mut Frame) -> Self {
        Self {
            frame: UnsafeCell::new(frame),
        }
    }

    /// The number of the call.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.with_frame(|frame| frame.orig_rax)
    }

    /// The thread.
    #[must_use]
    pub fn thread(&self) -> &'static Thread {
        percpu::current()
    }

    /// Looks at or changes the registers that the program gets back.
    pub fn with_frame<R>(&self, look: impl FnOnce(&mut Frame) -> R) -> R {
        // SAFETY: `Caller` is neither Send nor Sync, and `look` cannot reach this Caller's frame another way, since nothing
        // here hands the reference out.
        look(unsafe { &mut *self.frame.get() })
    }

    /// Leaves the result in the frame.
    pub fn finish(self, result: SysResult) {
        let value = match result {
            Ok(value) => value as u64,
            Err(errno) => u64::from(errno.raw()).wrapping_neg(),
        };
        if is_restart(value) {
            percpu::request_work();
        }
        self.frame.into_inner().rax = value;
    }
}

impl Kernel for Caller<'_> {
    fn unsupported(&self, nr: usize, call: Option<&'static Call>) {
        match call {
            Some(call) => notice::once_each(format!(
                "the program called {}(2), which is not implemented; it got ENOSYS",
                call.name()
            )),
            None => notice::once_each(format!(
                "the program called system call {nr}, which is unknown; it got ENOSYS"
            )),
        }
    }

    fn refused(&self, call: &'static Call, refusal: &'static Refusal) {
        notice::once_each(format!(
            "the program called {}(2), which is refused: {}",
            call.name(),
            refusal.note
        ));
    }

    fn unsupported_part(&self, what: &'static str) {
        notice::once_each(format!("not implemented: {what}"));
    }
}
