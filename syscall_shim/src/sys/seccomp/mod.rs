//! seccomp(2): what a thread may call. The kernel runs the filters (`Threads::seccomp`); here they are read and checked.

use crate::kernel::{Kernel, SeccompChange};
use crate::user::UserPtr;
use alloc::vec;
use linux_abi::raw::ptrace as raw;
use linux_abi::{Capability, Errno, SeccompFlags, SockFprog, SysResult};
use net::bpf::Program;

/// `BPF_MAXINSNS`
const LONGEST: u16 = 4096;
/// `struct sock_filter`
const INSTRUCTION: usize = 8;
/// `struct seccomp_data`
pub const DATA_SIZE: u32 = 64;

/// What filters may answer here. `SECCOMP_RET_TRACE` needs a tracer, `SECCOMP_RET_USER_NOTIF` a listener.
const ACTIONS: [u32; 6] = [
    raw::SECCOMP_RET_KILL_PROCESS,
    raw::SECCOMP_RET_KILL_THREAD,
    raw::SECCOMP_RET_TRAP,
    raw::SECCOMP_RET_ERRNO,
    raw::SECCOMP_RET_LOG,
    raw::SECCOMP_RET_ALLOW,
];

/// seccomp(2)
pub fn seccomp<K: Kernel>(k: &K, op: u32, flags: u32, args: u64) -> SysResult {
    match op {
        raw::SECCOMP_SET_MODE_STRICT if flags == 0 && args == 0 => k.seccomp(SeccompChange::Strict),
        raw::SECCOMP_SET_MODE_FILTER => add_filter(k, flags, args),
        raw::SECCOMP_GET_ACTION_AVAIL if flags == 0 => {
            let action: u32 = UserPtr::new(args).read(k)?;
            if ACTIONS.contains(&action) {
                Ok(0)
            } else {
                Err(Errno::EOPNOTSUPP)
            }
        }
        raw::SECCOMP_GET_NOTIF_SIZES => {
            k.unsupported_part("seccomp: notifications (SECCOMP_RET_USER_NOTIF)");
            Err(Errno::EINVAL)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn add_filter<K: Kernel>(k: &K, flags: u32, args: u64) -> SysResult {
    let flags = SeccompFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let listener = flags.contains(SeccompFlags::NEW_LISTENER);
    let ambiguous = SeccompFlags::TSYNC | SeccompFlags::NEW_LISTENER;
    if (flags.contains(ambiguous) && !flags.contains(SeccompFlags::TSYNC_ESRCH))
        || (flags.contains(SeccompFlags::WAIT_KILLABLE_RECV) && !listener)
    {
        return Err(Errno::EINVAL);
    }
    if listener {
        k.unsupported_part("seccomp: SECCOMP_FILTER_FLAG_NEW_LISTENER");
        return Err(Errno::EINVAL);
    }
    let program = read_program(k, args)?;
    k.seccomp(SeccompChange::Filter { program, flags })
}

/// `struct sock_fprog`, and what it points at.
fn read_program<K: Kernel>(k: &K, args: u64) -> Result<Program, Errno> {
    let head: SockFprog = UserPtr::new(args).read(k)?;
    if head.len == 0 || head.len > LONGEST {
        return Err(Errno::EINVAL);
    }
    let process = k.process();
    let tame = process
        .prctl
        .no_new_privs
        .load(core::sync::atomic::Ordering::Relaxed)
        != 0;
    if !tame && !process.with_identity(|id| id.can(Capability::SYS_ADMIN)) {
        return Err(Errno::EACCES);
    }
    let mut bytes = vec![0; usize::from(head.len) * INSTRUCTION];
    UserPtr::<u8>::new(head.filter).read_slice(k, &mut bytes)?;
    let program = Program::parse(&bytes)?;
    if program.suits_seccomp(DATA_SIZE) {
        Ok(program)
    } else {
        Err(Errno::EINVAL)
    }
}

#[cfg(test)]
mod tests;
