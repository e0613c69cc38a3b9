//! Flags of poll(2), epoll(7), eventfd(2), timerfd_create(2), signalfd(2), pipe2(2).

bitflags::bitflags! {
    /// poll(2) events; epoll(7) uses the same bits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct PollEvents: u32 {
        const POLLIN = 0x1;
        const POLLPRI = 0x2;
        const POLLOUT = 0x4;
        const POLLERR = 0x8;
        const POLLHUP = 0x10;
        const POLLNVAL = 0x20;
        const POLLRDNORM = 0x40;
        const POLLRDBAND = 0x80;
        const POLLWRNORM = 0x100;
        const POLLWRBAND = 0x200;
        const POLLMSG = 0x400;
        const POLLRDHUP = 0x2000;
    }
}

impl PollEvents {
    /// What select(2) calls readable.
    pub const SELECT_READ: PollEvents = Self::POLLIN
        .union(Self::POLLRDNORM)
        .union(Self::POLLRDBAND)
        .union(Self::POLLHUP)
        .union(Self::POLLERR);
    /// What select(2) calls writable.
    pub const SELECT_WRITE: PollEvents = Self::POLLOUT
        .union(Self::POLLWRNORM)
        .union(Self::POLLWRBAND)
        .union(Self::POLLERR);
    /// What select(2) calls exceptional.
    pub const SELECT_EXCEPT: PollEvents = Self::POLLPRI;
    /// Reported whether asked for or not.
    pub const ALWAYS: PollEvents = Self::POLLERR.union(Self::POLLHUP).union(Self::POLLNVAL);
}

flags! {
    /// epoll_ctl(2) event bits that are not poll(2)'s.
    EpollFlags: u32, general { EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT EPOLLET }
}

bitflags::bitflags! {
    /// eventfd2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct EventfdFlags: u32 {
        const EFD_SEMAPHORE = 1;
        const EFD_NONBLOCK = 0o4000;
        const EFD_CLOEXEC = 0o200_0000;
    }
}

bitflags::bitflags! {
    /// timerfd_settime(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct TimerfdFlags: u32 {
        const TFD_TIMER_ABSTIME = 1;
        const TFD_TIMER_CANCEL_ON_SET = 2;
    }
}

bitflags::bitflags! {
    /// The two flags that every call making a descriptor takes: `SFD_*`, `TFD_*`, `EPOLL_CLOEXEC`, `IN_*`, pipe2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct FdFlags: u32 {
        const NONBLOCK = 0o4000;
        const CLOEXEC = 0o200_0000;
    }
}

flags! {
    /// inotify_add_watch(2): events, and how to watch.
    InotifyFlags: u32, general {
        IN_ACCESS IN_MODIFY IN_ATTRIB IN_CLOSE_WRITE IN_CLOSE_NOWRITE IN_OPEN IN_MOVED_FROM IN_MOVED_TO IN_CREATE
        IN_DELETE IN_DELETE_SELF IN_MOVE_SELF IN_UNMOUNT IN_Q_OVERFLOW IN_IGNORED IN_ONLYDIR IN_DONT_FOLLOW
        IN_EXCL_UNLINK IN_MASK_CREATE IN_MASK_ADD IN_ISDIR IN_ONESHOT
    }
}
