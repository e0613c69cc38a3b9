//! Error numbers, see errno(3).
use core::fmt;
use core::num::NonZeroU16;

/// A Linux error number. Zero cannot be represented, so "error: success" cannot happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(NonZeroU16);

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(pub const $name: Errno = Errno::from_raw(linux_raw_sys::errno::$name as u16);)*

            /// The symbolic name, `EPERM` and so on.
            #[must_use]
            pub fn name(self) -> &'static str {
                $(if self == Self::$name { return stringify!($name); })*
                match self {
                    Self::ERESTARTSYS => "ERESTARTSYS",
                    Self::ERESTARTNOINTR => "ERESTARTNOINTR",
                    Self::ERESTARTNOHAND => "ERESTARTNOHAND",
                    _ => "E???",
                }
            }
        }
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF EBADFD ECHILD EIDRM ENOMSG EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY
    EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK
    EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENODATA ETIME EOVERFLOW EILSEQ
    EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP
    EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS
    EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY EINPROGRESS ECANCELED EOWNERDEAD
    ENOTRECOVERABLE EBADMSG EPROTO ETOOMANYREFS ELIBBAD
}

impl Errno {
    /// Internal: the call was interrupted and is restarted if the handler has `SA_RESTART` (or none ran), else EINTR.
    pub const ERESTARTSYS: Errno = Errno::from_raw(512);
    /// Internal: restarted always, after the handler if one ran (`FUTEX_LOCK_PI`).
    pub const ERESTARTNOINTR: Errno = Errno::from_raw(513);
    /// Internal: restarted when no handler ran, else EINTR whatever `SA_RESTART` says (poll, epoll_wait, futex, nanosleep).
    pub const ERESTARTNOHAND: Errno = Errno::from_raw(514);

    const fn from_raw(raw: u16) -> Errno {
        match NonZeroU16::new(raw) {
            Some(n) => Errno(n),
            None => Errno(NonZeroU16::MIN),
        }
    }

    /// The positive number, as in errno(3).
    #[must_use]
    pub const fn raw(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
