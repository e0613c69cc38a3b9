//! What the shim asks of the kernel below it, one trait per area. `self` is always the calling thread.
//!
//! The methods carry the names of the man pages and typed, checked arguments: alignment, flag combinations and sizes
//! have been looked at by the shim; what depends on the state of memory, threads or time is the kernel's to answer.

mod files;
mod memory;
mod net;
mod process;
mod signals;
mod system;
mod threads;
mod time;
mod user;
mod wait;

pub use files::Files;
pub use memory::{Memory, MmapRequest, Remap};
pub use net::Net;
pub use process::{ExecRequest, ObjectKind, Process, Usage, UsageOf, WaitTarget, Waited};
pub use signals::{KillTarget, Signals};
pub use system::{MemoryFigures, System};
pub use threads::{
    CloneRequest, FutexOp, FutexWord, MembarrierCommand, SeccompChange, Threads, WakeOp,
};
pub use time::{Clock, Interval, ItimerKind, Time, TimerNotify};
pub use user::UserMemory;
pub use wait::{Wait, Woken};

use crate::table::{Call, Refusal};

/// All of it. A kernel implements the parts and this.
pub trait Kernel:
    UserMemory + Wait + Files + Net + Memory + Time + Signals + Threads + Process + System + Sized
{
    /// A call that is not implemented (or unknown: `call` is none) was made and gets ENOSYS. To be told to the user,
    /// once for each number.
    fn unsupported(&self, nr: usize, call: Option<&'static Call>);

    /// A call that is deliberately refused was made and gets its errno. To be told to the user, once for each number.
    fn refused(&self, call: &'static Call, refusal: &'static Refusal);

    /// A part of an implemented call is missing: `what` names it, as in "clone: new namespaces". To be told once.
    fn unsupported_part(&self, what: &'static str);
}
