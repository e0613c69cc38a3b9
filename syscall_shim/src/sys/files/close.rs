use crate::Fd;
use crate::kernel::Kernel;
use linux_abi::{CloseRangeFlags, Errno, SysResult};

/// close(2)
pub fn close<K: Kernel>(k: &K, fd: Fd) -> SysResult {
    let file = k.files().close(fd)?;
    k.file_locks().closed(&file, k.getpid());
    Ok(0)
}

/// close_range(2)
pub fn close_range<K: Kernel>(k: &K, first: u32, last: u32, flags: u32) -> SysResult {
    let flags = CloseRangeFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if first > last {
        return Err(Errno::EINVAL);
    }
    if flags.contains(CloseRangeFlags::CLOSE_RANGE_UNSHARE) {
        k.unshare_files()?;
    }
    k.files().close_range(
        first,
        last,
        flags.contains(CloseRangeFlags::CLOSE_RANGE_CLOEXEC),
    )?;
    Ok(0)
}
