//! What System V's shared memory, semaphores and message queues have in common: keys, ids, owners, see sysvipc(7).
mod msg;
mod perm;
mod sem;
mod shm;
mod table;

pub use msg::{MSGMNB, MsgQueue, MsgStat, Wanted, msg_queues};
pub use perm::{IpcCaller, IpcKind, IpcOwner};
pub use sem::{Blocked as SemBlocked, SEMVMX, SemOp, SemSet, SemStat, sem_sets};
pub use shm::{ShmSegment, ShmStat, shm_segments};
pub use table::{IpcObject, IpcTable};

pub(crate) use shm::list as list_shm;
pub(crate) use {msg::list as list_msg, sem::list as list_sem};

/// Most sets of semaphores, and most queues.
pub const IPCMNI: usize = 32000;
/// Most segments.
pub const SHMMNI: usize = 4096;
