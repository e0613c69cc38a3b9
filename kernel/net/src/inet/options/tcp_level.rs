//! `IPPROTO_TCP`, see tcp(7).
use super::{Kind, Row, Slot, row};
use linux_abi::Errno;
use linux_abi::raw::net::*;

/// `MAX_TCP_KEEPIDLE` and `MAX_TCP_KEEPINTVL`
const SECONDS_MAX: i32 = 32767;

pub(crate) const TCP: &[Row] = &[
    row(TCP_NODELAY, Slot::NoDelay, Kind::Flag),
    row(TCP_CORK, Slot::Cork, Kind::Flag),
    row(
        TCP_KEEPIDLE,
        Slot::KeepIdle,
        Kind::Range(1, SECONDS_MAX, Errno::EINVAL),
    ),
    row(
        TCP_KEEPINTVL,
        Slot::KeepInterval,
        Kind::Range(1, SECONDS_MAX, Errno::EINVAL),
    ),
    row(
        TCP_KEEPCNT,
        Slot::KeepCount,
        Kind::Range(1, 127, Errno::EINVAL),
    ),
    row(
        TCP_SYNCNT,
        Slot::SynCount,
        Kind::Range(1, 127, Errno::EINVAL),
    ),
    row(TCP_QUICKACK, Slot::QuickAck, Kind::Flag),
    row(
        TCP_USER_TIMEOUT,
        Slot::UserTimeout,
        Kind::Range(0, i32::MAX, Errno::EINVAL),
    ),
    // What is not sent yet is with the peer already, so these have nothing to hold back.
    row(
        TCP_NOTSENT_LOWAT,
        Slot::NotSentLowWater,
        Kind::Range(i32::MIN, i32::MAX, Errno::EINVAL),
    ),
    row(TCP_THIN_LINEAR_TIMEOUTS, Slot::ThinLinear, Kind::Strict),
    row(TCP_THIN_DUPACK, Slot::ThinDupAck, Kind::Strict),
    row(TCP_IS_MPTCP, Slot::NoDelay, Kind::Fixed(0)),
];

/// `TCP_DEFER_ACCEPT` counts retransmissions, which double their distance from one second on: the seconds rounded up to
/// the next sum of such.
pub(crate) fn retransmission_seconds(wanted: i32) -> i32 {
    const RETRANSMISSIONS_MAX: u32 = 255;
    const LONGEST: i32 = 120;
    if wanted <= 0 {
        return 0;
    }
    let (mut total, mut step) = (1_i32, 1_i32);
    for _ in 1..RETRANSMISSIONS_MAX {
        if total >= wanted {
            break;
        }
        step = (step * 2).min(LONGEST);
        total += step;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::retransmission_seconds;

    #[test]
    fn deferred_seconds_are_rounded_as_linux_does() {
        let rounded = [0, 1, 2, 3, 4, 10, 100, 200].map(retransmission_seconds);
        assert_eq!(rounded, [0, 1, 3, 3, 7, 15, 127, 247]);
    }
}
