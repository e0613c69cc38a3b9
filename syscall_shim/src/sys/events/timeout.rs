//! How long a wait may last, in the forms that the calls give it.
use crate::kernel::Kernel;
use crate::sys::signals::resumed;
use crate::sys::time::{end_of_wait, signed};
use crate::user::UserPtr;
use linux_abi::{Errno, Timespec, Timeval};

/// Until when; none: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeout(Option<u64>);

impl Timeout {
    /// Milliseconds; a negative number is for ever, zero is not at all.
    pub(super) fn from_ms<K: Kernel>(k: &K, ms: i32) -> Self {
        match u64::try_from(ms) {
            Ok(0) => Self(Some(0)),
            Ok(ms) => Self(Some(end_of_wait(k, ms * 1_000_000))),
            Err(_) => Self(None),
        }
    }

    pub(super) fn from_ns<K: Kernel>(k: &K, ns: Option<u64>) -> Self {
        Self(ns.map(|ns| if ns == 0 { 0 } else { end_of_wait(k, ns) }))
    }

    pub(super) fn from_timespec<K: Kernel>(
        k: &K,
        timeout: UserPtr<Timespec>,
    ) -> Result<Self, Errno> {
        let ns = timeout.read_if(k)?.map(|time| time.to_ns()).transpose()?;
        Ok(Self::from_ns(k, ns))
    }

    /// The microseconds of select(2) may be more than a second's.
    pub(super) fn from_timeval<K: Kernel>(k: &K, timeout: UserPtr<Timeval>) -> Result<Self, Errno> {
        let Some(Timeval { sec, usec }) = timeout.read_if(k)? else {
            return Ok(Self(None));
        };
        let sec = sec
            .checked_add(usec.div_euclid(1_000_000))
            .ok_or(Errno::EINVAL)?;
        let ns = Timeval {
            sec,
            usec: usec.rem_euclid(1_000_000),
        }
        .to_ns()?;
        if usec < 0 {
            Err(Errno::EINVAL)
        } else {
            Ok(Self::from_ns(k, Some(ns)))
        }
    }

    /// "Only look".
    pub(super) fn is_zero(self) -> bool {
        self.0 == Some(0)
    }

    /// Nanoseconds of CLOCK_MONOTONIC.
    pub(super) fn deadline(self) -> Option<u64> {
        self.0
    }

    /// The answer when a signal ended the wait.
    pub(super) fn interrupted<K: Kernel>(self, k: &K, errno: Errno) -> Errno {
        resumed(k, self.0, errno)
    }

    /// What is left, in nanoseconds: the calls that Linux lets update their timeout store it there.
    pub(super) fn left<K: Kernel>(self, k: &K) -> Option<i64> {
        let deadline = self.0?;
        Some(if deadline == 0 {
            0
        } else {
            signed(deadline.saturating_sub(k.monotonic()))
        })
    }
}
