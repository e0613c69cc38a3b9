//! Contexts: where completions wait to be collected.
use crate::kernel::{Kernel, MmapRequest};
use crate::user::UserPtr;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use linux_abi::{Errno, IoEvent, MapFlags, PAGE_SIZE, Prot, SysResult};
use spin::Mutex;
use vfs::{EventFd, File, WaitList, Wake, poll};

/// /proc/sys/fs/aio-max-nr
const MAX_EVENTS: usize = 65536;

/// By process and number.
static CONTEXTS: Mutex<BTreeMap<(i32, u64), Arc<Context>>> = Mutex::new(BTreeMap::new());

pub(super) struct Context {
    capacity: usize,
    state: Mutex<State>,
    pub(super) waiters: WaitList,
}

#[derive(Default)]
struct State {
    done: VecDeque<IoEvent>,
    polls: Vec<Arc<PollRequest>>,
}

/// `IOCB_CMD_POLL`, waiting.
pub(super) struct PollRequest {
    pub(super) context: Weak<Context>,
    pub(super) this: Weak<PollRequest>,
    pub(super) file: Arc<File>,
    pub(super) mask: u32,
    pub(super) event: IoEvent,
    pub(super) resfd: Option<Arc<File>>,
}

impl Context {
    /// EINVAL if there is none of that number.
    pub(super) fn find<K: Kernel>(k: &K, number: u64) -> Result<Arc<Self>, Errno> {
        let contexts = CONTEXTS.lock();
        contexts
            .get(&(k.getpid(), number))
            .cloned()
            .ok_or(Errno::EINVAL)
    }

    /// EAGAIN if nothing more may be under way or uncollected.
    pub(super) fn check_room(&self) -> Result<(), Errno> {
        let state = self.state.lock();
        if state.done.len() + state.polls.len() < self.capacity {
            Ok(())
        } else {
            Err(Errno::EAGAIN)
        }
    }

    pub(super) fn ready(&self) -> usize {
        self.state.lock().done.len()
    }

    pub(super) fn take(&self) -> Option<IoEvent> {
        self.state.lock().done.pop_front()
    }

    pub(super) fn untake(&self, event: IoEvent) {
        self.state.lock().done.push_front(event);
    }

    /// Notes a completion.
    pub(super) fn complete(&self, event: IoEvent, resfd: Option<&Arc<File>>) {
        self.state.lock().done.push_back(event);
        if let Some(counter) = resfd.and_then(|file| file.ops_as::<EventFd>()) {
            counter.signal(1);
        }
        self.waiters.notify(poll::IN);
    }

    pub(super) fn add_poll(&self, request: &Arc<PollRequest>) {
        self.state.lock().polls.push(request.clone());
    }

    /// Takes a poll that waits; none if it has ended meanwhile.
    fn remove_poll(&self, matches: impl Fn(&PollRequest) -> bool) -> Option<Arc<PollRequest>> {
        let mut state = self.state.lock();
        let at = state.polls.iter().position(|poll| matches(poll))?;
        Some(state.polls.swap_remove(at))
    }

    /// Ends the poll of the iocb at `obj`, with no events.
    pub(super) fn cancel(&self, obj: u64) -> Option<()> {
        let poll = self.remove_poll(|poll| poll.event.obj == obj)?;
        poll.forget();
        self.complete(poll.event, poll.resfd.as_ref());
        Some(())
    }
}

/// The process has ended, or runs another program: nobody will collect anything.
pub fn forget(pid: i32) {
    let gone: Vec<Arc<Context>> = {
        let mut contexts = CONTEXTS.lock();
        let keys: Vec<(i32, u64)> = contexts
            .range((pid, 0)..=(pid, u64::MAX))
            .map(|(key, _)| *key)
            .collect();
        keys.iter().filter_map(|key| contexts.remove(key)).collect()
    };
    for context in gone {
        let polls = core::mem::take(&mut context.state.lock().polls);
        polls.iter().for_each(|poll| poll.forget());
    }
}

impl PollRequest {
    /// Ends the poll if its file is ready.
    pub(super) fn look(&self) {
        let events = self.file.poll() & self.mask;
        let Some(context) = self.context.upgrade().filter(|_| events != 0) else {
            return;
        };
        if let Some(poll) = context.remove_poll(|poll| core::ptr::eq(poll, self)) {
            poll.forget();
            let event = IoEvent {
                res: i64::from(events),
                ..poll.event
            };
            context.complete(event, poll.resfd.as_ref());
        }
    }

    fn forget(&self) {
        if let (Some(list), Some(this)) = (self.file.wait_list(), self.this.upgrade()) {
            let waker: Arc<dyn Wake> = this;
            list.remove(&waker);
        }
    }
}

impl Wake for PollRequest {
    fn wake(&self, _events: u32) {
        self.look();
    }
}

/// io_setup(2). The number of a context is an address: libaio looks there for a ring that it knows how to read, finds a page
/// of zeros, and asks the kernel.
pub fn io_setup<K: Kernel>(k: &K, nr: u32, ctx: UserPtr<u64>) -> SysResult {
    if ctx.read(k)? != 0 || nr == 0 {
        return Err(Errno::EINVAL);
    }
    let capacity = nr as usize;
    if capacity > MAX_EVENTS {
        return Err(Errno::EAGAIN);
    }
    let number = k.mmap(&MmapRequest {
        addr: 0,
        len: PAGE_SIZE as u64,
        prot: Prot::PROT_READ | Prot::PROT_WRITE,
        flags: MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS,
        file: None,
        offset: 0,
    })?;
    if let Err(errno) = ctx.write(k, &number) {
        k.munmap(number, PAGE_SIZE as u64)?;
        return Err(errno);
    }
    let context = Arc::new(Context {
        capacity,
        state: Mutex::new(State::default()),
        waiters: WaitList::new(),
    });
    let old = CONTEXTS.lock().insert((k.getpid(), number), context);
    // The program unmapped the page of a context and went on without it.
    drop(old);
    Ok(0)
}

/// io_destroy(2)
pub fn io_destroy<K: Kernel>(k: &K, ctx: u64) -> SysResult {
    let context = CONTEXTS
        .lock()
        .remove(&(k.getpid(), ctx))
        .ok_or(Errno::EINVAL)?;
    while let Some(poll) = context.remove_poll(|_| true) {
        poll.forget();
    }
    // Who waits for events of it sees that nothing comes.
    context.waiters.notify(poll::HUP);
    k.munmap(ctx, PAGE_SIZE as u64)?;
    Ok(0)
}
