//! Queues of messages with types.
use super::{IPCMNI, IpcCaller, IpcObject, IpcOwner, IpcTable};
use crate::Result;
use crate::pseudo::{Context, Text, put};
use crate::types::poll;
use crate::wait::WaitList;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use linux_abi::{Capability, Errno};
use spin::Mutex;

/// How many bytes a queue holds unless it is told otherwise.
pub const MSGMNB: u64 = 16384;

static QUEUES: IpcTable<MsgQueue> = IpcTable::new(IPCMNI);

/// All queues of the machine.
#[must_use]
pub fn msg_queues() -> &'static IpcTable<MsgQueue> {
    &QUEUES
}

/// Which message msgrcv(2) wants.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    First,
    OfType(i64),
    /// `MSG_EXCEPT`
    NotOfType(i64),
    /// The lowest type up to this one.
    UpTo(i64),
}

impl Wanted {
    fn takes(self, kind: i64) -> bool {
        match self {
            Self::First => true,
            Self::OfType(wanted) => kind == wanted,
            Self::NotOfType(other) => kind != other,
            Self::UpTo(most) => kind <= most,
        }
    }
}

/// What `IPC_STAT` tells, besides the owner.
#[derive(Clone, Copy, Default)]
pub struct MsgStat {
    pub stime: i64,
    pub rtime: i64,
    pub ctime: i64,
    pub bytes: u64,
    pub count: u64,
    pub most_bytes: u64,
    pub lspid: i32,
    pub lrpid: i32,
}

struct State {
    owner: IpcOwner,
    stat: MsgStat,
    messages: VecDeque<(i64, Box<[u8]>)>,
    removed: bool,
}

pub struct MsgQueue {
    state: Mutex<State>,
    waiters: WaitList,
}

impl IpcObject for MsgQueue {
    fn owner(&self) -> IpcOwner {
        self.state.lock().owner
    }
}

impl MsgQueue {
    #[must_use]
    pub fn new(caller: &IpcCaller<'_>, mode: u32) -> Arc<Self> {
        let stat = MsgStat {
            ctime: caller.now,
            most_bytes: MSGMNB,
            ..MsgStat::default()
        };
        let state = State {
            owner: IpcOwner::new(caller.cred, mode),
            stat,
            messages: VecDeque::new(),
            removed: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            waiters: WaitList::new(),
        })
    }

    #[must_use]
    pub fn stat(&self) -> (IpcOwner, MsgStat) {
        let state = self.state.lock();
        let count = state.messages.len() as u64;
        (
            state.owner,
            MsgStat {
                count,
                ..state.stat
            },
        )
    }

    pub fn wait_list(&self) -> &WaitList {
        &self.waiters
    }

    /// `IPC_SET`. Only root may make a queue larger than usual.
    pub fn change(
        &self,
        caller: &IpcCaller<'_>,
        (uid, gid, mode): (u32, u32, u32),
        most_bytes: u64,
    ) -> Result<()> {
        {
            let mut state = self.state.lock();
            state.owner.check_owner(caller.cred)?;
            if most_bytes > MSGMNB && !caller.cred.can(Capability::SYS_RESOURCE) {
                return Err(Errno::EPERM);
            }
            state.owner.change(uid, gid, mode);
            (state.stat.ctime, state.stat.most_bytes) = (caller.now, most_bytes);
        }
        self.waiters.notify(poll::OUT);
        Ok(())
    }

    /// `IPC_RMID`: those who wait get `EIDRM`.
    pub fn doom(&self, caller: &IpcCaller<'_>) -> Result<()> {
        {
            let mut state = self.state.lock();
            state.owner.check_owner(caller.cred)?;
            state.removed = true;
            state.messages.clear();
        }
        self.waiters.notify(poll::HUP);
        Ok(())
    }

    /// msgsnd(2) without the waiting: `EAGAIN` while the queue is full.
    pub fn send(&self, caller: &IpcCaller<'_>, kind: i64, bytes: &[u8]) -> Result<()> {
        {
            let mut state = self.state.lock();
            if state.removed {
                return Err(Errno::EIDRM);
            }
            let most = state.stat.most_bytes;
            let fits = state.stat.bytes + bytes.len() as u64 <= most
                && (state.messages.len() as u64) < most;
            if !fits {
                return Err(Errno::EAGAIN);
            }
            state.messages.push_back((kind, bytes.into()));
            state.stat.bytes += bytes.len() as u64;
            (state.stat.stime, state.stat.lspid) = (caller.now, caller.pid);
        }
        self.waiters.notify(poll::IN);
        Ok(())
    }

    /// msgrcv(2) without the waiting: `EAGAIN` while there is no such message, `E2BIG` if it is longer than `most`.
    pub fn receive(
        &self,
        caller: &IpcCaller<'_>,
        wanted: Wanted,
        most: usize,
    ) -> Result<(i64, Box<[u8]>)> {
        let message = {
            let mut state = self.state.lock();
            if state.removed {
                return Err(Errno::EIDRM);
            }
            let found = state.messages.iter().enumerate();
            let mut found = found.filter(|(_, (kind, _))| wanted.takes(*kind));
            let found = if matches!(wanted, Wanted::UpTo(_)) {
                // The first of those with the lowest type.
                found.min_by_key(|(_, (kind, _))| *kind)
            } else {
                found.next()
            };
            let (at, (_, bytes)) = found.ok_or(Errno::EAGAIN)?;
            if bytes.len() > most {
                return Err(Errno::E2BIG);
            }
            let message = state.messages.remove(at).ok_or(Errno::EAGAIN)?;
            state.stat.bytes -= message.1.len() as u64;
            (state.stat.rtime, state.stat.lrpid) = (caller.now, caller.pid);
            message
        };
        self.waiters.notify(poll::OUT);
        Ok(message)
    }
}

/// /proc/sysvipc/msg
pub(crate) fn list(_context: &Context, out: &mut Text) -> Result<()> {
    put!(
        out,
        "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      \
         stime      rtime      ctime\n"
    );
    for (id, key, queue) in QUEUES.all().0 {
        let (owner, stat) = queue.stat();
        put!(
            out,
            "{key:10} {id:10}  {:4o}  {:10} {:10} {:5} {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10}\n",
            owner.mode,
            stat.bytes,
            stat.count,
            stat.lspid,
            stat.lrpid,
            owner.uid,
            owner.gid,
            owner.cuid,
            owner.cgid,
            stat.stime,
            stat.rtime,
            stat.ctime
        );
    }
    Ok(())
}
