//! Pseudo-terminals, see pty(7): pairs of a master, which stands for keyboard and screen, and a slave, which is a terminal.

mod control;
mod fs;
mod master;
mod pair;
mod slave;
#[cfg(test)]
mod tests;

use crate::Result;
use crate::host::Host;
use crate::inode::InodeRef;
use crate::ops::FileOps;
use crate::tty::{Job, Jobs};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use linux_abi::{Errno, Signal};
use pair::{Pty, signal_all};
use spin::Mutex;

/// As many as Linux has by default (/proc/sys/kernel/pty/max).
const MOST: u32 = 4096;

/// All pseudo-terminals: what /dev/ptmx and /dev/pts are.
pub struct Ptys {
    dev: u64,
    jobs: Arc<dyn Jobs>,
    host: Arc<dyn Host>,
    table: Mutex<BTreeMap<u32, Arc<Pty>>>,
    this: Weak<Self>,
}

impl Ptys {
    /// `dev`: the `st_dev` of /dev/pts.
    #[must_use]
    pub fn new(dev: u64, jobs: Arc<dyn Jobs>, host: Arc<dyn Host>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            dev,
            jobs,
            host,
            table: Mutex::new(BTreeMap::new()),
            this: this.clone(),
        })
    }

    /// The root of /dev/pts.
    #[must_use]
    pub fn root(&self) -> Option<InodeRef> {
        self.this.upgrade().map(fs::root)
    }

    /// Opens /dev/ptmx: the master of a new pair.
    pub fn open_master(&self) -> Result<Arc<dyn FileOps>> {
        let ptys = self.this.upgrade().ok_or(Errno::EIO)?;
        let mut table = self.table.lock();
        let number = (0..MOST)
            .find(|number| !table.contains_key(number))
            .ok_or(Errno::ENOSPC)?;
        let pty = Pty::new(number, self);
        table.insert(number, pty.clone());
        Ok(Arc::new(master::Master::new(pty, ptys)))
    }

    fn find(&self, number: u32) -> Option<Arc<Pty>> {
        self.table.lock().get(&number).cloned()
    }

    fn of_session(&self, session: i32) -> Option<Arc<Pty>> {
        let table = self.table.lock();
        table
            .values()
            .find(|pty| pty.state.lock().session == session)
            .cloned()
    }

    /// Opens /dev/tty: the caller's controlling terminal, if it is one of these.
    pub fn open_controlling(&self) -> Result<Arc<dyn FileOps>> {
        let pty = self.of_session(self.jobs.caller().session);
        self.open_unasked(&pty.ok_or(Errno::ENXIO)?)
    }

    /// Opens a slave. A leader of a session without a terminal gets it as that, unless it is opened with `O_NOCTTY`.
    fn open_slave(&self, pty: &Arc<Pty>, controls: bool) -> Result<Arc<dyn FileOps>> {
        let slave = self.open_unasked(pty)?;
        let caller = self.jobs.caller();
        if controls && self.may_get_terminal(caller) {
            let mut state = pty.state.lock();
            if state.session == 0 {
                state.give_to(caller);
            }
        }
        Ok(slave)
    }

    fn open_unasked(&self, pty: &Arc<Pty>) -> Result<Arc<dyn FileOps>> {
        slave::Slave::open(pty, self.this.upgrade().ok_or(Errno::EIO)?)
    }

    fn may_get_terminal(&self, caller: Job) -> bool {
        caller.pid == caller.session
            && self.of_session(caller.session).is_none()
            && !self.jobs.has_console(caller.session)
    }

    /// A session's leader has ended: its terminal is nobody's, and who runs in the foreground is told.
    pub fn session_ended(&self, session: i32) {
        let Some(pty) = self.of_session(session) else {
            return;
        };
        let group = {
            let mut state = pty.state.lock();
            state.hangups += 1;
            state.leave_session()
        };
        signal_all(&*self.jobs, group, &[Signal::SIGHUP, Signal::SIGCONT]);
        pty.notify_all();
    }

    fn forget(&self, number: u32) {
        self.table.lock().remove(&number);
    }
}
