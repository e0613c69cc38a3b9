//! What the shim remembers for a process. The kernel keeps one [`ProcessState`] per process and looks at what concerns it.

mod capabilities;
mod identity;
mod limits;
mod locks;

pub use capabilities::{Capabilities, Uids};
pub use identity::Identity;
pub use limits::{Limits, Resource};
pub use locks::{FileLocks, RecordLock, RecordOwner};

use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed};
use linux_abi::Errno;
use spin::Mutex;
use vfs::Credentials;

/// See [`crate::kernel::Process::process`].
pub struct ProcessState {
    identity: Mutex<Identity>,
    /// The part of the identity that file access goes by, ready to be handed out.
    files_as: Mutex<Arc<Credentials>>,
    pub limits: Mutex<Limits>,
    /// `RLIMIT_FSIZE`, which every write looks at.
    pub file_size_limit: AtomicU64,
    pub pgid: AtomicI32,
    pub sid: AtomicI32,
    pub nice: AtomicI32,
    /// personality(2)
    pub persona: AtomicU32,
    /// membarrier(2): the registrations, as its commands' bits.
    pub membarrier: AtomicU32,
    pub prctl: PrctlState,
}

/// Settings of prctl(2) that are remembered and reported.
pub struct PrctlState {
    /// `PR_SET_DUMPABLE`
    pub dumpable: AtomicU32,
    /// `PR_SET_PDEATHSIG`
    pub death_signal: AtomicU32,
    /// `PR_SET_NO_NEW_PRIVS`
    pub no_new_privs: AtomicU32,
    /// `PR_SET_TIMERSLACK`, nanoseconds
    pub timer_slack: AtomicU64,
    /// `PR_SET_CHILD_SUBREAPER`
    pub subreaper: AtomicU32,
    /// `PR_SET_THP_DISABLE`
    pub thp_disable: AtomicU32,
}

/// Default of `PR_GET_TIMERSLACK`.
pub const DEFAULT_TIMER_SLACK: u64 = 50_000;

impl ProcessState {
    /// For the first process: `pid` leads its own group and session.
    #[must_use]
    pub fn new(pid: i32, identity: Identity, limits: Limits) -> Self {
        let files_as = Mutex::new(Arc::new(identity.file_credentials()));
        Self {
            identity: Mutex::new(identity),
            files_as,
            file_size_limit: AtomicU64::new(limits.current(Resource::FSIZE)),
            limits: Mutex::new(limits),
            pgid: AtomicI32::new(pid),
            sid: AtomicI32::new(pid),
            nice: AtomicI32::new(0),
            persona: AtomicU32::new(0),
            membarrier: AtomicU32::new(0),
            prctl: PrctlState {
                dumpable: AtomicU32::new(1),
                death_signal: AtomicU32::new(0),
                no_new_privs: AtomicU32::new(0),
                timer_slack: AtomicU64::new(DEFAULT_TIMER_SLACK),
                subreaper: AtomicU32::new(0),
                thp_disable: AtomicU32::new(0),
            },
        }
    }

    /// For a child process, with what prctl(2) settings are inherited.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let number = |word: &AtomicU32| AtomicU32::new(word.load(Relaxed));
        let of = &self.prctl;
        let identity = self.identity();
        Self {
            files_as: Mutex::new(self.file_credentials()),
            identity: Mutex::new(identity),
            file_size_limit: AtomicU64::new(self.file_size_limit.load(Relaxed)),
            limits: Mutex::new(self.limits.lock().clone()),
            pgid: AtomicI32::new(self.pgid.load(Relaxed)),
            sid: AtomicI32::new(self.sid.load(Relaxed)),
            nice: AtomicI32::new(self.nice.load(Relaxed)),
            persona: number(&self.persona),
            membarrier: number(&self.membarrier),
            prctl: PrctlState {
                dumpable: number(&of.dumpable),
                death_signal: AtomicU32::new(0),
                no_new_privs: number(&of.no_new_privs),
                timer_slack: AtomicU64::new(of.timer_slack.load(Relaxed)),
                subreaper: AtomicU32::new(0),
                thp_disable: number(&of.thp_disable),
            },
        }
    }

    /// A copy of the identity.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity.lock().clone()
    }

    /// Looks at the identity.
    pub fn with_identity<R>(&self, look: impl FnOnce(&Identity) -> R) -> R {
        look(&self.identity.lock())
    }

    /// Changes the identity; nothing is changed if `change` fails.
    pub fn change_identity(
        &self,
        change: impl FnOnce(&mut Identity) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut identity = self.identity.lock();
        let mut new = identity.clone();
        change(&mut new)?;
        *self.files_as.lock() = Arc::new(new.file_credentials());
        *identity = new;
        Ok(())
    }

    /// By whom files are accessed.
    #[must_use]
    pub fn file_credentials(&self) -> Arc<Credentials> {
        self.files_as.lock().clone()
    }
}
