//! Files: everything that `vfs` does, called as Linux calls it.

mod access;
pub(super) mod at;
mod attributes;
mod cachestat;
mod close;
mod copy;
mod directories;
mod dup;
mod fcntl;
mod getdents;
mod ioctl;
mod links;
mod locks;
mod memfd;
mod open;
mod rename;
mod rw;
mod seek;
mod size;
mod splice;
mod stat;
mod statfs;
mod statx;
mod sync;
mod times;
mod to_socket;
mod transfer;
mod vectored;
mod xattr;

pub use access::{access, faccessat, faccessat2};
pub use attributes::{chmod, chown, fchmod, fchmodat, fchmodat2, fchown, fchownat, lchown, umask};
pub use cachestat::cachestat;
pub use close::{close, close_range};
pub use copy::{copy_file_range, sendfile};
pub use directories::{chdir, chroot, fchdir, getcwd, mkdir, mkdirat, mknod, mknodat, rmdir};
pub use dup::{dup, dup2, dup3};
pub use fcntl::fcntl;
pub use getdents::{getdents, getdents64};
pub use ioctl::ioctl;
pub use links::{link, linkat, readlink, readlinkat, symlink, symlinkat, unlink, unlinkat};
pub use locks::flock;
pub use memfd::memfd_create;
pub use open::{creat, open, openat, openat2};
pub use rename::{rename, renameat, renameat2};
pub use rw::{pread64, pwrite64, read, write};
pub use seek::lseek;
pub use size::{fallocate, ftruncate, truncate};
pub use splice::{splice, tee, vmsplice};
pub use stat::{fstat, lstat, newfstatat, stat};
pub use statfs::{fstatfs, statfs};
pub use statx::statx;
pub use sync::{fadvise64, fdatasync, fsync, readahead, sync, sync_file_range, syncfs};
pub use times::{futimesat, utime, utimensat, utimes};
pub use vectored::{preadv, preadv2, pwritev, pwritev2, readv, writev};
pub use xattr::{
    fgetxattr, flistxattr, fremovexattr, fsetxattr, getxattr, lgetxattr, listxattr, llistxattr,
    lremovexattr, lsetxattr, removexattr, setxattr,
};

pub(crate) use at::with_place;
pub(crate) use sync::sync_file;
pub(crate) use transfer::{blocking, broken_pipe, limit_size, write_from};

/// `AT_FDCWD`: paths start from the working directory.
pub(crate) const AT_FDCWD: i32 = linux_abi::raw::general::AT_FDCWD;

#[cfg(test)]
mod tests;
