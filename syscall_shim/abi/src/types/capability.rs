use crate::raw::general as raw;
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Not};

/// One of root's rights, see capabilities(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capability(u32);

macro_rules! capabilities {
    ($($name:ident = $raw:ident,)*) => {
        impl Capability {
            $(pub const $name: Self = Self(raw::$raw);)*
        }
    };
}

capabilities! {
    CHOWN = CAP_CHOWN,
    DAC_OVERRIDE = CAP_DAC_OVERRIDE,
    DAC_READ_SEARCH = CAP_DAC_READ_SEARCH,
    FOWNER = CAP_FOWNER,
    FSETID = CAP_FSETID,
    IPC_LOCK = CAP_IPC_LOCK,
    IPC_OWNER = CAP_IPC_OWNER,
    KILL = CAP_KILL,
    LINUX_IMMUTABLE = CAP_LINUX_IMMUTABLE,
    MAC_OVERRIDE = CAP_MAC_OVERRIDE,
    MKNOD = CAP_MKNOD,
    NET_ADMIN = CAP_NET_ADMIN,
    NET_BIND_SERVICE = CAP_NET_BIND_SERVICE,
    NET_RAW = CAP_NET_RAW,
    SETGID = CAP_SETGID,
    SETPCAP = CAP_SETPCAP,
    SETUID = CAP_SETUID,
    SYS_ADMIN = CAP_SYS_ADMIN,
    SYS_CHROOT = CAP_SYS_CHROOT,
    SYS_NICE = CAP_SYS_NICE,
    SYS_PTRACE = CAP_SYS_PTRACE,
    SYS_RESOURCE = CAP_SYS_RESOURCE,
}

impl Capability {
    /// None: Linux 6.1 knows no such number.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number <= raw::CAP_LAST_CAP as u64 {
            Some(Self(number as u32))
        } else {
            None
        }
    }
}

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CapSet(u64);

impl CapSet {
    pub const EMPTY: Self = Self(0);
    /// All that Linux 6.1 knows.
    pub const ALL: Self = Self((2 << raw::CAP_LAST_CAP) - 1);
    /// What comes and goes with the file system's user id (setfsuid(2)).
    pub const FILES: Self = Self::of(&[
        Capability::CHOWN,
        Capability::MKNOD,
        Capability::DAC_OVERRIDE,
        Capability::DAC_READ_SEARCH,
        Capability::FOWNER,
        Capability::FSETID,
        Capability::LINUX_IMMUTABLE,
        Capability::MAC_OVERRIDE,
    ]);

    #[must_use]
    pub const fn of(capabilities: &[Capability]) -> Self {
        let mut bits = 0;
        let mut rest = capabilities;
        while let [first, others @ ..] = rest {
            bits |= 1 << first.0;
            rest = others;
        }
        Self(bits)
    }

    /// Unknown bits are left out, as Linux does.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & 1 << capability.0 != 0
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

impl From<Capability> for CapSet {
    fn from(capability: Capability) -> Self {
        Self::of(&[capability])
    }
}

impl BitOr for CapSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for CapSet {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl BitAnd for CapSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitAndAssign for CapSet {
    fn bitand_assign(&mut self, other: Self) {
        *self = *self & other;
    }
}

impl Not for CapSet {
    type Output = Self;
    fn not(self) -> Self {
        Self::from_bits(!self.0)
    }
}
