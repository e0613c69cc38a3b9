use super::AT_FDCWD;
use super::at::with_path;
use crate::kernel::Kernel;
use crate::{Fd, Path};
use linux_abi::{Errno, RenameFlags, SysResult};

/// rename(2)
pub fn rename<K: Kernel>(k: &K, oldpath: Path, newpath: Path) -> SysResult {
    renameat2(k, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0)
}

/// renameat(2)
pub fn renameat<K: Kernel>(
    k: &K,
    olddirfd: Fd,
    oldpath: Path,
    newdirfd: Fd,
    newpath: Path,
) -> SysResult {
    renameat2(k, olddirfd, oldpath, newdirfd, newpath, 0)
}

/// renameat2(2)
pub fn renameat2<K: Kernel>(
    k: &K,
    olddirfd: Fd,
    oldpath: Path,
    newdirfd: Fd,
    newpath: Path,
    flags: u32,
) -> SysResult {
    let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let others = RenameFlags::RENAME_NOREPLACE | RenameFlags::RENAME_WHITEOUT;
    if flags.contains(RenameFlags::RENAME_EXCHANGE) && flags.intersects(others) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(RenameFlags::RENAME_WHITEOUT) {
        k.unsupported_part("renameat2: RENAME_WHITEOUT");
        return Err(Errno::EINVAL);
    }
    with_path(k, olddirfd, oldpath, |old_base, old| {
        with_path(k, newdirfd, newpath, |new_base, new| {
            old_base
                .at(k)
                .rename(old, &new_base.at(k), new, flags.bits())
        })
    })?;
    Ok(0)
}
