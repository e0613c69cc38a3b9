//! open(2).
use crate::Result;
use crate::at::{At, OpenHow, check_name};
use crate::file::File;
use crate::inode::NewNode;
use crate::mount::Place;
use crate::notify;
use crate::types::{FileType, access};
use crate::walk::{LookupFlags, Parent};
use alloc::sync::Arc;
use linux_abi::raw::general::{
    IN_MODIFY, IN_OPEN, O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOATIME, O_NOFOLLOW,
    O_PATH, O_RDONLY, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY,
};
use linux_abi::{Capability, Errno};

/// The bit of `O_TMPFILE` that is not `O_DIRECTORY`.
const TMPFILE: u32 = O_TMPFILE & !O_DIRECTORY;

/// What is to be opened, and whether this call made it.
struct Found {
    place: Place,
    created: bool,
}

pub(crate) fn open(at: &At<'_>, path: &[u8], how: &OpenHow) -> Result<Arc<File>> {
    let mut flags = how.flags;
    if flags & O_PATH != 0 {
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        return Ok(File::new(existing(at, path, flags, how)?, None, flags));
    }
    if flags & TMPFILE != 0 {
        return unnamed(at, path, flags, how);
    }
    if flags & O_CREAT != 0 && flags & O_DIRECTORY != 0 {
        return Err(Errno::EINVAL);
    }
    let found = if flags & O_CREAT != 0 {
        create(at, path, flags, how)?
    } else {
        Found {
            place: existing(at, path, flags, how)?,
            created: false,
        }
    };
    finish(at, found, flags)
}

/// What open(2) asks of the permission bits.
fn wanted(flags: u32) -> u32 {
    let mode = match flags & O_ACCMODE {
        O_RDONLY => access::READ,
        O_WRONLY => access::WRITE,
        _ => access::READ | access::WRITE,
    };
    if flags & O_TRUNC != 0 {
        mode | access::WRITE
    } else {
        mode
    }
}

fn lookup_flags(flags: u32, how: &OpenHow) -> LookupFlags {
    let mut lookup = how.resolve.unwrap_or(LookupFlags::empty());
    lookup.set(LookupFlags::FOLLOW, flags & O_NOFOLLOW == 0);
    lookup.set(LookupFlags::DIRECTORY, flags & O_DIRECTORY != 0);
    lookup
}

/// The object at `path`, which must be there.
fn existing(at: &At<'_>, path: &[u8], flags: u32, how: &OpenHow) -> Result<Place> {
    let place = at.resolve(path, lookup_flags(flags, how))?;
    if place.inode.kind() == FileType::Symlink && flags & O_PATH == 0 {
        return Err(Errno::ELOOP);
    }
    Ok(place)
}

/// The object at `path`, made if it is not there.
fn create(at: &At<'_>, path: &[u8], flags: u32, how: &OpenHow) -> Result<Found> {
    let mut walk = at.walk(lookup_flags(flags, how));
    let mut parent = walk.parent(path)?;
    loop {
        check_target(at, &parent, flags)?;
        let place = match walk.child(&parent.dir, &parent.name) {
            Ok(_) if flags & O_EXCL != 0 => return Err(Errno::EEXIST),
            Ok(place) => place,
            Err(Errno::ENOENT) => return make(at, &parent, how.mode),
            Err(other) => return Err(other),
        };
        if place.inode.kind() != FileType::Symlink {
            return Ok(Found {
                place,
                created: false,
            });
        }
        if flags & O_NOFOLLOW != 0 {
            return Err(Errno::ELOOP);
        }
        let mut dir = parent.dir;
        match walk.follow_last(&mut dir, place.inode.follow())? {
            Some(text) => parent = walk.parent_from(dir, text)?,
            None => {
                return Ok(Found {
                    place: dir,
                    created: false,
                });
            }
        }
    }
}

/// Refuses names that cannot become a file.
fn check_target(at: &At<'_>, parent: &Parent<'_>, flags: u32) -> Result<()> {
    if matches!(&*parent.name, b"" | b"." | b"..") {
        return Err(if flags & O_EXCL != 0 {
            Errno::EEXIST
        } else {
            Errno::EISDIR
        });
    }
    check_name(&parent.name)?;
    if parent.trailing_slash {
        return Err(Errno::EISDIR);
    }
    at.cred.check_search(&*parent.dir.inode)
}

fn make(at: &At<'_>, parent: &Parent<'_>, mode: u32) -> Result<Found> {
    at.check_create(&parent.dir, &parent.name)?;
    let (gid, mode) = at.ownership(&parent.dir.inode.metadata(), mode, false);
    let inode = parent
        .dir
        .inode
        .create(&parent.name, NewNode::Regular, mode, at.cred.uid, gid)?;
    notify::created(&parent.dir.inode, &parent.name, &inode);
    Ok(Found {
        place: Place {
            mount: parent.dir.mount.clone(),
            inode,
        },
        created: true,
    })
}

/// `O_TMPFILE`: a file without a name in the file system of the directory `path`.
fn unnamed(at: &At<'_>, path: &[u8], flags: u32, how: &OpenHow) -> Result<Arc<File>> {
    if flags & O_TMPFILE != O_TMPFILE
        || flags & O_CREAT != 0
        || !matches!(flags & O_ACCMODE, O_WRONLY | O_RDWR)
    {
        return Err(Errno::EINVAL);
    }
    let dir = at.resolve(path, lookup_flags(flags, how))?;
    if dir.mount.read_only {
        return Err(Errno::EROFS);
    }
    let holder = dir.inode.metadata();
    at.cred.check(&holder, access::WRITE | access::EXEC)?;
    let (gid, mode) = at.ownership(&holder, how.mode, false);
    let inode = dir.inode.create_unnamed(mode, at.cred.uid, gid)?;
    notify::used(&inode, IN_OPEN);
    Ok(File::new(
        Place {
            mount: dir.mount,
            inode,
        },
        None,
        flags,
    ))
}

/// Permissions, truncation, and the object's own operations.
fn finish(at: &At<'_>, found: Found, flags: u32) -> Result<Arc<File>> {
    let Found { place, created } = found;
    let kind = place.inode.kind();
    let wanted = wanted(flags);
    if kind == FileType::Directory && (wanted & access::WRITE != 0 || flags & O_CREAT != 0) {
        return Err(Errno::EISDIR);
    }
    if !created {
        // The bits of a file that this call made do not limit this call.
        check_existing(at, &place, kind, wanted, flags)?;
    }
    let ops = place.inode.open(flags)?;
    if kind == FileType::Regular && flags & O_TRUNC != 0 && !created && ops.is_none() {
        place.inode.truncate(0)?;
        notify::used(&place.inode, IN_MODIFY);
    }
    notify::used(&place.inode, IN_OPEN);
    Ok(File::new(place, ops, flags))
}

fn check_existing(
    at: &At<'_>,
    place: &Place,
    kind: FileType,
    wanted: u32,
    flags: u32,
) -> Result<()> {
    if place.mount.read_only && wanted & access::WRITE != 0 && matches!(kind, FileType::Regular) {
        return Err(Errno::EROFS);
    }
    if kind == FileType::Socket {
        return Err(Errno::ENXIO);
    }
    let named = flags & O_NOATIME == 0 || at.cred.can(Capability::FOWNER);
    if named && at.cred.can(Capability::DAC_OVERRIDE) {
        return Ok(());
    }
    let metadata = place.inode.metadata();
    at.cred.check(&metadata, wanted)?;
    if flags & O_NOATIME != 0 {
        at.cred.check_owner(&metadata)?;
    }
    Ok(())
}
