//! Shared memory segments: files without names, and who has them attached.
use super::{IpcCaller, IpcObject, IpcOwner, IpcTable, SHMMNI};
use crate::file::File;
use crate::pseudo::{Context, Text, put};
use crate::{MemfdStore, Result};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::general::{O_RDONLY, O_RDWR};
use spin::Mutex;

/// `SHM_DEST`: it goes with its last attachment.
const SHM_DEST: u32 = 0o1000;

static SEGMENTS: IpcTable<ShmSegment> = IpcTable::new(SHMMNI);

/// All segments of the machine.
#[must_use]
pub fn shm_segments() -> &'static IpcTable<ShmSegment> {
    &SEGMENTS
}

/// What `IPC_STAT` tells, besides the owner.
#[derive(Clone, Copy, Default)]
pub struct ShmStat {
    pub size: u64,
    pub attached: u64,
    pub atime: i64,
    pub dtime: i64,
    pub ctime: i64,
    pub cpid: i32,
    pub lpid: i32,
}

struct State {
    owner: IpcOwner,
    stat: ShmStat,
    /// Process and address of each attachment.
    attachments: Vec<(i32, u64)>,
}

pub struct ShmSegment {
    file: Arc<File>,
    readable: Arc<File>,
    size: u64,
    state: Mutex<State>,
}

impl IpcObject for ShmSegment {
    fn owner(&self) -> IpcOwner {
        self.state.lock().owner
    }
}

impl ShmSegment {
    /// A segment of `size` bytes, which are zeros.
    pub fn new(
        store: &MemfdStore,
        caller: &IpcCaller<'_>,
        key: i32,
        size: u64,
        mode: u32,
    ) -> Result<Arc<Self>> {
        let name = format!("SYSV{key:08x}");
        let make = |flags| store.shared_file(name.as_bytes(), flags);
        let file = make(O_RDWR)?;
        file.truncate(size)?;
        let readable = File::new(file.place().clone(), None, O_RDONLY);
        let stat = ShmStat {
            size,
            ctime: caller.now,
            cpid: caller.pid,
            ..ShmStat::default()
        };
        let owner = IpcOwner::new(caller.cred, mode);
        Ok(Arc::new(Self {
            file,
            readable,
            size,
            state: Mutex::new(State {
                owner,
                stat,
                attachments: Vec::new(),
            }),
        }))
    }

    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What is mapped.
    #[must_use]
    pub fn file(&self, read_only: bool) -> &Arc<File> {
        if read_only {
            &self.readable
        } else {
            &self.file
        }
    }

    #[must_use]
    pub fn stat(&self) -> (IpcOwner, ShmStat) {
        let state = self.state.lock();
        let attached = state.attachments.len() as u64;
        (
            state.owner,
            ShmStat {
                attached,
                ..state.stat
            },
        )
    }

    /// `IPC_SET`
    pub fn change(&self, caller: &IpcCaller<'_>, uid: u32, gid: u32, mode: u32) -> Result<()> {
        let mut state = self.state.lock();
        state.owner.check_owner(caller.cred)?;
        state.owner.change(uid, gid, mode);
        state.stat.ctime = caller.now;
        Ok(())
    }

    /// Notes that the caller has mapped it at `addr`.
    pub fn attached(&self, caller: &IpcCaller<'_>, addr: u64) {
        let mut state = self.state.lock();
        // What was there before has been mapped over.
        state
            .attachments
            .retain(|known| *known != (caller.pid, addr));
        state.attachments.push((caller.pid, addr));
        (state.stat.atime, state.stat.lpid) = (caller.now, caller.pid);
    }

    /// `IPC_RMID`: whether it can go now, or has to wait for the last attachment's end.
    pub fn doom(&self, caller: &IpcCaller<'_>) -> Result<bool> {
        let mut state = self.state.lock();
        state.owner.check_owner(caller.cred)?;
        state.owner.mode |= SHM_DEST;
        Ok(state.attachments.is_empty())
    }

    /// Forgets the caller's attachment at `addr`: whether there was one, and whether the segment goes with it.
    fn detached(&self, caller: &IpcCaller<'_>, addr: u64) -> Option<bool> {
        let mut state = self.state.lock();
        let one = (caller.pid, addr);
        let at = state.attachments.iter().position(|known| *known == one)?;
        state.attachments.swap_remove(at);
        (state.stat.dtime, state.stat.lpid) = (caller.now, caller.pid);
        Some(state.attachments.is_empty() && state.owner.mode & SHM_DEST != 0)
    }
}

impl IpcTable<ShmSegment> {
    /// fork(2): the child has attached what its parent has.
    pub fn inherited(&self, parent: i32, child: i32) {
        for (_, _, segment) in self.all().0 {
            let mut state = segment.state.lock();
            let of_parent = state.attachments.iter().filter(|(pid, _)| *pid == parent);
            let of_child: Vec<(i32, u64)> = of_parent.map(|&(_, addr)| (child, addr)).collect();
            state.attachments.extend(of_child);
        }
    }

    /// A process has given up all its memory.
    pub fn left(&self, pid: i32, now: i64) {
        for (id, _, segment) in self.all().0 {
            let is_last = {
                let mut state = segment.state.lock();
                let before = state.attachments.len();
                state.attachments.retain(|(of, _)| *of != pid);
                if state.attachments.len() == before {
                    continue;
                }
                (state.stat.dtime, state.stat.lpid) = (now, pid);
                state.attachments.is_empty() && state.owner.mode & SHM_DEST != 0
            };
            if is_last {
                self.remove(id);
            }
        }
    }

    /// shmdt(2), after which the caller unmaps so many bytes. `EINVAL` if nothing is attached at `addr`.
    pub fn detach(&self, caller: &IpcCaller<'_>, addr: u64) -> Result<u64> {
        for (id, _, segment) in self.all().0 {
            if let Some(last) = segment.detached(caller, addr) {
                if last {
                    self.remove(id);
                }
                return Ok(segment.size());
            }
        }
        Err(Errno::EINVAL)
    }
}

/// /proc/sysvipc/shm
pub(crate) fn list(_context: &Context, out: &mut Text) -> Result<()> {
    put!(
        out,
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      \
         atime      dtime      ctime                   rss                  swap\n"
    );
    for (id, key, segment) in SEGMENTS.all().0 {
        let (owner, stat) = segment.stat();
        put!(
            out,
            "{key:10} {id:10}  {:4o} {:21} {:5} {:5}  {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10} {:21} {:21}\n",
            owner.mode,
            stat.size,
            stat.cpid,
            stat.lpid,
            stat.attached,
            owner.uid,
            owner.gid,
            owner.cuid,
            owner.cgid,
            stat.atime,
            stat.dtime,
            stat.ctime,
            segment.file.metadata().blocks * 512,
            0
        );
    }
    Ok(())
}
