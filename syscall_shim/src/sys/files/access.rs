use super::AT_FDCWD;
use super::at::{Base, lookup_flags};
use crate::kernel::Kernel;
use crate::{Fd, Path};
use linux_abi::{AccessMode, AtFlags, Errno, SysResult};

/// access(2)
pub fn access<K: Kernel>(k: &K, pathname: Path, mode: u32) -> SysResult {
    faccessat2(k, AT_FDCWD, pathname, mode, 0)
}

/// faccessat(2), which has no flags: the C library does them.
pub fn faccessat<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, mode: u32) -> SysResult {
    faccessat2(k, dirfd, pathname, mode, 0)
}

/// faccessat2(2): asks for the real ids, unless `AT_EACCESS`.
pub fn faccessat2<K: Kernel>(k: &K, dirfd: Fd, pathname: Path, mode: u32, flags: u32) -> SysResult {
    let mode = AccessMode::from_bits(mode).ok_or(Errno::EINVAL)?;
    let allowed = AtFlags::AT_EACCESS | AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH;
    let lookup = lookup_flags(flags, allowed)?;
    let real = !flags_mean_effective(flags) && !real_is_effective(k);
    let real = real.then(|| k.process().with_identity(|id| id.real_credentials()));
    pathname.with(k, |path| {
        let mut base = Base::new(k, dirfd, path)?;
        if let Some(cred) = real {
            base = base.with_credentials(cred);
        }
        base.at(k).access(path, mode.bits(), lookup)
    })?;
    Ok(0)
}

fn flags_mean_effective(flags: u32) -> bool {
    flags & AtFlags::AT_EACCESS.bits() != 0
}

/// Whether both kinds of ids and what they may do are the same, as they nearly always are.
fn real_is_effective<K: Kernel>(k: &K) -> bool {
    k.process().with_identity(|id| {
        id.ruid == id.fsuid && id.rgid == id.fsgid && id.capabilities.are_of_real_user(id.ruid)
    })
}
