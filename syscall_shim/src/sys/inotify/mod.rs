//! inotify(7): what happens to files, as events to be read.
use crate::kernel::Kernel;
use crate::sys::files::{AT_FDCWD, with_place};
use crate::{Fd, Path};
use linux_abi::{Errno, FdFlags, InotifyFlags, SysResult};
use vfs::{Inotify, LookupFlags, access};

/// inotify_init(2)
pub fn inotify_init<K: Kernel>(k: &K) -> SysResult {
    inotify_init1(k, 0)
}

/// inotify_init1(2)
pub fn inotify_init1<K: Kernel>(k: &K, flags: u32) -> SysResult {
    let flags = FdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let file = vfs::inotify(flags.bits())?;
    let fd = k.files().insert(file, flags.contains(FdFlags::CLOEXEC))?;
    Ok(fd as usize)
}

/// inotify_add_watch(2)
pub fn inotify_add_watch<K: Kernel>(k: &K, fd: Fd, pathname: Path, mask: u32) -> SysResult {
    let flags = InotifyFlags::from_bits(mask)
        .filter(|flags| !flags.is_empty())
        .ok_or(Errno::EINVAL)?;
    let file = k.files().get(fd)?;
    if flags.contains(InotifyFlags::IN_MASK_ADD | InotifyFlags::IN_MASK_CREATE) {
        return Err(Errno::EINVAL);
    }
    let inotify = file.ops_as::<Inotify>().ok_or(Errno::EINVAL)?;
    let mut lookup = LookupFlags::empty();
    lookup.set(
        LookupFlags::FOLLOW,
        !flags.contains(InotifyFlags::IN_DONT_FOLLOW),
    );
    lookup.set(
        LookupFlags::DIRECTORY,
        flags.contains(InotifyFlags::IN_ONLYDIR),
    );
    with_place(k, AT_FDCWD, pathname, lookup, |place, cred| {
        cred.check(&place.inode.metadata(), access::READ)?;
        inotify.add_watch(&place.inode, mask).map(|wd| wd as usize)
    })
}

/// inotify_rm_watch(2)
pub fn inotify_rm_watch<K: Kernel>(k: &K, fd: Fd, wd: i32) -> SysResult {
    let file = k.files().get(fd)?;
    let inotify = file.ops_as::<Inotify>().ok_or(Errno::EINVAL)?;
    inotify.remove_watch(wd).map(|()| 0)
}

#[cfg(test)]
mod tests;
