use crate::Fd;
use crate::kernel::Kernel;
use crate::state::{RecordLock, RecordOwner};
use crate::user::UserPtr;
use alloc::sync::Arc;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, Flock, SysResult};
use vfs::File;

/// How often a waiter looks for descriptions that ended, which nobody announces.
const LOOK_AGAIN_NS: u64 = 10_000_000;

/// Waits until `attempt` has the lock.
fn wait_for<K: Kernel>(k: &K, attempt: &mut dyn FnMut() -> bool) -> SysResult {
    let list = k.file_locks().wait_list();
    loop {
        let deadline = k.monotonic().saturating_add(LOOK_AGAIN_NS);
        if k.wait(&[list], Some(deadline), attempt)? == crate::kernel::Woken::Ready {
            return Ok(0);
        }
    }
}

/// flock(2)
pub fn flock<K: Kernel>(k: &K, fd: Fd, operation: u32) -> SysResult {
    let file = k.files().get(fd)?;
    let exclusive = match operation & !raw::LOCK_NB {
        raw::LOCK_SH => false,
        raw::LOCK_EX => true,
        raw::LOCK_UN => {
            k.file_locks().unlock(&file);
            return Ok(0);
        }
        _ => return Err(Errno::EINVAL),
    };
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    if k.file_locks().try_lock(&file, exclusive) {
        return Ok(0);
    }
    if operation & raw::LOCK_NB != 0 {
        return Err(Errno::EAGAIN);
    }
    wait_for(k, &mut || k.file_locks().try_lock(&file, exclusive))
}

/// The record lock commands of fcntl(2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Get,
    Set,
    SetWait,
}

const F_RDLCK: i16 = raw::F_RDLCK as i16;
const F_WRLCK: i16 = raw::F_WRLCK as i16;
const F_UNLCK: i16 = raw::F_UNLCK as i16;

/// `F_GETLK` and its kin; `description`: the lock belongs to the open file description, not to the process.
pub(super) fn record<K: Kernel>(
    k: &K,
    file: &Arc<File>,
    command: Command,
    description: bool,
    arg: UserPtr<Flock>,
) -> SysResult {
    let request = arg.read(k)?;
    if description && request.pid != 0 {
        return Err(Errno::EINVAL);
    }
    let owner = if description {
        RecordOwner::Description(Arc::downgrade(file))
    } else {
        RecordOwner::Process(k.getpid())
    };
    let lock = range(file, &request)?;
    match command {
        Command::Get if request.type_ == F_UNLCK => Err(Errno::EINVAL),
        Command::Get => get(k, file, &owner, &lock, request, arg),
        Command::Set | Command::SetWait => set(k, file, owner, lock, request.type_, command),
    }
}

fn get<K: Kernel>(
    k: &K,
    file: &File,
    owner: &RecordOwner,
    lock: &RecordLock,
    request: Flock,
    arg: UserPtr<Flock>,
) -> SysResult {
    let answer = match k.file_locks().conflict(file, owner, lock) {
        None => Flock {
            type_: F_UNLCK,
            ..request
        },
        Some((held, holder)) => Flock {
            type_: if held.exclusive { F_WRLCK } else { F_RDLCK },
            whence: raw::SEEK_SET as i16,
            start: held.start as i64,
            len: if held.end == u64::MAX {
                0
            } else {
                (held.end - held.start) as i64
            },
            pid: match holder {
                RecordOwner::Process(pid) => pid,
                RecordOwner::Description(_) => -1,
            },
            ..request
        },
    };
    arg.write(k, &answer)?;
    Ok(0)
}

fn set<K: Kernel>(
    k: &K,
    file: &File,
    owner: RecordOwner,
    lock: RecordLock,
    kind: i16,
    command: Command,
) -> SysResult {
    match kind {
        F_UNLCK => {
            k.file_locks().unlock_record(file, &owner, lock);
            return Ok(0);
        }
        F_RDLCK if !file.is_readable() => return Err(Errno::EBADF),
        F_WRLCK if !file.is_writable() => return Err(Errno::EBADF),
        _ => {}
    }
    if k.file_locks().try_record(file, &owner, lock) {
        return Ok(0);
    }
    if command != Command::SetWait {
        return Err(Errno::EAGAIN);
    }
    wait_for(k, &mut || k.file_locks().try_record(file, &owner, lock))
}

/// The bytes that a `struct flock` means. EINVAL for a range before the file, EOVERFLOW beyond all files.
fn range(file: &File, request: &Flock) -> Result<RecordLock, Errno> {
    if !matches!(request.type_, F_RDLCK | F_WRLCK | F_UNLCK) {
        return Err(Errno::EINVAL);
    }
    let base = match request.whence as u32 {
        raw::SEEK_SET => 0,
        raw::SEEK_CUR => file.seek(0, raw::SEEK_CUR).unwrap_or(0) as i64,
        raw::SEEK_END => i64::try_from(file.metadata().size).map_err(|_| Errno::EOVERFLOW)?,
        _ => return Err(Errno::EINVAL),
    };
    let at = base.checked_add(request.start).ok_or(Errno::EOVERFLOW)?;
    // A negative length counts back from the start.
    let (start, end) = match request.len {
        0 => (at, None),
        len @ 1.. => (at, Some(at.checked_add(len).ok_or(Errno::EOVERFLOW)?)),
        len => (at.checked_add(len).ok_or(Errno::EINVAL)?, Some(at)),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    let end = end.map_or(u64::MAX, |end| end as u64);
    Ok(RecordLock {
        start,
        end,
        exclusive: request.type_ == F_WRLCK,
    })
}
