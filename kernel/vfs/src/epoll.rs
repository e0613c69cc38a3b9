//! epoll(7).
//!
//! Every watched file has an item, which hears of the file through its wait list and then lines up in the ready
//! queue. What is in the queue *may* be ready; `collect` asks the file itself.
use crate::Result;
use crate::file::File;
use crate::ops::FileOps;
use crate::types::poll;
use crate::wait::{WaitList, Wake};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use linux_abi::Errno;
use linux_abi::raw::general::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, O_CLOEXEC, O_RDWR};
use spin::Mutex;

const EPOLLEXCLUSIVE: u32 = 1 << 28;
const EPOLLWAKEUP: u32 = 1 << 29;
const EPOLLONESHOT: u32 = 1 << 30;
const EPOLLET: u32 = 1 << 31;
/// What may stand beside `EPOLLEXCLUSIVE`.
const EXCLUSIVE_OK: u32 =
    poll::IN | poll::OUT | poll::ERR | poll::HUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
/// How many instances one behind the other an instance that is watched may watch.
const NESTS_MAX: u32 = 3;

/// `struct epoll_event`: the events asked for or that hold, and the caller's data.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct EpollEvent {
    pub events: u32,
    pub data: u64,
}

/// A watched file.
struct Item {
    key: Key,
    epoll: Weak<Epoll>,
    file: Weak<File>,
    this: Weak<Item>,
    /// No events are asked for between a one-shot report and the next `EPOLL_CTL_MOD`.
    wanted: Mutex<EpollEvent>,
    queued: AtomicBool,
}

/// Descriptor and address of the file. The address stays taken as long as the item holds its weak reference.
type Key = (i32, usize);

struct State {
    items: BTreeMap<Key, Arc<Item>>,
    ready: VecDeque<Arc<Item>>,
}

pub struct Epoll {
    state: Mutex<State>,
    waiters: WaitList,
    this: Weak<Epoll>,
}

/// epoll_create1(2).
pub fn epoll(flags: u32) -> Result<Arc<File>> {
    if flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let state = State {
        items: BTreeMap::new(),
        ready: VecDeque::new(),
    };
    let epoll = Arc::new_cyclic(|this| Epoll {
        state: Mutex::new(state),
        waiters: WaitList::new(),
        this: this.clone(),
    });
    Ok(File::from_ops(epoll, O_RDWR))
}

/// What `file` has now of what is asked for.
fn held_of(asked: u32, file: &File) -> u32 {
    if asked & !(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP) == 0 {
        return 0;
    }
    file.poll() & (asked | poll::ERR | poll::HUP)
}

impl Item {
    /// What holds now of what is asked for.
    fn events(&self, file: &File) -> u32 {
        held_of(self.wanted.lock().events, file)
    }

    /// Its instance and itself, if `events` are of interest.
    fn hear(&self, events: u32) -> Option<(Arc<Epoll>, Arc<Self>)> {
        let asked = self.wanted.lock().events | poll::ERR | poll::HUP;
        if events != 0 && events & asked == 0 {
            return None;
        }
        Some((self.epoll.upgrade()?, self.this.upgrade()?))
    }

    fn forget(&self, file: &File) {
        if let (Some(list), Some(this)) = (file.wait_list(), self.this.upgrade()) {
            let waker: Arc<dyn Wake> = this;
            list.remove(&waker);
        }
    }
}

impl Wake for Item {
    fn wake(&self, events: u32) {
        if let Some((epoll, this)) = self.hear(events) {
            epoll.line_up(this);
        }
    }

    fn wake_exclusive(&self, events: u32) -> bool {
        let Some((epoll, this)) = self.hear(events) else {
            return false;
        };
        let is_waited_for = !epoll.waiters.is_empty();
        epoll.line_up(this);
        is_waited_for
    }

    fn file_closed(&self) {
        if self.file.strong_count() == 0
            && let Some(epoll) = self.epoll.upgrade()
        {
            drop(epoll.remove(self.key));
        }
    }
}

impl Epoll {
    /// Puts an item into the ready queue, and tells who waits.
    fn line_up(&self, item: Arc<Item>) {
        if !item.queued.swap(true, AcqRel) {
            self.state.lock().ready.push_back(item);
        }
        self.waiters.notify(poll::IN | poll::RDNORM);
    }

    /// Puts items back that stay ready.
    fn line_up_again(&self, items: Vec<Arc<Item>>) {
        if items.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        for item in items {
            if !item.queued.swap(true, AcqRel) {
                state.ready.push_back(item);
            }
        }
    }

    /// epoll_ctl(2) on descriptor `fd`, which stands for `file`.
    pub fn ctl(&self, operation: u32, fd: i32, file: &Arc<File>, event: EpollEvent) -> Result<()> {
        if !file.is_pollable() {
            return Err(Errno::EPERM);
        }
        let inner = file.ops_as::<Self>();
        if inner.is_some_and(|inner| core::ptr::eq(inner, self)) {
            return Err(Errno::EINVAL);
        }
        let exclusive = event.events & EPOLLEXCLUSIVE != 0 && operation != EPOLL_CTL_DEL;
        if exclusive
            && (operation == EPOLL_CTL_MOD || inner.is_some() || event.events & !EXCLUSIVE_OK != 0)
        {
            return Err(Errno::EINVAL);
        }
        let key = (fd, Arc::as_ptr(file).addr());
        match operation {
            EPOLL_CTL_ADD => self.add(key, file, event),
            EPOLL_CTL_MOD => self.modify(key, file, event),
            EPOLL_CTL_DEL => self.delete(key, file),
            _ => Err(Errno::EINVAL),
        }
    }

    fn add(&self, key: Key, file: &Arc<File>, event: EpollEvent) -> Result<()> {
        if let Some(inner) = file.ops_as::<Self>()
            && inner.leads_to(self, NESTS_MAX)?
        {
            return Err(Errno::ELOOP);
        }
        let item = Arc::new_cyclic(|this| Item {
            key,
            epoll: self.this.clone(),
            file: Arc::downgrade(file),
            this: this.clone(),
            wanted: Mutex::new(event),
            queued: AtomicBool::new(false),
        });
        {
            let mut state = self.state.lock();
            if state.items.contains_key(&key) {
                return Err(Errno::EEXIST);
            }
            state.items.insert(key, item.clone());
        }
        if let Some(list) = file.wait_list() {
            let waker: Arc<dyn Wake> = item.clone();
            if event.events & EPOLLEXCLUSIVE == 0 {
                list.add(&waker);
            } else {
                list.add_exclusive(&waker);
            }
        }
        self.look_at(item, file);
        Ok(())
    }

    fn modify(&self, key: Key, file: &File, event: EpollEvent) -> Result<()> {
        let item = self
            .state
            .lock()
            .items
            .get(&key)
            .cloned()
            .ok_or(Errno::ENOENT)?;
        if item.wanted.lock().events & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        *item.wanted.lock() = event;
        self.look_at(item, file);
        Ok(())
    }

    fn delete(&self, key: Key, file: &File) -> Result<()> {
        let item = self.remove(key).ok_or(Errno::ENOENT)?;
        item.forget(file);
        Ok(())
    }

    /// The address of the file that was added by descriptor `fd`; of several (a number may have been used again) the `nth`.
    #[must_use]
    pub fn target(&self, fd: i32, nth: usize) -> Option<usize> {
        let state = self.state.lock();
        let of_fd = state.items.range((fd, 0)..=(fd, usize::MAX));
        of_fd.map(|((_, file), _)| *file).nth(nth)
    }

    fn remove(&self, key: Key) -> Option<Arc<Item>> {
        let mut state = self.state.lock();
        let item = state.items.remove(&key)?;
        if item.queued.load(Acquire) {
            state.ready.retain(|queued| !Arc::ptr_eq(queued, &item));
        }
        Some(item)
    }

    /// Lines a new or changed item up if its file is ready already.
    fn look_at(&self, item: Arc<Item>, file: &File) {
        if item.events(file) != 0 {
            self.line_up(item);
        }
    }

    /// Whether this instance watches `target`, directly or through others. `ELOOP` where others watch others too often.
    fn leads_to(&self, target: &Self, depth: u32) -> Result<bool> {
        if core::ptr::eq(self, target) {
            return Ok(true);
        }
        let files: Vec<Arc<File>> = self
            .state
            .lock()
            .items
            .values()
            .filter_map(|item| item.file.upgrade())
            .collect();
        for inner in files.iter().filter_map(|file| file.ops_as::<Self>()) {
            if depth == 0 {
                return Err(Errno::ELOOP);
            }
            if inner.leads_to(target, depth - 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// epoll_wait(2) without the waiting: hands at most `max` ready events to `emit`. When `emit` fails, the event
    /// stays ready; the error is only the answer if it was the first.
    pub fn collect(
        &self,
        max: usize,
        emit: &mut dyn FnMut(EpollEvent) -> Result<()>,
    ) -> Result<usize> {
        let mut count = 0;
        // Items that line up meanwhile wait for the next call: so each is looked at once.
        let mut looks = self.state.lock().ready.len();
        let mut again: Vec<Arc<Item>> = Vec::with_capacity(looks.min(max));
        let mut outcome = Ok(());
        while count < max && looks > 0 {
            looks -= 1;
            let Some((item, file)) = self.next_ready() else {
                break;
            };
            let wanted = *item.wanted.lock();
            let events = held_of(wanted.events, &file);
            if events == 0 {
                continue;
            }
            if let Err(error) = emit(EpollEvent {
                events,
                data: wanted.data,
            }) {
                again.push(item);
                outcome = Err(error);
                break;
            }
            count += 1;
            if wanted.events & EPOLLONESHOT != 0 {
                item.wanted.lock().events &= EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP;
            } else if wanted.events & EPOLLET == 0 {
                again.push(item);
            }
        }
        self.line_up_again(again);
        if count == 0 {
            outcome.map(|()| 0)
        } else {
            Ok(count)
        }
    }

    /// Takes the next item out of the queue, dropping those whose files are closed.
    fn next_ready(&self) -> Option<(Arc<Item>, Arc<File>)> {
        loop {
            let item = self.state.lock().ready.pop_front()?;
            item.queued.store(false, Release);
            match item.file.upgrade() {
                Some(file) => return Some((item, file)),
                None => drop(self.remove(item.key)),
            }
        }
    }
}

impl FileOps for Epoll {
    fn poll(&self) -> u32 {
        let queued: Vec<Arc<Item>> = self.state.lock().ready.iter().cloned().collect();
        let ready = queued.iter().any(|item| {
            item.file
                .upgrade()
                .is_some_and(|file| item.events(&file) != 0)
        });
        if ready { poll::IN | poll::RDNORM } else { 0 }
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.waiters)
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(b"anon_inode:[eventpoll]".to_vec())
    }

    fn fdinfo(&self, out: &mut Vec<u8>) {
        for ((fd, _), item) in &self.state.lock().items {
            let EpollEvent { events, data } = *item.wanted.lock();
            out.extend_from_slice(
                format!("tfd: {fd:8} events: {events:8x} data: {data:16x}\n").as_bytes(),
            );
        }
    }
}
