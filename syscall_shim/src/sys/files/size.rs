use super::AT_FDCWD;
use super::at::with_place;
use super::transfer::too_big;
use crate::kernel::Kernel;
use crate::{Fd, Path};
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, FallocateFlags, SysResult};
use vfs::LookupFlags;

/// A length is not negative, and within `RLIMIT_FSIZE` when it grows the file.
fn check_len<K: Kernel>(k: &K, length: i64, now: impl FnOnce() -> u64) -> Result<u64, Errno> {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    if length > k.process().file_size_limit.load(Relaxed) && length > now() {
        return Err(too_big(k));
    }
    Ok(length)
}

/// truncate(2)
pub fn truncate<K: Kernel>(k: &K, pathname: Path, length: i64) -> SysResult {
    if length < 0 {
        return Err(Errno::EINVAL);
    }
    with_place(k, AT_FDCWD, pathname, LookupFlags::FOLLOW, |place, cred| {
        let length = check_len(k, length, || place.inode.metadata().size)?;
        place.truncate(cred, length)
    })?;
    Ok(0)
}

/// ftruncate(2)
pub fn ftruncate<K: Kernel>(k: &K, fd: Fd, length: i64) -> SysResult {
    if length < 0 {
        return Err(Errno::EINVAL);
    }
    let file = k.files().get(fd)?;
    let length = check_len(k, length, || file.metadata().size)?;
    file.truncate(length).map(|()| 0)
}

/// fallocate(2)
pub fn fallocate<K: Kernel>(k: &K, fd: Fd, mode: u32, offset: i64, len: i64) -> SysResult {
    let file = k.files().get(fd)?;
    if offset < 0 || len <= 0 {
        return Err(Errno::EINVAL);
    }
    let flags = FallocateFlags::from_bits(mode).ok_or(Errno::EOPNOTSUPP)?;
    let punches = flags.contains(FallocateFlags::FALLOC_FL_PUNCH_HOLE);
    if punches && !flags.contains(FallocateFlags::FALLOC_FL_KEEP_SIZE) {
        return Err(Errno::EOPNOTSUPP);
    }
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
    if !flags.contains(FallocateFlags::FALLOC_FL_KEEP_SIZE) {
        check_len(k, end, || file.metadata().size)?;
    }
    file.fallocate(mode, offset as u64, len as u64).map(|()| 0)
}
