//! Plain data that inodes speak in. The shim turns it into `stat`, `statx`, `statfs` and `dirent64`.
use linux_abi::raw::general as raw;

/// A point in time, as `struct timespec` has it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Timestamp {
    pub sec: i64,
    pub nsec: u32,
}

/// The type bits of `st_mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileType {
    Fifo,
    CharDevice,
    Directory,
    BlockDevice,
    Regular,
    Symlink,
    Socket,
}

impl FileType {
    /// The `S_IF*` bits.
    #[must_use]
    pub const fn mode_bits(self) -> u32 {
        match self {
            Self::Fifo => raw::S_IFIFO,
            Self::CharDevice => raw::S_IFCHR,
            Self::Directory => raw::S_IFDIR,
            Self::BlockDevice => raw::S_IFBLK,
            Self::Regular => raw::S_IFREG,
            Self::Symlink => raw::S_IFLNK,
            Self::Socket => raw::S_IFSOCK,
        }
    }

    /// The type that `st_mode` names, if it names one.
    #[must_use]
    pub const fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & raw::S_IFMT {
            raw::S_IFIFO => Self::Fifo,
            raw::S_IFCHR => Self::CharDevice,
            raw::S_IFDIR => Self::Directory,
            raw::S_IFBLK => Self::BlockDevice,
            raw::S_IFREG => Self::Regular,
            raw::S_IFLNK => Self::Symlink,
            raw::S_IFSOCK => Self::Socket,
            _ => return None,
        })
    }

    /// The `DT_*` value of readdir(3).
    #[must_use]
    pub const fn dirent_type(self) -> u8 {
        (self.mode_bits() >> 12) as u8
    }
}

/// What stat(2) knows about an inode.
#[derive(Clone, Copy, Default, Debug)]
pub struct Metadata {
    pub dev: u64,
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    pub blksize: u32,
    /// In units of 512 bytes.
    pub blocks: u64,
    pub atime: Timestamp,
    pub mtime: Timestamp,
    pub ctime: Timestamp,
    pub btime: Timestamp,
}

impl Metadata {
    /// Whether the mode says that this is a directory.
    #[must_use]
    pub const fn is_dir(&self) -> bool {
        self.mode & raw::S_IFMT == raw::S_IFDIR
    }
}

/// One of the two times of utimensat(2).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum TimeChange {
    /// `UTIME_OMIT`
    #[default]
    Keep,
    /// `UTIME_NOW`
    Now,
    To(Timestamp),
}

/// What chmod(2), chown(2) and utimensat(2) change. The caller has checked permissions.
#[derive(Clone, Copy, Default, Debug)]
pub struct SetAttr {
    /// Permission bits only.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub atime: TimeChange,
    pub mtime: TimeChange,
}

/// What statfs(2) knows about a file system.
#[derive(Clone, Copy, Default, Debug)]
pub struct StatFs {
    pub magic: u64,
    pub block_size: u64,
    pub blocks: u64,
    pub blocks_free: u64,
    pub files: u64,
    pub files_free: u64,
    pub fsid: u64,
    pub name_max: u64,
    /// `ST_*` mount flags
    pub flags: u64,
}

/// One directory entry, as getdents64(2) needs it.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    pub ino: u64,
    /// `d_off`: the position at which the *next* entry is read.
    pub next: u64,
    pub kind: FileType,
    pub name: &'a [u8],
}

/// Mode bits of access(2).
pub mod access {
    pub const EXEC: u32 = 1;
    pub const WRITE: u32 = 2;
    pub const READ: u32 = 4;
}

/// The bits of poll(2), which epoll shares.
pub mod poll {
    pub const IN: u32 = 0x001;
    pub const PRI: u32 = 0x002;
    pub const OUT: u32 = 0x004;
    pub const ERR: u32 = 0x008;
    pub const HUP: u32 = 0x010;
    pub const NVAL: u32 = 0x020;
    pub const RDNORM: u32 = 0x040;
    pub const RDBAND: u32 = 0x080;
    pub const WRNORM: u32 = 0x100;
    pub const WRBAND: u32 = 0x200;
    pub const RDHUP: u32 = 0x2000;
    /// What an object that never makes anyone wait answers.
    pub const ALWAYS: u32 = IN | OUT | RDNORM | WRNORM;

    /// What can be done without waiting.
    pub const fn ready(readable: bool, writable: bool) -> u32 {
        let input = if readable { IN | RDNORM } else { 0 };
        let output = if writable { OUT | WRNORM } else { 0 };
        input | output
    }
}
