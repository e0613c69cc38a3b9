//! System V's semaphores.
use crate::kernel::{Kernel, Woken};
use crate::sys::sysv::{Caller, READ, WRITE, perm};
use crate::sys::time::deadline_after;
use crate::user::UserPtr;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::{
    Errno, GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_INFO, IPC_NOWAIT, IPC_RMID, IPC_SET,
    IPC_STAT, SEM_INFO, SEM_STAT, SEM_STAT_ANY, SETALL, SETVAL, Sembuf, SemidDs, Seminfo,
    SysResult, Timespec,
};
use vfs::sysv::{IPCMNI, SEMVMX, SemBlocked, SemOp, SemSet, sem_sets};

/// Most semaphores of a set, and most operations of a call.
const SEMMSL: usize = 32000;
/// Taken back when the process ends.
const SEM_UNDO: u32 = 0x1000;
const SEMOPM: usize = 500;

/// semget(2)
pub fn semget<K: Kernel>(k: &K, key: i32, nsems: i32, flags: u32) -> SysResult {
    let caller = Caller::new(k)?;
    let count = usize::try_from(nsems)
        .ok()
        .filter(|count| *count <= SEMMSL)
        .ok_or(Errno::EINVAL)?;
    let large_enough = |set: &SemSet| {
        if count > set.count() {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    };
    let make = |_| {
        if count == 0 {
            Err(Errno::EINVAL)
        } else {
            Ok(SemSet::new(&caller.get(), count, flags))
        }
    };
    let id = sem_sets().get(&caller.get(), key, flags, large_enough, make)?;
    Ok(id as usize)
}

/// semop(2)
pub fn semop<K: Kernel>(k: &K, id: i32, ops: UserPtr<Sembuf>, nops: usize) -> SysResult {
    operate(k, id, ops, nops, None)
}

/// semtimedop(2)
pub fn semtimedop<K: Kernel>(
    k: &K,
    id: i32,
    ops: UserPtr<Sembuf>,
    nops: usize,
    timeout: UserPtr<Timespec>,
) -> SysResult {
    let deadline = deadline_after(k, timeout)?;
    operate(k, id, ops, nops, deadline)
}

fn operate<K: Kernel>(
    k: &K,
    id: i32,
    ops: UserPtr<Sembuf>,
    nops: usize,
    deadline: Option<u64>,
) -> SysResult {
    if nops == 0 {
        return Err(Errno::EINVAL);
    }
    if nops > SEMOPM {
        return Err(Errno::E2BIG);
    }
    let mut given = vec![Sembuf::default(); nops];
    ops.read_slice(k, &mut given)?;
    let ops: Vec<SemOp> = given
        .iter()
        .map(|op| SemOp {
            number: usize::from(op.num),
            change: i32::from(op.op),
            nowait: op.flg as u32 & IPC_NOWAIT != 0,
            undo: op.flg as u32 & SEM_UNDO != 0,
        })
        .collect();
    let set = sem_sets().find(id)?;
    if ops.iter().any(|op| op.number >= set.count()) {
        return Err(Errno::EFBIG);
    }
    let caller = Caller::new(k)?;
    let changes = ops.iter().any(|op| op.change != 0);
    let wanted = if changes { WRITE } else { READ };
    set.stat().0.check(caller.get().cred, wanted)?;
    let blocked = match set.operate(&caller.get(), &ops) {
        Ok(()) => return Ok(0),
        Err(SemBlocked::Failed(errno)) => return Err(errno),
        Err(SemBlocked::Waits(op)) if op.nowait => return Err(Errno::EAGAIN),
        Err(SemBlocked::Waits(op)) => op,
    };
    set.count_waiter(blocked, true);
    let answer = wait(k, &set, &caller, &ops, deadline);
    set.count_waiter(blocked, false);
    answer
}

fn wait<K: Kernel>(
    k: &K,
    set: &SemSet,
    caller: &Caller,
    ops: &[SemOp],
    deadline: Option<u64>,
) -> SysResult {
    let mut answer = Err(Errno::EAGAIN);
    let woken = k.wait(&[set.wait_list()], deadline, &mut || {
        match set.operate(&caller.get(), ops) {
            Ok(()) => answer = Ok(0),
            Err(SemBlocked::Failed(errno)) => answer = Err(errno),
            Err(SemBlocked::Waits(op)) if op.nowait => answer = Err(Errno::EAGAIN),
            Err(SemBlocked::Waits(_)) => return false,
        }
        true
    });
    match woken {
        Ok(Woken::Ready) => answer,
        Ok(Woken::TimedOut) => Err(Errno::EAGAIN),
        // Never restarted, see signal(7).
        Err(_) => Err(Errno::EINTR),
    }
}

fn describe(id: i32, set: &SemSet) -> SemidDs {
    let (owner, stat) = set.stat();
    SemidDs {
        perm: perm(id, sem_sets().key(id), owner),
        otime: stat.otime,
        ctime: stat.ctime,
        nsems: stat.count as u64,
        ..SemidDs::default()
    }
}

/// semctl(2)
pub fn semctl<K: Kernel>(k: &K, id: i32, num: i32, cmd: u32, arg: u64) -> SysResult {
    let caller = Caller::new(k)?;
    let table = sem_sets();
    match cmd {
        IPC_INFO | SEM_INFO => return limits(k, cmd, arg),
        SEM_STAT | SEM_STAT_ANY => {
            let (id, set) = table.at(id)?;
            if cmd == SEM_STAT {
                set.stat().0.check(caller.get().cred, READ)?;
            }
            UserPtr::new(arg).write(k, &describe(id, &set))?;
            return Ok(id as usize);
        }
        _ => {}
    }
    let set = table.find(id)?;
    match cmd {
        IPC_STAT => {
            set.stat().0.check(caller.get().cred, READ)?;
            UserPtr::new(arg).write(k, &describe(id, &set))?;
        }
        IPC_SET => {
            let new = UserPtr::<SemidDs>::new(arg).read(k)?.perm;
            set.change(&caller.get(), new.uid, new.gid, new.mode)?;
        }
        IPC_RMID => {
            set.doom(&caller.get())?;
            table.remove(id);
        }
        GETALL | GETVAL | GETPID | GETNCNT | GETZCNT => {
            set.stat().0.check(caller.get().cred, READ)?;
            return look(k, &set, num, cmd, arg);
        }
        SETVAL | SETALL => {
            set.stat().0.check(caller.get().cred, WRITE)?;
            change(k, &set, &caller, num, cmd, arg)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn number(num: i32) -> Result<usize, Errno> {
    usize::try_from(num).map_err(|_| Errno::EINVAL)
}

fn look<K: Kernel>(k: &K, set: &SemSet, num: i32, cmd: u32, arg: u64) -> SysResult {
    if cmd == GETALL {
        UserPtr::<u16>::new(arg).write_slice(k, &set.values())?;
        return Ok(0);
    }
    let (value, pid, for_more, for_zero) = set.look(number(num)?)?;
    Ok(match cmd {
        GETVAL => value as usize,
        GETPID => pid as usize,
        GETNCNT => for_more as usize,
        _ => for_zero as usize,
    })
}

fn change<K: Kernel>(
    k: &K,
    set: &SemSet,
    caller: &Caller,
    num: i32,
    cmd: u32,
    arg: u64,
) -> Result<(), Errno> {
    if cmd == SETVAL {
        return set.set(&caller.get(), number(num)?, &[arg as i32]);
    }
    let mut values = vec![0_u16; set.count()];
    UserPtr::new(arg).read_slice(k, &mut values)?;
    let values: Vec<i32> = values.into_iter().map(i32::from).collect();
    set.set(&caller.get(), 0, &values)
}

/// `IPC_INFO` and `SEM_INFO`: the highest slot in use.
fn limits<K: Kernel>(k: &K, cmd: u32, arg: u64) -> SysResult {
    let (all, highest) = sem_sets().all();
    let mut answer = Seminfo {
        semmap: (IPCMNI * SEMMSL) as i32,
        semmni: IPCMNI as i32,
        semmns: (IPCMNI * SEMMSL) as i32,
        semmnu: (IPCMNI * SEMMSL) as i32,
        semmsl: SEMMSL as i32,
        semopm: SEMOPM as i32,
        semume: SEMOPM as i32,
        semusz: 20,
        semvmx: SEMVMX,
        semaem: SEMVMX,
    };
    if cmd == SEM_INFO {
        answer.semusz = all.len() as i32;
        answer.semaem = all.iter().map(|(_, _, set)| set.count() as i32).sum();
    }
    UserPtr::new(arg).write(k, &answer)?;
    Ok(highest)
}
