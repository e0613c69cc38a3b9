//! pidfd_open(2): a descriptor that stands for a process.

use super::family;
use super::process::Process;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::raw::general::O_RDWR;
use vfs::{File, FileOps, WaitList, poll};

pub struct PidFd(pub Arc<Process>);

/// A file for the process; `flags` are those of open(2) that it is to have.
#[must_use]
pub fn new(process: &Arc<Process>, flags: u32) -> Arc<File> {
    File::from_ops(Arc::new(PidFd(process.clone())), O_RDWR | flags)
}

impl PidFd {
    /// Whether the process is there, or has not been waited for.
    #[must_use]
    pub fn is_known(&self) -> bool {
        family::find(self.0.pid).is_some_and(|process| Arc::ptr_eq(&process, &self.0))
    }
}

impl FileOps for PidFd {
    fn poll(&self) -> u32 {
        if family::has_ended(&self.0) {
            poll::IN | poll::RDNORM
        } else {
            0
        }
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.0.ended)
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(b"anon_inode:[pidfd]".to_vec())
    }

    fn fdinfo(&self, out: &mut Vec<u8>) {
        let pid = if self.is_known() { self.0.pid } else { -1 };
        out.extend_from_slice(format!("Pid:\t{pid}\nNSpid:\t{pid}\n").as_bytes());
    }
}
