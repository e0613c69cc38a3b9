use super::context::Context;
use crate::kernel::Kernel;
use crate::sys::signals::with_sigmask;
use crate::sys::time::deadline_after;
use crate::user::UserPtr;
use linux_abi::{AioSigset, Errno, IoEvent, SysResult, Timespec};

/// io_getevents(2)
pub fn io_getevents<K: Kernel>(
    k: &K,
    ctx: u64,
    min: i64,
    nr: i64,
    events: UserPtr<IoEvent>,
    timeout: UserPtr<Timespec>,
) -> SysResult {
    let deadline = deadline_after(k, timeout)?;
    collect(k, ctx, (min, nr), events, deadline)
}

/// io_pgetevents(2)
pub fn io_pgetevents<K: Kernel>(
    k: &K,
    ctx: u64,
    min: i64,
    nr: i64,
    events: UserPtr<IoEvent>,
    timeout: UserPtr<Timespec>,
    sig: UserPtr<AioSigset>,
) -> SysResult {
    let deadline = deadline_after(k, timeout)?;
    let sig = sig.read_if(k)?.unwrap_or_default();
    with_sigmask(k, UserPtr::new(sig.mask), sig.size as usize, || {
        collect(k, ctx, (min, nr), events, deadline)
    })
}

/// Hands out between `min` and `nr` events; fewer when the time is over or a signal comes.
fn collect<K: Kernel>(
    k: &K,
    ctx: u64,
    (min, nr): (i64, i64),
    events: UserPtr<IoEvent>,
    deadline: Option<u64>,
) -> SysResult {
    let context = Context::find(k, ctx)?;
    if min < 0 || min > nr {
        return Err(Errno::EINVAL);
    }
    let enough = || context.ready() as i64 >= min || Context::find(k, ctx).is_err();
    let waited = if enough() {
        Ok(())
    } else {
        k.wait(&[&context.waiters], deadline, &mut || enough())
            .map(drop)
    };
    let mut done = 0;
    while (done as i64) < nr {
        let Some(event) = context.take() else { break };
        if let Err(errno) = events.at(done).write(k, &event) {
            context.untake(event);
            return if done > 0 { Ok(done) } else { Err(errno) };
        }
        done += 1;
    }
    match waited {
        Err(_) if done == 0 => Err(Errno::EINTR),
        _ => Ok(done),
    }
}
