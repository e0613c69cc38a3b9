//! What the calls of System V's shared memory, semaphores and message queues share.
use crate::kernel::{Clock, Kernel};
use alloc::sync::Arc;
use linux_abi::{Errno, IpcPerm};
use vfs::Credentials;
use vfs::sysv::{IpcCaller, IpcOwner};

const NS: u64 = 1_000_000_000;

/// Who calls; kept for as long as an [`IpcCaller`] borrows it.
pub(super) struct Caller {
    cred: Arc<Credentials>,
    pid: i32,
    now: i64,
}

impl Caller {
    pub(super) fn new<K: Kernel>(k: &K) -> Result<Self, Errno> {
        Ok(Self {
            cred: k.process().file_credentials(),
            pid: k.getpid(),
            now: (k.clock_gettime(Clock::Realtime)? / NS) as i64,
        })
    }

    pub(super) fn get(&self) -> IpcCaller<'_> {
        IpcCaller {
            cred: &self.cred,
            pid: self.pid,
            now: self.now,
        }
    }
}

/// `struct ipc64_perm` of the object `id`.
pub(super) fn perm(id: i32, key: i32, owner: IpcOwner) -> IpcPerm {
    const SLOTS: i32 = 32768;
    IpcPerm {
        key,
        uid: owner.uid,
        gid: owner.gid,
        cuid: owner.cuid,
        cgid: owner.cgid,
        mode: owner.mode,
        seq: (id / SLOTS) as u16,
        ..IpcPerm::default()
    }
}

/// Permission bits for looking and for changing.
pub(super) const READ: u32 = 0o444;
pub(super) const WRITE: u32 = 0o222;

#[cfg(test)]
mod tests;
