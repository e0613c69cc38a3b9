//! System V's message queues.
use crate::kernel::Kernel;
use crate::sys::sysv::{Caller, READ, WRITE, perm};
use crate::user::UserPtr;
use alloc::boxed::Box;
use alloc::vec;
use linux_abi::{
    Errno, IPC_INFO, IPC_NOWAIT, IPC_RMID, IPC_SET, IPC_STAT, MSG_COPY, MSG_EXCEPT, MSG_INFO,
    MSG_NOERROR, MSG_STAT, MSG_STAT_ANY, Msginfo, MsqidDs, SysResult,
};
use vfs::sysv::{IPCMNI, MSGMNB, MsgQueue, Wanted, msg_queues};

/// The longest message.
const MSGMAX: usize = 8192;

/// msgget(2)
pub fn msgget<K: Kernel>(k: &K, key: i32, flags: u32) -> SysResult {
    let caller = Caller::new(k)?;
    let make = |_| Ok(MsgQueue::new(&caller.get(), flags));
    let id = msg_queues().get(&caller.get(), key, flags, |_| Ok(()), make)?;
    Ok(id as usize)
}

/// Does `attempt`; as long as it answers EAGAIN, waits, unless `nowait` is what to answer then.
fn patiently<K: Kernel, R>(
    k: &K,
    queue: &MsgQueue,
    nowait: Option<Errno>,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let mut answer = attempt();
    if !matches!(answer, Err(Errno::EAGAIN)) {
        return answer;
    }
    if let Some(errno) = nowait {
        return Err(errno);
    }
    let ready = &mut || {
        answer = attempt();
        !matches!(answer, Err(Errno::EAGAIN))
    };
    // Never restarted, see signal(7).
    k.wait(&[queue.wait_list()], None, ready)
        .map_err(|_| Errno::EINTR)?;
    answer
}

/// msgsnd(2)
pub fn msgsnd<K: Kernel>(k: &K, id: i32, msg: UserPtr<i64>, size: usize, flags: u32) -> SysResult {
    let kind = msg.read(k)?;
    if size > MSGMAX || kind < 1 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0_u8; size];
    msg.at(1).cast::<u8>().read_slice(k, &mut bytes)?;
    let caller = Caller::new(k)?;
    let queue = msg_queues().find(id)?;
    queue.stat().0.check(caller.get().cred, WRITE)?;
    let nowait = (flags & IPC_NOWAIT != 0).then_some(Errno::EAGAIN);
    patiently(k, &queue, nowait, || {
        queue.send(&caller.get(), kind, &bytes)
    })?;
    Ok(0)
}

fn wanted(kind: i64, flags: u32) -> Wanted {
    match kind {
        0 => Wanted::First,
        1.. if flags & MSG_EXCEPT != 0 => Wanted::NotOfType(kind),
        1.. => Wanted::OfType(kind),
        _ => Wanted::UpTo(kind.checked_neg().unwrap_or(i64::MAX)),
    }
}

/// msgrcv(2)
pub fn msgrcv<K: Kernel>(
    k: &K,
    id: i32,
    msg: UserPtr<i64>,
    size: usize,
    kind: i64,
    flags: u32,
) -> SysResult {
    if i64::try_from(size).is_err() {
        return Err(Errno::EINVAL);
    }
    if flags & MSG_COPY != 0 {
        k.unsupported_part("msgrcv: MSG_COPY");
        return Err(Errno::ENOSYS);
    }
    let caller = Caller::new(k)?;
    let queue = msg_queues().find(id)?;
    queue.stat().0.check(caller.get().cred, READ)?;
    let most = if flags & MSG_NOERROR != 0 {
        usize::MAX
    } else {
        size
    };
    let wanted = wanted(kind, flags);
    let nowait = (flags & IPC_NOWAIT != 0).then_some(Errno::ENOMSG);
    let (kind, bytes): (i64, Box<[u8]>) = patiently(k, &queue, nowait, || {
        queue.receive(&caller.get(), wanted, most)
    })?;
    let part = bytes.get(..size).unwrap_or(&bytes);
    msg.write(k, &kind)?;
    msg.at(1).cast::<u8>().write_slice(k, part)?;
    Ok(part.len())
}

fn describe(id: i32, queue: &MsgQueue) -> MsqidDs {
    let (owner, stat) = queue.stat();
    MsqidDs {
        perm: perm(id, msg_queues().key(id), owner),
        stime: stat.stime,
        rtime: stat.rtime,
        ctime: stat.ctime,
        cbytes: stat.bytes,
        qnum: stat.count,
        qbytes: stat.most_bytes,
        lspid: stat.lspid,
        lrpid: stat.lrpid,
        ..MsqidDs::default()
    }
}

/// msgctl(2)
pub fn msgctl<K: Kernel>(k: &K, id: i32, cmd: u32, buf: u64) -> SysResult {
    let caller = Caller::new(k)?;
    let table = msg_queues();
    match cmd {
        IPC_INFO | MSG_INFO => return limits(k, cmd, buf),
        MSG_STAT | MSG_STAT_ANY => {
            let (id, queue) = table.at(id)?;
            if cmd == MSG_STAT {
                queue.stat().0.check(caller.get().cred, READ)?;
            }
            UserPtr::new(buf).write(k, &describe(id, &queue))?;
            return Ok(id as usize);
        }
        _ => {}
    }
    let queue = table.find(id)?;
    match cmd {
        IPC_STAT => {
            queue.stat().0.check(caller.get().cred, READ)?;
            UserPtr::new(buf).write(k, &describe(id, &queue))?;
        }
        IPC_SET => {
            let new = UserPtr::<MsqidDs>::new(buf).read(k)?;
            let owner = (new.perm.uid, new.perm.gid, new.perm.mode);
            queue.change(&caller.get(), owner, new.qbytes)?;
        }
        IPC_RMID => {
            queue.doom(&caller.get())?;
            table.remove(id);
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// `IPC_INFO` and `MSG_INFO`: the highest slot in use.
fn limits<K: Kernel>(k: &K, cmd: u32, buf: u64) -> SysResult {
    let (all, highest) = msg_queues().all();
    let mut answer = Msginfo {
        msgpool: (IPCMNI as u64 * MSGMNB / 1024) as i32,
        msgmap: MSGMNB as i32,
        msgmax: MSGMAX as i32,
        msgmnb: MSGMNB as i32,
        msgmni: IPCMNI as i32,
        msgssz: 16,
        msgtql: MSGMNB as i32,
        msgseg: 0xffff,
        pad: 0,
    };
    if cmd == MSG_INFO {
        let sum = |of: fn(&MsgQueue) -> u64| all.iter().map(|(_, _, queue)| of(queue)).sum::<u64>();
        answer.msgpool = all.len() as i32;
        answer.msgmap = sum(|queue| queue.stat().1.count) as i32;
        answer.msgtql = sum(|queue| queue.stat().1.bytes) as i32;
    }
    UserPtr::new(buf).write(k, &answer)?;
    Ok(highest)
}
