//! An instance: rings, what waits, and what is registered.
use super::chain::Chain;
use super::request::Request;
use super::rings::{Cqe, Rings};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use linux_abi::Errno;
use spin::Mutex;
use vfs::{EventFd, File, FileOps, InodeRef, WaitList, poll};

pub(super) struct Uring {
    pub(super) rings: Rings,
    pub(super) state: Mutex<State>,
    pub(super) waiters: WaitList,
    this: Weak<Uring>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) sq_head: u32,
    cq_tail: u32,
    /// Completions for which the ring had no room.
    backlog: VecDeque<Cqe>,
    pub(super) pending: Vec<Arc<Request>>,
    /// What is behind an `IOSQE_IO_DRAIN`.
    pub(super) deferred: VecDeque<Chain>,
    pub(super) files: Option<Vec<Option<Arc<File>>>>,
    /// Addresses and lengths.
    pub(super) buffers: Option<Vec<(u64, u64)>>,
    pub(super) eventfd: Option<Arc<File>>,
    /// Completions so far, without those of timeouts.
    pub(super) posted: u64,
    /// `IORING_SETUP_R_DISABLED`
    pub(super) disabled: bool,
}

impl Uring {
    pub(super) fn new(rings: Rings, disabled: bool) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            rings,
            state: Mutex::new(State {
                disabled,
                ..State::default()
            }),
            waiters: WaitList::new(),
            this: this.clone(),
        })
    }

    /// The instance of a descriptor.
    pub(super) fn of(file: &File) -> Result<Arc<Self>, Errno> {
        let ring = file.ops_as::<Self>().ok_or(Errno::EOPNOTSUPP)?;
        ring.this.upgrade().ok_or(Errno::EBADF)
    }

    /// Posts a completion, and tells who waits. `counts`: timeouts that wait for a number of completions count it.
    pub(super) fn post(&self, cqe: Cqe, counts: bool) {
        let eventfd = {
            let mut state = self.state.lock();
            self.flush(&mut state);
            let tail = state.cq_tail;
            if state.backlog.is_empty() && self.rings.put_completion(tail, cqe) {
                state.cq_tail = tail.wrapping_add(1);
            } else {
                state.backlog.push_back(cqe);
                self.rings.set_overflown(true);
            }
            if counts {
                state.posted += 1;
                for request in &state.pending {
                    request.count(state.posted);
                }
            }
            state.eventfd.clone()
        };
        signal(eventfd.as_ref());
        self.waiters.notify(poll::IN | poll::RDNORM);
    }

    /// Moves what the ring had no room for.
    fn flush(&self, state: &mut State) {
        if state.backlog.is_empty() {
            return;
        }
        while let Some(&cqe) = state.backlog.front() {
            if !self.rings.put_completion(state.cq_tail, cqe) {
                return;
            }
            state.cq_tail = state.cq_tail.wrapping_add(1);
            state.backlog.pop_front();
        }
        self.rings.set_overflown(false);
    }

    /// How many completions the program can take.
    pub(super) fn completions(&self) -> u32 {
        let mut state = self.state.lock();
        self.flush(&mut state);
        self.rings.completions(state.cq_tail)
    }

    /// Says that a request can go on.
    pub(super) fn nudge(&self) {
        self.rings.set_work_waits(true);
        let eventfd = self.state.lock().eventfd.clone();
        signal(eventfd.as_ref());
        self.waiters.notify(poll::IN | poll::RDNORM);
    }

    /// Takes a request out of those that wait. False if it is not there any more.
    pub(super) fn unpark(&self, request: &Arc<Request>) -> bool {
        let mut state = self.state.lock();
        let at = state
            .pending
            .iter()
            .position(|known| Arc::ptr_eq(known, request));
        at.map(|at| state.pending.swap_remove(at)).is_some()
    }

    /// The registered file number `index`.
    pub(super) fn fixed_file(&self, index: i32) -> Result<Arc<File>, Errno> {
        let state = self.state.lock();
        let files = state.files.as_deref().unwrap_or(&[]);
        let index = usize::try_from(index).map_err(|_| Errno::EBADF)?;
        files.get(index).cloned().flatten().ok_or(Errno::EBADF)
    }

    /// Checks that a range lies in registered buffer `index`.
    pub(super) fn check_fixed(&self, index: u16, addr: u64, len: u64) -> Result<(), Errno> {
        let state = self.state.lock();
        let buffers = state.buffers.as_deref().unwrap_or(&[]);
        let &(base, size) = buffers.get(usize::from(index)).ok_or(Errno::EFAULT)?;
        let end = addr.checked_add(len).ok_or(Errno::EFAULT)?;
        if addr >= base && end <= base.saturating_add(size) {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }
}

fn signal(eventfd: Option<&Arc<File>>) {
    if let Some(counter) = eventfd.and_then(|file| file.ops_as::<EventFd>()) {
        counter.signal(1);
    }
}

impl FileOps for Uring {
    fn poll(&self) -> u32 {
        let mut events = 0;
        let work = {
            let state = self.state.lock();
            if self.rings.has_room_for_submissions(state.sq_head) {
                events |= poll::OUT | poll::WRNORM;
            }
            state.pending.iter().any(|request| request.is_ready())
        };
        if work || self.completions() > 0 {
            events |= poll::IN | poll::RDNORM;
        }
        events
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.waiters)
    }

    fn map_inode(&self) -> Option<InodeRef> {
        Some(self.rings.memory.clone())
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(b"anon_inode:[io_uring]".to_vec())
    }
}
