use super::at::{lookup_flags, with_path};
use crate::kernel::Kernel;
use crate::user::UserPtr;
use crate::{Fd, Path};
use linux_abi::{AtFlags, Errno, Statx, StatxMask, StatxTimestamp, SysResult, major, minor};
use vfs::{LookupFlags, Metadata, Place, Timestamp};

/// Bit 31 of the mask, which must not be set.
const STATX_RESERVED: u32 = 0x8000_0000;
const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;

fn time(at: Timestamp) -> StatxTimestamp {
    StatxTimestamp {
        sec: at.sec,
        nsec: at.nsec,
        reserved: 0,
    }
}

fn statx_of(metadata: &Metadata, place: &Place) -> Statx {
    Statx {
        mask: (StatxMask::STATX_BASIC_STATS | StatxMask::STATX_BTIME | StatxMask::STATX_MNT_ID)
            .bits(),
        blksize: metadata.blksize,
        attributes: if place.is_mount_root() {
            STATX_ATTR_MOUNT_ROOT
        } else {
            0
        },
        attributes_mask: STATX_ATTR_MOUNT_ROOT,
        nlink: metadata.nlink,
        uid: metadata.uid,
        gid: metadata.gid,
        mode: metadata.mode as u16,
        ino: metadata.ino,
        size: metadata.size,
        blocks: metadata.blocks,
        atime: time(metadata.atime),
        btime: time(metadata.btime),
        ctime: time(metadata.ctime),
        mtime: time(metadata.mtime),
        rdev_major: major(metadata.rdev),
        rdev_minor: minor(metadata.rdev),
        dev_major: major(metadata.dev),
        dev_minor: minor(metadata.dev),
        mnt_id: u64::from(place.mount.id),
        ..Statx::default()
    }
}

/// statx(2). Everything is at hand, so the mask does not matter.
pub fn statx<K: Kernel>(
    k: &K,
    dirfd: Fd,
    pathname: Path,
    flags: u32,
    mask: u32,
    statxbuf: UserPtr<Statx>,
) -> SysResult {
    let sync = AtFlags::AT_STATX_FORCE_SYNC | AtFlags::AT_STATX_DONT_SYNC;
    if mask & STATX_RESERVED != 0 || AtFlags::from_bits_retain(flags).contains(sync) {
        return Err(Errno::EINVAL);
    }
    let allowed =
        AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT | AtFlags::AT_EMPTY_PATH | sync;
    let lookup = lookup_flags(flags, allowed)?;
    let value = if lookup.contains(LookupFlags::EMPTY_PATH) && dirfd >= 0 && pathname.is_empty(k)? {
        let file = k.files().get(dirfd)?;
        statx_of(&file.metadata(), file.place())
    } else {
        let place = with_path(k, dirfd, pathname, |base, path| {
            base.at(k).resolve(path, lookup)
        })?;
        statx_of(&place.inode.metadata(), &place)
    };
    statxbuf.write(k, &value)?;
    Ok(0)
}
