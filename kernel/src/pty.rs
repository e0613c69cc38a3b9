//! Pseudo-terminals, as a part: what `vfs::pty` has to know about processes. And who asks where the part is left out.
#![allow(unsafe_code)]

use crate::parts::{self, Pseudoterminals};
use crate::task::{Process, entry, family, signal};
use crate::{notice, percpu, time, tty};
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::{Errno, SIG_IGN, Siginfo, Signal};
use spin::Once;
use vfs::pty::{Job, Jobs, Ptys};
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
    let console = tty::console().filter(|_| session == first_session());
    console.ok_or(Errno::ENXIO)
}

/// The session of the first process, whose terminal is the monitor's.
fn first_session() -> i32 {
    entry::init_process().map_or(family::INIT, |first| {
        first.state.sid.load(Ordering::Relaxed)
    })
}

struct Processes;

fn caller() -> &'static Arc<Process> {
    &percpu::current().process
}

impl Jobs for Processes {
    fn caller(&self) -> Job {
        let process = caller();
        Job {
            pid: process.pid,
            group: process.state.pgid.load(Ordering::Relaxed),
            session: process.state.sid.load(Ordering::Relaxed),
            uid: process.state.with_identity(|identity| identity.euid),
        }
    }

    fn session_of(&self, group: i32) -> Option<i32> {
        let members = family::group(group);
        Some(members.first()?.state.sid.load(Ordering::Relaxed))
    }

    fn signal_group(&self, group: i32, signal: Signal) {
        for process in family::group(group) {
            // A full queue cannot be: these are no real-time signals.
            let _ = signal::send_to_process(&process, Siginfo::kernel(signal));
        }
    }

    fn signal_process(&self, pid: i32, signal: Signal) {
        if let Some(process) = family::find(pid) {
            let _ = signal::send_to_process(&process, Siginfo::kernel(signal));
        }
    }

    fn heeds(&self, signal: Signal) -> bool {
        let blocked = percpu::current().signals.lock().mask.contains(signal);
        let action = caller().signals.lock().action(signal);
        !blocked && action.handler != SIG_IGN
    }

    fn can_stop(&self) -> bool {
        let process = caller();
        process.pid != family::INIT && !family::is_orphaned(process)
    }

    fn has_console(&self, session: i32) -> bool {
        tty::console().is_some() && session == first_session()
    }
}
