use super::AT_FDCWD;
use super::at::{lookup_flags, with_place};
use crate::kernel::Kernel;
use crate::user::UserPtr;
use crate::{Fd, Path};
use linux_abi::{AtFlags, Errno, SysResult, Timespec, Timeval, Utimbuf};
use vfs::{LookupFlags, TimeChange, Timestamp};

/// Nanoseconds that stand for "now" and "leave alone".
const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

/// Access and modification time.
type Changes = [TimeChange; 2];

const NOW: Changes = [TimeChange::Now, TimeChange::Now];

fn from_timespec(time: Timespec) -> Result<TimeChange, Errno> {
    match time.nsec {
        UTIME_NOW => Ok(TimeChange::Now),
        UTIME_OMIT => Ok(TimeChange::Keep),
        nsec @ 0..1_000_000_000 => Ok(TimeChange::To(Timestamp {
            sec: time.sec,
            nsec: nsec as u32,
        })),
        _ => Err(Errno::EINVAL),
    }
}

fn from_timeval(time: Timeval) -> Result<TimeChange, Errno> {
    match time.usec {
        usec @ 0..1_000_000 => Ok(TimeChange::To(Timestamp {
            sec: time.sec,
            nsec: usec as u32 * 1000,
        })),
        _ => Err(Errno::EINVAL),
    }
}

fn change<K: Kernel>(
    k: &K,
    dirfd: Fd,
    path: Path,
    lookup: LookupFlags,
    changes: Changes,
) -> SysResult {
    let [atime, mtime] = changes;
    with_place(k, dirfd, path, lookup, |place, cred| {
        place.utimens(cred, atime, mtime)
    })?;
    Ok(0)
}

/// utimensat(2). No path: the descriptor itself, which is how the C library spells futimens(3).
pub fn utimensat<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    times: UserPtr<[Timespec; 2]>,
    flags: u32,
) -> SysResult {
    let changes = match times.read_if(k)? {
        None => NOW,
        Some([atime, mtime]) => [from_timespec(atime)?, from_timespec(mtime)?],
    };
    // Nothing to do is done, whatever the path.
    if changes == [TimeChange::Keep, TimeChange::Keep] {
        return Ok(0);
    }
    if pathname.is_null() && dirfd != AT_FDCWD {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        return change_open(k, dirfd, changes);
    }
    let lookup = lookup_flags(flags, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH)?;
    change(k, dirfd, pathname, lookup, changes)
}

fn change_open<K: Kernel>(k: &K, fd: Fd, changes: Changes) -> SysResult {
    let file = k.files().get(fd)?;
    let [atime, mtime] = changes;
    file.place()
        .utimens(&k.process().file_credentials(), atime, mtime)
        .map(|()| 0)
}

/// utimes(2)
pub fn utimes<K: Kernel>(k: &K, pathname: Path, times: UserPtr<[Timeval; 2]>) -> SysResult {
    futimesat(k, AT_FDCWD, pathname, times)
}

/// futimesat(2)
pub fn futimesat<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    times: UserPtr<[Timeval; 2]>,
) -> SysResult {
    let changes = match times.read_if(k)? {
        None => NOW,
        Some([atime, mtime]) => [from_timeval(atime)?, from_timeval(mtime)?],
    };
    if pathname.is_null() && dirfd != AT_FDCWD {
        return change_open(k, dirfd, changes);
    }
    change(k, dirfd, pathname, LookupFlags::FOLLOW, changes)
}

/// utime(2)
pub fn utime<K: Kernel>(k: &K, pathname: Path, times: UserPtr<Utimbuf>) -> SysResult {
    let to = |sec| TimeChange::To(Timestamp { sec, nsec: 0 });
    let changes = times
        .read_if(k)?
        .map_or(NOW, |times| [to(times.actime), to(times.modtime)]);
    change(k, AT_FDCWD, pathname, LookupFlags::FOLLOW, changes)
}
