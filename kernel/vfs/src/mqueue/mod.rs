//! POSIX message queues, see mq_overview(7). They have names of their own, in no directory; a descriptor is a file.
mod store;

use crate::Result;
use crate::context::Credentials;
use crate::file::File;
use crate::io::Sink;
use crate::ops::{FileOps, SeekKind};
use crate::types::{FileType, Metadata, access, poll};
use crate::wait::WaitList;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use linux_abi::raw::general::{
    O_ACCMODE, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, SIGEV_NONE, SIGEV_SIGNAL,
    SIGEV_THREAD,
};
use linux_abi::{Capability, Errno};
use spin::Mutex;
use store::{Message, Store};

/// /proc/sys/fs/mqueue: what an unprivileged user may ask for, what who asks for nothing gets, and how many there are.
pub(crate) const MSG_MAX: i64 = 10;
pub(crate) const MSG_DEFAULT: i64 = 10;
pub(crate) const MSGSIZE_MAX: i64 = 8192;
pub(crate) const MSGSIZE_DEFAULT: i64 = 8192;
pub(crate) const QUEUES_MAX: usize = 256;
/// What nobody may ask for more of.
const HARD_MSG_MAX: i64 = 65536;
const HARD_MSGSIZE_MAX: i64 = 16 * 1024 * 1024;
/// Priorities are below this.
const MQ_PRIO_MAX: u32 = 32768;
/// What a message and a priority cost besides the bytes, as `RLIMIT_MSGQUEUE` counts.
const MESSAGE_COST: u64 = 48;
const PRIORITY_COST: u64 = 56;
/// The size of a queue as stat(2) tells it.
const FILE_SIZE: u64 = 80;
const NAME_MAX: usize = 255;

static QUEUES: Mutex<BTreeMap<Vec<u8>, Arc<Queue>>> = Mutex::new(BTreeMap::new());
/// Bytes that all queues may take, for `RLIMIT_MSGQUEUE`.
static PROMISED: AtomicU64 = AtomicU64::new(0);

/// How many messages of which size a queue takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MqSize {
    pub max_messages: i64,
    pub message_size: i64,
}

/// Whom mq_notify(3) wants told, and how.
#[derive(Clone)]
pub struct MqNotify {
    pub process: i32,
    pub how: MqNotifyHow,
}

#[derive(Clone)]
pub enum MqNotifyHow {
    Nothing,
    /// Number (0: none) and value.
    Signal(u32, u64),
    /// A socket that gets the cookie, for a thread of the C library.
    Thread(Arc<File>, [u8; 32]),
}

/// What mq_open(3) is asked for. `size` is that of a new queue, `bytes` the `RLIMIT_MSGQUEUE`.
pub struct MqOpen<'a> {
    pub name: &'a [u8],
    pub flags: u32,
    pub mode: u32,
    pub size: Option<MqSize>,
    pub bytes: u64,
}

struct Queue {
    size: MqSize,
    mode: u32,
    uid: u32,
    gid: u32,
    store: Mutex<Store>,
    notify: Mutex<Option<MqNotify>>,
    /// Threads that wait for a message: while there are any, nobody is notified.
    receivers: AtomicUsize,
    waiters: WaitList,
}

/// An open queue.
pub struct Mqueue {
    queue: Arc<Queue>,
    name: Vec<u8>,
}

fn check_name(name: &[u8]) -> Result<()> {
    match name {
        b"" => Err(Errno::ENOENT),
        b"." | b".." => Err(Errno::EACCES),
        _ if name.contains(&b'/') => Err(Errno::EACCES),
        _ if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        _ => Ok(()),
    }
}

/// mq_open(2).
pub fn mq_open(cred: &Credentials, wanted: &MqOpen<'_>) -> Result<Arc<File>> {
    check_name(wanted.name)?;
    let mut queues = QUEUES.lock();
    let queue = match queues.get(wanted.name) {
        Some(_) if wanted.flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => {
            return Err(Errno::EEXIST);
        }
        Some(queue) => {
            let mode = match wanted.flags & O_ACCMODE {
                O_RDONLY => access::READ,
                O_WRONLY => access::WRITE,
                O_RDWR => access::READ | access::WRITE,
                _ => return Err(Errno::EINVAL),
            };
            cred.check(&queue.metadata(), mode)?;
            queue.clone()
        }
        None if wanted.flags & O_CREAT == 0 => return Err(Errno::ENOENT),
        None => {
            if queues.len() >= QUEUES_MAX && !cred.can(Capability::SYS_RESOURCE) {
                return Err(Errno::ENOSPC);
            }
            let queue = Arc::new(Queue::new(cred, wanted)?);
            queues.insert(wanted.name.to_vec(), queue.clone());
            queue
        }
    };
    drop(queues);
    let ops = Arc::new(Mqueue {
        queue,
        name: wanted.name.to_vec(),
    });
    Ok(File::from_ops(ops, wanted.flags & (O_ACCMODE | O_NONBLOCK)))
}

/// mq_unlink(2): the queue lives on while it is open.
pub fn mq_unlink(cred: &Credentials, name: &[u8]) -> Result<()> {
    check_name(name)?;
    let removed = {
        let mut queues = QUEUES.lock();
        let queue = queues.get(name).ok_or(Errno::ENOENT)?;
        cred.check_owner(&queue.metadata())?;
        queues.remove(name)
    };
    drop(removed);
    Ok(())
}

impl Queue {
    fn new(cred: &Credentials, wanted: &MqOpen<'_>) -> Result<Self> {
        let size = wanted.size.unwrap_or(MqSize {
            max_messages: MSG_DEFAULT,
            message_size: MSGSIZE_DEFAULT,
        });
        let limits = if cred.can(Capability::SYS_RESOURCE) {
            (HARD_MSG_MAX, HARD_MSGSIZE_MAX)
        } else {
            (MSG_MAX, MSGSIZE_MAX)
        };
        if !(1..=limits.0).contains(&size.max_messages)
            || !(1..=limits.1).contains(&size.message_size)
        {
            return Err(Errno::EINVAL);
        }
        let cost = size.cost();
        let promise = |now: u64| now.checked_add(cost).filter(|sum| *sum <= wanted.bytes);
        PROMISED
            .fetch_update(Relaxed, Relaxed, promise)
            .map_err(|_| Errno::EMFILE)?;
        Ok(Self {
            size,
            mode: wanted.mode & 0o777,
            uid: cred.uid,
            gid: cred.gid,
            store: Mutex::new(Store::default()),
            notify: Mutex::new(None),
            receivers: AtomicUsize::new(0),
            waiters: WaitList::new(),
        })
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            mode: FileType::Regular.mode_bits() | self.mode,
            nlink: 1,
            uid: self.uid,
            gid: self.gid,
            size: FILE_SIZE,
            blksize: 4096,
            ..Metadata::default()
        }
    }
}

impl MqSize {
    /// What the queue counts against `RLIMIT_MSGQUEUE`. The limits of both numbers keep this small.
    fn cost(self) -> u64 {
        let (count, size) = (self.max_messages as u64, self.message_size as u64);
        count * (size + MESSAGE_COST) + count.min(u64::from(MQ_PRIO_MAX)) * PRIORITY_COST
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        PROMISED.fetch_sub(self.size.cost(), Relaxed);
    }
}

impl Mqueue {
    #[must_use]
    pub fn size(&self) -> MqSize {
        self.queue.size
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.queue.store.lock().count()
    }

    /// mq_timedsend(2) without the waiting: `EAGAIN` while the queue is full. Answers who is to be told of the message.
    pub fn send(&self, bytes: &[u8], priority: u32) -> Result<Option<MqNotify>> {
        let notify = {
            let mut store = self.queue.store.lock();
            if store.count() as i64 >= self.queue.size.max_messages {
                return Err(Errno::EAGAIN);
            }
            let first = store.count() == 0;
            store.push(priority, bytes)?;
            if first && self.queue.receivers.load(Relaxed) == 0 {
                self.queue.notify.lock().take()
            } else {
                None
            }
        };
        self.queue.waiters.notify(poll::IN | poll::RDNORM);
        Ok(notify)
    }

    /// mq_timedreceive(2) without the waiting: the oldest of the messages with the highest priority, and this.
    pub fn receive(&self) -> Result<Message> {
        let message = self.queue.store.lock().pop().ok_or(Errno::EAGAIN)?;
        self.queue.waiters.notify(poll::OUT | poll::WRNORM);
        Ok(message)
    }

    /// Counts the caller among those that wait for a message, until the answer is dropped.
    #[must_use]
    pub fn await_message(&self) -> impl Drop + use<> {
        self.queue.receivers.fetch_add(1, Relaxed);
        Waiting(self.queue.clone())
    }

    /// mq_notify(2): `EBUSY` if somebody is to be told already.
    pub fn set_notify(&self, notify: MqNotify) -> Result<()> {
        let mut slot = self.queue.notify.lock();
        if slot.is_some() {
            return Err(Errno::EBUSY);
        }
        *slot = Some(notify);
        Ok(())
    }

    /// Takes the notification back, if it is `process`'s own.
    pub fn remove_notify(&self, process: i32) -> Option<MqNotify> {
        let mut slot = self.queue.notify.lock();
        slot.take_if(|notify| notify.process == process)
    }
}

struct Waiting(Arc<Queue>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.receivers.fetch_sub(1, Relaxed);
    }
}

impl Drop for Mqueue {
    fn drop(&mut self) {
        // The program has one process: its notification ends with its last descriptor.
        let notify = self.queue.notify.lock().take();
        drop(notify);
    }
}

impl FileOps for Mqueue {
    /// The status line that files of the mqueue file system have.
    fn read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        let text = {
            let notify = self.queue.notify.lock();
            let (how, signal, process) = match notify
                .as_ref()
                .map(|notify| (&notify.how, notify.process))
            {
                None => (0, 0, 0),
                Some((MqNotifyHow::Nothing, process)) => (SIGEV_NONE, 0, process),
                Some((MqNotifyHow::Signal(signal, _), process)) => (SIGEV_SIGNAL, *signal, process),
                Some((MqNotifyHow::Thread(..), process)) => (SIGEV_THREAD, 0, process),
            };
            let bytes = self.queue.store.lock().bytes();
            format!("QSIZE:{bytes:<10} NOTIFY:{how:<5} SIGNO:{signal:<5} NOTIFY_PID:{process:<6}\n")
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = text.as_bytes().get(start..).unwrap_or(&[]);
        let part = rest.get(..sink.remaining()).unwrap_or(rest);
        sink.put(part)?;
        Ok(part.len())
    }

    fn poll(&self) -> u32 {
        let count = self.count();
        poll::ready(count > 0, (count as i64) < self.queue.size.max_messages)
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.queue.waiters)
    }

    fn seek_kind(&self) -> SeekKind {
        SeekKind::Position
    }

    fn kind(&self) -> Option<FileType> {
        Some(FileType::Regular)
    }

    fn metadata(&self) -> Option<Metadata> {
        Some(self.queue.metadata())
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some([b"/", self.name.as_slice()].concat())
    }
}

/// Checks a priority.
pub fn check_priority(priority: u32) -> Result<()> {
    if priority < MQ_PRIO_MAX {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}
