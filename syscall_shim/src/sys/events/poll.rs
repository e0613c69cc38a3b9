use super::timeout::Timeout;
use crate::kernel::Kernel;
use crate::state::Resource;
use crate::sys::signals::with_sigmask;
use crate::user::UserPtr;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::{Errno, PollEvents, Pollfd, SigSet, SysResult, Timespec};
use vfs::{File, WaitList};

/// poll(2)
pub fn poll<K: Kernel>(k: &K, fds: UserPtr<Pollfd>, nfds: u32, timeout: i32) -> SysResult {
    let timeout = Timeout::from_ms(k, timeout);
    poll_until(k, fds, nfds, timeout)
}

/// ppoll(2). Linux updates the timeout, which C libraries hide.
pub fn ppoll<K: Kernel>(
    k: &K,
    fds: UserPtr<Pollfd>,
    nfds: u32,
    timeout: UserPtr<Timespec>,
    sigmask: UserPtr<SigSet>,
    size: usize,
) -> SysResult {
    let until = Timeout::from_timespec(k, timeout)?;
    let answer = with_sigmask(k, sigmask, size, || poll_until(k, fds, nfds, until));
    store_left(k, timeout, until);
    answer
}

/// A timeout that cannot be written to is left alone, as on Linux.
pub(super) fn store_left<K: Kernel>(k: &K, timeout: UserPtr<Timespec>, until: Timeout) {
    if let Some(left) = until.left(k) {
        let _ = timeout.write_if(k, &Timespec::from_ns(left));
    }
}

/// The open files of the descriptors asked about.
struct Watch {
    fds: Vec<Pollfd>,
    files: Vec<Option<Arc<File>>>,
}

impl Watch {
    fn read<K: Kernel>(k: &K, fds: UserPtr<Pollfd>, count: usize) -> Result<Self, Errno> {
        let mut entries = vec![Pollfd::default(); count];
        fds.read_slice(k, &mut entries)?;
        let open = |entry: &Pollfd| k.files().get(entry.fd).ok().filter(|file| !file.is_path());
        let files = entries.iter().map(open).collect();
        Ok(Self {
            fds: entries,
            files,
        })
    }

    /// Looks at all files: how many have something to report.
    fn look(&mut self) -> usize {
        let mut ready = 0;
        for (entry, file) in self.fds.iter_mut().zip(&self.files) {
            let events = match file {
                Some(file) => file.poll() & (u32::from(entry.events) | PollEvents::ALWAYS.bits()),
                None if entry.fd < 0 => 0,
                None => PollEvents::POLLNVAL.bits(),
            };
            entry.revents = events as u16;
            ready += usize::from(events != 0);
        }
        ready
    }

    /// Stores the answers; what was asked stays untouched.
    fn write<K: Kernel>(&self, k: &K, fds: UserPtr<Pollfd>) -> Result<(), Errno> {
        const REVENTS: u64 = 6;
        for (at, entry) in self.fds.iter().enumerate() {
            UserPtr::<u16>::new(fds.at(at).addr().wrapping_add(REVENTS))
                .write(k, &entry.revents)?;
        }
        Ok(())
    }
}

fn poll_until<K: Kernel>(k: &K, fds: UserPtr<Pollfd>, nfds: u32, timeout: Timeout) -> SysResult {
    if u64::from(nfds) > k.process().limits.lock().current(Resource::NOFILE) {
        return Err(Errno::EINVAL);
    }
    let mut watch = Watch::read(k, fds, nfds as usize)?;
    k.look();
    let mut ready = watch.look();
    if ready == 0 && !timeout.is_zero() {
        let files = watch.files.clone();
        let lists: Vec<&WaitList> = files
            .iter()
            .flatten()
            .filter_map(|file| file.wait_list())
            .collect();
        k.wait(&lists, timeout.deadline(), &mut || {
            ready = watch.look();
            ready > 0
        })
        .map_err(|errno| timeout.interrupted(k, errno))?;
    }
    watch.write(k, fds)?;
    Ok(ready)
}
