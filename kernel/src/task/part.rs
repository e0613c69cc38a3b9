//! Several processes, as a part: an image whose program starts none has no such code.
#![allow(unsafe_code)]

use super::fork;
use super::frame::Frame;
use crate::parts::Processes;
use linux_abi::Errno;
use syscall_shim::kernel::CloneRequest;

// SAFETY: the name is this static's alone; `parts::processes` reads it as what it is.
#[unsafe(export_name = "compat.part.processes")]
static PART: Processes = Processes {
    clone: fork::clone,
    ended: fork::ended,
};

/// fork(2) and vfork(2). Whoever calls this needs the part.
// SAFETY: the name is this function's alone, and nothing calls it by that.
#[unsafe(export_name = "compat.need.processes")]
#[inline(never)]
pub fn start(request: &CloneRequest, registers: &Frame, xmm: &[u128; 16]) -> Result<i32, Errno> {
    fork::clone(request, registers, xmm)
}
