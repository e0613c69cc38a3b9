//! Sets of semaphores.
use super::{IPCMNI, IpcCaller, IpcObject, IpcOwner, IpcTable};
use crate::Result;
use crate::pseudo::{Context, Text, put};
use crate::types::poll;
use crate::wait::WaitList;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::Errno;
use spin::Mutex;

/// The highest value.
pub const SEMVMX: i32 = 32767;

static SETS: IpcTable<SemSet> = IpcTable::new(IPCMNI);

/// All sets of the machine.
#[must_use]
pub fn sem_sets() -> &'static IpcTable<SemSet> {
    &SETS
}

/// One operation of semop(2).
#[derive(Clone, Copy, Debug)]
pub struct SemOp {
    pub number: usize,
    pub change: i32,
    /// `IPC_NOWAIT`
    pub nowait: bool,
    /// `SEM_UNDO`: taken back when the process ends.
    pub undo: bool,
}

/// What `IPC_STAT` tells, besides the owner.
#[derive(Clone, Copy, Default)]
pub struct SemStat {
    pub otime: i64,
    pub ctime: i64,
    pub count: usize,
}

#[derive(Clone, Copy, Default)]
struct Semaphore {
    value: i32,
    pid: i32,
    /// Threads that wait for it to grow, and for it to be 0.
    waits_for_more: u32,
    waits_for_zero: u32,
}

struct State {
    owner: IpcOwner,
    stat: SemStat,
    semaphores: Vec<Semaphore>,
    /// Process, number of the semaphore, and what is added to it when the process ends.
    undo: Vec<(i32, usize, i32)>,
    removed: bool,
}

pub struct SemSet {
    state: Mutex<State>,
    waiters: WaitList,
}

impl IpcObject for SemSet {
    fn owner(&self) -> IpcOwner {
        self.state.lock().owner
    }
}

impl State {
    fn note_undo(&mut self, pid: i32, op: &SemOp) {
        let is_known =
            |(of, number, _): &&mut (i32, usize, i32)| *of == pid && *number == op.number;
        match self.undo.iter_mut().find(is_known) {
            Some((_, _, change)) => *change -= op.change,
            None => self.undo.push((pid, op.number, -op.change)),
        }
    }
}

impl IpcTable<SemSet> {
    /// Whether there is something to undo when the process ends.
    #[must_use]
    pub fn has_undo(&self, pid: i32) -> bool {
        let undoes = |set: &SemSet| set.state.lock().undo.iter().any(|(of, ..)| *of == pid);
        self.all().0.iter().any(|(_, _, set)| undoes(set))
    }

    /// A process has ended.
    pub fn left(&self, pid: i32) {
        self.all().0.iter().for_each(|(_, _, set)| set.left(pid));
    }
}

impl SemSet {
    #[must_use]
    pub fn new(caller: &IpcCaller<'_>, count: usize, mode: u32) -> Arc<Self> {
        let state = State {
            owner: IpcOwner::new(caller.cred, mode),
            stat: SemStat {
                otime: 0,
                ctime: caller.now,
                count,
            },
            semaphores: vec![Semaphore::default(); count],
            undo: Vec::new(),
            removed: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            waiters: WaitList::new(),
        })
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.state.lock().semaphores.len()
    }

    #[must_use]
    pub fn stat(&self) -> (IpcOwner, SemStat) {
        let state = self.state.lock();
        (state.owner, state.stat)
    }

    pub fn wait_list(&self) -> &WaitList {
        &self.waiters
    }

    fn tell(&self) {
        self.waiters.notify(poll::IN);
    }

    /// `IPC_SET`
    pub fn change(&self, caller: &IpcCaller<'_>, uid: u32, gid: u32, mode: u32) -> Result<()> {
        let mut state = self.state.lock();
        state.owner.check_owner(caller.cred)?;
        state.owner.change(uid, gid, mode);
        state.stat.ctime = caller.now;
        Ok(())
    }

    /// `IPC_RMID`: those who wait get `EIDRM`.
    pub fn doom(&self, caller: &IpcCaller<'_>) -> Result<()> {
        {
            let mut state = self.state.lock();
            state.owner.check_owner(caller.cred)?;
            state.removed = true;
        }
        self.tell();
        Ok(())
    }

    /// semop(2) without the waiting: all operations or none. `EAGAIN` if one cannot be done now; the answer then says
    /// which, and whether it must not be waited for.
    pub fn operate(
        &self,
        caller: &IpcCaller<'_>,
        ops: &[SemOp],
    ) -> core::result::Result<(), Blocked> {
        let mut state = self.state.lock();
        if state.removed {
            return Err(Blocked::Failed(Errno::EIDRM));
        }
        let mut values: Vec<i32> = state.semaphores.iter().map(|one| one.value).collect();
        for op in ops {
            let value = values
                .get_mut(op.number)
                .ok_or(Blocked::Failed(Errno::EFBIG))?;
            let new = *value + op.change;
            if new > SEMVMX {
                return Err(Blocked::Failed(Errno::ERANGE));
            }
            if new < 0 || (op.change == 0 && *value != 0) {
                return Err(Blocked::Waits(*op));
            }
            *value = new;
        }
        for (one, value) in state.semaphores.iter_mut().zip(values) {
            one.value = value;
        }
        for op in ops {
            if let Some(one) = state.semaphores.get_mut(op.number) {
                one.pid = caller.pid;
            }
            if op.undo && op.change != 0 {
                state.note_undo(caller.pid, op);
            }
        }
        state.stat.otime = caller.now;
        drop(state);
        if ops.iter().any(|op| op.change != 0) {
            self.tell();
        }
        Ok(())
    }

    /// The process has ended: takes back what it did with `SEM_UNDO`, as far as that leaves values that can be.
    fn left(&self, pid: i32) {
        {
            let mut state = self.state.lock();
            let all = core::mem::take(&mut state.undo);
            let (own, others) = all.into_iter().partition(|(of, ..)| *of == pid);
            state.undo = others;
            let own: Vec<(i32, usize, i32)> = own;
            if own.is_empty() {
                return;
            }
            for (_, number, change) in own {
                if let Some(one) = state.semaphores.get_mut(number) {
                    (one.value, one.pid) = ((one.value + change).clamp(0, SEMVMX), pid);
                }
            }
        }
        self.tell();
    }

    /// Counts a thread in or out of those that wait for `op`.
    pub fn count_waiter(&self, op: SemOp, enters: bool) {
        let mut state = self.state.lock();
        if let Some(one) = state.semaphores.get_mut(op.number) {
            let counter = if op.change == 0 {
                &mut one.waits_for_zero
            } else {
                &mut one.waits_for_more
            };
            *counter = if enters {
                *counter + 1
            } else {
                counter.saturating_sub(1)
            };
        }
    }

    /// Value, last process, and how many wait for more and for 0.
    pub fn look(&self, number: usize) -> Result<(i32, i32, u32, u32)> {
        let state = self.state.lock();
        let one = state.semaphores.get(number).ok_or(Errno::EINVAL)?;
        Ok((one.value, one.pid, one.waits_for_more, one.waits_for_zero))
    }

    /// `GETALL`
    #[must_use]
    pub fn values(&self) -> Vec<u16> {
        let state = self.state.lock();
        let value = |one: &Semaphore| u16::try_from(one.value).unwrap_or(u16::MAX);
        state.semaphores.iter().map(value).collect()
    }

    /// `SETVAL` and `SETALL`: sets the semaphores from `first` on.
    pub fn set(&self, caller: &IpcCaller<'_>, first: usize, values: &[i32]) -> Result<()> {
        if values.iter().any(|value| !(0..=SEMVMX).contains(value)) {
            return Err(Errno::ERANGE);
        }
        {
            let mut state = self.state.lock();
            let end = first + values.len();
            let places = state.semaphores.get_mut(first..end).ok_or(Errno::EINVAL)?;
            for (place, value) in places.iter_mut().zip(values) {
                (place.value, place.pid) = (*value, caller.pid);
            }
            // Nobody takes back what was done to the old values.
            state
                .undo
                .retain(|(_, number, _)| !(first..end).contains(number));
            state.stat.ctime = caller.now;
        }
        self.tell();
        Ok(())
    }
}

/// Why semop(2) did nothing.
#[derive(Clone, Copy, Debug)]
pub enum Blocked {
    /// This operation has to wait.
    Waits(SemOp),
    Failed(Errno),
}

/// /proc/sysvipc/sem
pub(crate) fn list(_context: &Context, out: &mut Text) -> Result<()> {
    put!(
        out,
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
    );
    for (id, key, set) in SETS.all().0 {
        let (owner, stat) = set.stat();
        put!(
            out,
            "{key:10} {id:10}  {:4o} {:10} {:5} {:5} {:5} {:5} {:10} {:10}\n",
            owner.mode,
            stat.count,
            owner.uid,
            owner.gid,
            owner.cuid,
            owner.cgid,
            stat.otime,
            stat.ctime
        );
    }
    Ok(())
}
