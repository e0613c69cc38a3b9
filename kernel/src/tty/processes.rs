//! What terminals have to know about processes.

use super::console;
use crate::percpu;
use crate::task::{Process, entry, family, signal};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_abi::{SIG_IGN, Siginfo, Signal};
use vfs::tty::{Job, Jobs};

/// The session of the first process, whose terminal is the monitor's.
pub fn first_session() -> i32 {
    entry::init_process().map_or(family::INIT, |first| {
        first.state.sid.load(Ordering::Relaxed)
    })
}

pub struct Processes;

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
        console().is_some() && session == first_session()
    }
}
