//! Flags of calls on files: open(2), fcntl(2), openat2(2), *at calls, statx(2), renameat2(2), ...

flags! {
    /// open(2): creation flags and status flags. The access mode is not a flag, see [`OpenFlags::access_mode`].
    OpenFlags: u32, general {
        O_WRONLY O_RDWR O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_DSYNC O_DIRECT O_LARGEFILE O_DIRECTORY
        O_NOFOLLOW O_NOATIME O_CLOEXEC O_SYNC O_PATH O_TMPFILE
    } also {
        FASYNC = 0o20000;
    }
}

impl OpenFlags {
    /// Flags that F_SETFL may change.
    pub const SETTABLE: OpenFlags = Self::O_APPEND
        .union(Self::FASYNC)
        .union(Self::O_DIRECT)
        .union(Self::O_NOATIME)
        .union(Self::O_NONBLOCK);

    /// `O_RDONLY`, `O_WRONLY`, `O_RDWR` or the undocumented 3 (ioctl only).
    #[must_use]
    pub const fn access_mode(self) -> u32 {
        self.bits() & linux_raw_sys::general::O_ACCMODE
    }

    #[must_use]
    pub const fn readable(self) -> bool {
        matches!(self.access_mode(), 0 | 2) && !self.contains(Self::O_PATH)
    }

    #[must_use]
    pub const fn writable(self) -> bool {
        matches!(self.access_mode(), 1 | 2) && !self.contains(Self::O_PATH)
    }
}

flags! {
    /// The flags of the *at calls; each call takes some of them.
    AtFlags: u32, general {
        AT_SYMLINK_NOFOLLOW AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_STATX_FORCE_SYNC AT_STATX_DONT_SYNC
        AT_RECURSIVE
    } also {
        // Two names for one bit: which it is depends on the call.
        AT_EACCESS = 0x200;
        AT_REMOVEDIR = 0x200;
    }
}

flags! {
    /// openat2(2) `how.resolve`.
    ResolveFlags: u64, general {
        RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT RESOLVE_CACHED
    }
}

flags! {
    /// statx(2) mask: which fields are wanted, and which are filled in.
    StatxMask: u32, general {
        STATX_TYPE STATX_MODE STATX_NLINK STATX_UID STATX_GID STATX_ATIME STATX_MTIME STATX_CTIME STATX_INO STATX_SIZE
        STATX_BLOCKS STATX_BASIC_STATS STATX_BTIME STATX_MNT_ID
    }
}

flags! {
    /// renameat2(2).
    RenameFlags: u32, general { RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT }
}

flags! {
    /// fallocate(2) mode.
    FallocateFlags: u32, general {
        FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE FALLOC_FL_NO_HIDE_STALE FALLOC_FL_COLLAPSE_RANGE FALLOC_FL_ZERO_RANGE
        FALLOC_FL_INSERT_RANGE FALLOC_FL_UNSHARE_RANGE
    }
}

flags! {
    /// memfd_create(2).
    MemfdFlags: u32, general { MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB MFD_NOEXEC_SEAL MFD_EXEC }
}

flags! {
    /// fcntl(2) F_ADD_SEALS.
    SealFlags: u32, general {
        F_SEAL_SEAL F_SEAL_SHRINK F_SEAL_GROW F_SEAL_WRITE F_SEAL_FUTURE_WRITE F_SEAL_EXEC
    }
}

flags! {
    /// splice(2), tee(2), vmsplice(2).
    SpliceFlags: u32, general { SPLICE_F_MOVE SPLICE_F_NONBLOCK SPLICE_F_MORE SPLICE_F_GIFT }
}

bitflags::bitflags! {
    /// preadv2(2) and pwritev2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct RwFlags: u32 {
        const RWF_HIPRI = 0x1;
        const RWF_DSYNC = 0x2;
        const RWF_SYNC = 0x4;
        const RWF_NOWAIT = 0x8;
        const RWF_APPEND = 0x10;
        const RWF_NOAPPEND = 0x20;
    }
}

bitflags::bitflags! {
    /// close_range(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct CloseRangeFlags: u32 {
        const CLOSE_RANGE_UNSHARE = 2;
        const CLOSE_RANGE_CLOEXEC = 4;
    }
}

bitflags::bitflags! {
    /// access(2) mode; the empty set is `F_OK`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct AccessMode: u32 {
        const X_OK = 1;
        const W_OK = 2;
        const R_OK = 4;
    }
}
