use super::AT_FDCWD;
use super::at::with_place;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use crate::{Fd, Path};
use linux_abi::{Statfs, SysResult};
use vfs::{LookupFlags, Place};

const ST_RDONLY: u64 = 1;
/// Says that the flags mean something.
const ST_VALID: u64 = 0x20;

fn statfs_of(place: &Place) -> Statfs {
    let known = place.inode.statfs();
    let read_only = if place.mount.read_only { ST_RDONLY } else { 0 };
    Statfs {
        type_: known.magic,
        bsize: known.block_size,
        blocks: known.blocks,
        bfree: known.blocks_free,
        bavail: known.blocks_free,
        files: known.files,
        ffree: known.files_free,
        fsid: [known.fsid as i32, (known.fsid >> 32) as i32],
        namelen: known.name_max,
        frsize: known.block_size,
        flags: known.flags | read_only | ST_VALID,
        ..Statfs::default()
    }
}

/// statfs(2)
pub fn statfs<K: Kernel>(k: &K, pathname: Path, buf: UserPtr<Statfs>) -> SysResult {
    let value = with_place(k, AT_FDCWD, pathname, LookupFlags::FOLLOW, |place, _| {
        Ok(statfs_of(place))
    })?;
    buf.write(k, &value)?;
    Ok(0)
}

/// fstatfs(2)
pub fn fstatfs<K: Kernel>(k: &K, fd: Fd, buf: UserPtr<Statfs>) -> SysResult {
    let value = statfs_of(k.files().get(fd)?.place());
    buf.write(k, &value)?;
    Ok(0)
}
