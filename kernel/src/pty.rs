//! Pseudo-terminals, as a part. And who asks where the part is left out.
#![allow(unsafe_code)]

use crate::parts::{self, Pseudoterminals};
use crate::tty::Processes;
use crate::{notice, percpu, time, tty};
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::Errno;
use spin::Once;
use vfs::pty::Ptys;
use vfs::{FileOps, Result};

/// `st_dev` of /dev/pts.
const PTS_DEV: u64 = 21;

// SAFETY: the name is this static's alone; `parts::ptys` reads it as what it is.
#[unsafe(export_name = "compat.part.ptys")]
static PART: Pseudoterminals = Pseudoterminals {
    root: || ptys().root(),
    master: || ptys().open_master(),
    controlling: || ptys().open_controlling(),
    session_ended: |session| ptys().session_ended(session),
};

fn ptys() -> &'static Arc<Ptys> {
    static PTYS: Once<Arc<Ptys>> = Once::new();
    PTYS.call_once(|| Ptys::new(PTS_DEV, Arc::new(Processes), time::host()))
}

/// Opens /dev/ptmx. Any program that can open a file may come here, so `compat/select/` leaves the part out where it knows better.
// SAFETY: the name is this function's alone, and nothing calls it by that.
#[unsafe(export_name = "compat.need.ptys")]
#[inline(never)]
pub fn open_master() -> Result<Arc<dyn FileOps>> {
    match parts::ptys() {
        Some(part) => (part.master)(),
        None => {
            notice::once_each(String::from(
                "pseudo-terminals were left out of this image; wrap it with --all",
            ));
            Err(Errno::ENODEV)
        }
    }
}

/// Opens /dev/tty: the controlling terminal, a pseudo-terminal or the one that the monitor brings.
pub fn open_controlling() -> Result<Arc<dyn FileOps>> {
    let found = parts::ptys().map(|part| (part.controlling)());
    if let Some(Ok(terminal)) = found {
        return Ok(terminal);
    }
    let process = &percpu::current().process;
    let session = process.state.sid.load(Ordering::Relaxed);
    let console = tty::console().filter(|_| session == tty::first_session());
    console.ok_or(Errno::ENXIO)
}
