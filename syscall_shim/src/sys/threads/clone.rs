use crate::kernel::{CloneRequest, Kernel};
use crate::user::UserPtr;
use linux_abi::zerocopy::{FromZeros, IntoBytes};
use linux_abi::{CloneArgs, CloneFlags, Errno, PAGE_SIZE, Signal, SysResult};

/// The byte of clone(2)'s flags that holds the exit signal.
const CSIGNAL: u64 = 0xff;
/// `CLONE_ARGS_SIZE_VER0`
const SMALLEST_ARGS: usize = 64;

/// clone(2)
pub fn clone<K: Kernel>(
    k: &K,
    flags: u64,
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
) -> SysResult {
    // Only 32 bits of flags exist here; the rest is clone3's.
    let low = flags & 0xffff_ffff;
    let flags = CloneFlags::from_bits_truncate(low & !CSIGNAL);
    let request = CloneRequest {
        flags,
        exit_signal: exit_signal(low & CSIGNAL)?,
        stack: (stack != 0).then_some(stack),
        parent_tid,
        child_tid,
        tls,
        // The pidfd shares its place with the parent's tid.
        pidfd: parent_tid,
    };
    if flags.contains(CloneFlags::CLONE_PIDFD | CloneFlags::CLONE_PARENT_SETTID) {
        return Err(Errno::EINVAL);
    }
    start(k, &request)
}

/// clone3(2)
pub fn clone3<K: Kernel>(k: &K, args: UserPtr<CloneArgs>, size: usize) -> SysResult {
    let args = read_args(k, args, size)?;
    if args.set_tid != 0 || args.set_tid_size != 0 {
        k.unsupported_part("clone3: set_tid");
        return Err(if (args.set_tid == 0) == (args.set_tid_size == 0) {
            Errno::EPERM
        } else {
            Errno::EINVAL
        });
    }
    let flags = CloneFlags::from_bits(args.flags).ok_or(Errno::EINVAL)?;
    if flags.contains(CloneFlags::CLONE_DETACHED) || args.exit_signal & !CSIGNAL != 0 {
        return Err(Errno::EINVAL);
    }
    if flags.contains(CloneFlags::CLONE_INTO_CGROUP) {
        k.unsupported_part("clone3: CLONE_INTO_CGROUP");
        return Err(Errno::EPERM);
    }
    let threadlike = CloneFlags::CLONE_THREAD | CloneFlags::CLONE_PARENT;
    if flags.intersects(threadlike) && args.exit_signal != 0 {
        return Err(Errno::EINVAL);
    }
    let request = CloneRequest {
        flags,
        exit_signal: exit_signal(args.exit_signal)?,
        stack: stack_top(k, &args)?,
        parent_tid: args.parent_tid,
        child_tid: args.child_tid,
        tls: args.tls,
        pidfd: args.pidfd,
    };
    start(k, &request)
}

/// The structure may be shorter than ours (fields we do not get are zero) or longer (E2BIG unless the rest is zero).
fn read_args<K: Kernel>(k: &K, args: UserPtr<CloneArgs>, size: usize) -> Result<CloneArgs, Errno> {
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    if size < SMALLEST_ARGS {
        return Err(Errno::EINVAL);
    }
    let mut value = CloneArgs::new_zeroed();
    let known = size.min(size_of::<CloneArgs>());
    let part = value.as_mut_bytes().get_mut(..known).ok_or(Errno::EINVAL)?;
    args.cast::<u8>().read_slice(k, part)?;
    crate::user::require_zeros(k, args.cast::<u8>().at(known), size - known)?;
    Ok(value)
}

fn stack_top<K: Kernel>(k: &K, args: &CloneArgs) -> Result<Option<u64>, Errno> {
    match (args.stack, args.stack_size) {
        (0, 0) => Ok(None),
        (0, _) | (_, 0) => Err(Errno::EINVAL),
        (base, size) if k.access_ok(base, size) => Ok(Some(base + size)),
        _ => Err(Errno::EINVAL),
    }
}

fn exit_signal(number: u64) -> Result<Option<Signal>, Errno> {
    if number == 0 {
        Ok(None)
    } else {
        Signal::new(number).map(Some)
    }
}

fn start<K: Kernel>(k: &K, request: &CloneRequest) -> SysResult {
    check(k, request.flags)?;
    k.clone(request).map(|tid| tid as usize)
}

/// The rules of clone(2) about which flags need which.
fn check<K: Kernel>(k: &K, flags: CloneFlags) -> Result<(), Errno> {
    let needs =
        |flag: CloneFlags, needed: CloneFlags| !flags.contains(flag) || flags.contains(needed);
    let consistent = needs(CloneFlags::CLONE_THREAD, CloneFlags::CLONE_SIGHAND)
        && needs(CloneFlags::CLONE_SIGHAND, CloneFlags::CLONE_VM)
        && !flags.contains(CloneFlags::CLONE_SIGHAND | CloneFlags::CLONE_CLEAR_SIGHAND)
        && !flags.contains(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)
        && !flags.contains(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWUSER)
        && !flags.contains(CloneFlags::CLONE_THREAD | CloneFlags::CLONE_PIDFD)
        && !flags.contains(CloneFlags::CLONE_DETACHED | CloneFlags::CLONE_PIDFD);
    if !consistent {
        return Err(Errno::EINVAL);
    }
    if flags.intersects(CloneFlags::NAMESPACES) {
        k.unsupported_part("clone: new namespaces");
        return Err(Errno::EPERM);
    }
    Ok(())
}
