//! Flags of clone(2) and friends.

bitflags::bitflags! {
    /// clone(2) and clone3(2) flags without the exit signal.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct CloneFlags: u64 {
        const CLONE_NEWTIME = 0x80;
        const CLONE_VM = 0x100;
        const CLONE_FS = 0x200;
        const CLONE_FILES = 0x400;
        const CLONE_SIGHAND = 0x800;
        const CLONE_PIDFD = 0x1000;
        const CLONE_PTRACE = 0x2000;
        const CLONE_VFORK = 0x4000;
        const CLONE_PARENT = 0x8000;
        const CLONE_THREAD = 0x1_0000;
        const CLONE_NEWNS = 0x2_0000;
        const CLONE_SYSVSEM = 0x4_0000;
        const CLONE_SETTLS = 0x8_0000;
        const CLONE_PARENT_SETTID = 0x10_0000;
        const CLONE_CHILD_CLEARTID = 0x20_0000;
        const CLONE_DETACHED = 0x40_0000;
        const CLONE_UNTRACED = 0x80_0000;
        const CLONE_CHILD_SETTID = 0x100_0000;
        const CLONE_NEWCGROUP = 0x200_0000;
        const CLONE_NEWUTS = 0x400_0000;
        const CLONE_NEWIPC = 0x800_0000;
        const CLONE_NEWUSER = 0x1000_0000;
        const CLONE_NEWPID = 0x2000_0000;
        const CLONE_NEWNET = 0x4000_0000;
        const CLONE_IO = 0x8000_0000;
        const CLONE_CLEAR_SIGHAND = 0x1_0000_0000;
        const CLONE_INTO_CGROUP = 0x2_0000_0000;
    }
}

impl CloneFlags {
    /// The flags that make new namespaces.
    pub const NAMESPACES: CloneFlags = Self::CLONE_NEWTIME
        .union(Self::CLONE_NEWNS)
        .union(Self::CLONE_NEWCGROUP)
        .union(Self::CLONE_NEWUTS)
        .union(Self::CLONE_NEWIPC)
        .union(Self::CLONE_NEWUSER)
        .union(Self::CLONE_NEWPID)
        .union(Self::CLONE_NEWNET);
}

flags! {
    /// getrandom(2).
    GetrandomFlags: u32, general { GRND_NONBLOCK GRND_RANDOM GRND_INSECURE }
}

bitflags::bitflags! {
    /// wait4(2) and waitid(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct WaitFlags: u32 {
        const WNOHANG = 1;
        const WUNTRACED = 2;
        const WEXITED = 4;
        const WCONTINUED = 8;
        const WNOWAIT = 0x0100_0000;
        const __WNOTHREAD = 0x2000_0000;
        const __WALL = 0x4000_0000;
        const __WCLONE = 0x8000_0000;
    }
}

bitflags::bitflags! {
    /// Of `SECCOMP_SET_MODE_FILTER`: `SECCOMP_FILTER_FLAG_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SeccompFlags: u32 {
        const TSYNC = 1;
        const LOG = 2;
        const SPEC_ALLOW = 4;
        const NEW_LISTENER = 8;
        const TSYNC_ESRCH = 16;
        const WAIT_KILLABLE_RECV = 32;
    }
}
