//! What file calls exchange with the program.

abi_struct! {
    /// `struct stat`.
    Stat [144] {
        dev: u64,
        ino: u64,
        nlink: u64,
        mode: u32,
        uid: u32,
        gid: u32,
        pad0: u32,
        rdev: u64,
        size: i64,
        blksize: i64,
        blocks: i64,
        atime: u64,
        atime_nsec: u64,
        mtime: u64,
        mtime_nsec: u64,
        ctime: u64,
        ctime_nsec: u64,
        unused: [i64; 3],
    }
    /// `struct statx_timestamp`.
    StatxTimestamp [16] { sec: i64, nsec: u32, reserved: i32, }
    /// `struct statx`.
    Statx [256] {
        mask: u32,
        blksize: u32,
        attributes: u64,
        nlink: u32,
        uid: u32,
        gid: u32,
        mode: u16,
        spare0: u16,
        ino: u64,
        size: u64,
        blocks: u64,
        attributes_mask: u64,
        atime: StatxTimestamp,
        btime: StatxTimestamp,
        ctime: StatxTimestamp,
        mtime: StatxTimestamp,
        rdev_major: u32,
        rdev_minor: u32,
        dev_major: u32,
        dev_minor: u32,
        mnt_id: u64,
        dio_mem_align: u32,
        dio_offset_align: u32,
        spare3: [u64; 12],
    }
    /// `struct statfs`.
    Statfs [120] {
        type_: u64,
        bsize: u64,
        blocks: u64,
        bfree: u64,
        bavail: u64,
        files: u64,
        ffree: u64,
        fsid: [i32; 2],
        namelen: u64,
        frsize: u64,
        flags: u64,
        spare: [u64; 4],
    }
    /// `struct iovec`.
    Iovec [16] { base: u64, len: u64, }
    /// `struct flock`, with the padding the compiler puts in.
    Flock [32] { type_: i16, whence: i16, pad0: u32, start: i64, len: i64, pid: i32, pad1: u32, }
    /// `struct open_how`, openat2(2).
    OpenHow [24] { flags: u64, mode: u64, resolve: u64, }
    /// `struct f_owner_ex`, fcntl(2) F_SETOWN_EX.
    FownerEx [8] { type_: i32, pid: i32, }
}

/// Combines a device number as the kernel encodes it for programs (`new_encode_dev`).
#[must_use]
pub const fn makedev(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
}

/// The major part of a device number.
#[must_use]
pub const fn major(dev: u64) -> u32 {
    (((dev >> 8) & 0xfff) | ((dev >> 32) & 0xffff_f000)) as u32
}

/// The minor part of a device number.
#[must_use]
pub const fn minor(dev: u64) -> u32 {
    ((dev & 0xff) | ((dev >> 12) & 0xffff_ff00)) as u32
}
