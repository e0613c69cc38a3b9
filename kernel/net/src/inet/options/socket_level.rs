//! `SOL_SOCKET`, see socket(7).
use super::{Kind, Options, Row, Slot, row};
use crate::Result;
use linux_abi::Errno;
use linux_abi::raw::net::*;

/// The default of /proc/sys/net/core/rmem_max and wmem_max.
const BUFFER_MAX: i32 = 212_992;
/// `SOCK_MIN_SNDBUF`, `SOCK_MIN_RCVBUF`
const SEND_MIN: i32 = 4608;
const RECEIVE_MIN: i32 = 2304;

pub(crate) const SOCKET: &[Row] = &[
    row(SO_REUSEADDR, Slot::ReuseAddress, Kind::Flag),
    row(SO_REUSEPORT, Slot::ReusePort, Kind::Flag),
    row(SO_KEEPALIVE, Slot::KeepAlive, Kind::Flag),
    row(SO_BROADCAST, Slot::Broadcast, Kind::Flag),
    // There is one route, and checksums are not computed inside the machine.
    row(SO_DONTROUTE, Slot::DontRoute, Kind::Flag),
    row(SO_NO_CHECK, Slot::NoCheck, Kind::Flag),
    // No byte is ever out of band.
    row(SO_OOBINLINE, Slot::OobInline, Kind::Flag),
    row(SO_RXQ_OVFL, Slot::OverflowCount, Kind::Flag),
    // Hints, all of them.
    row(
        SO_INCOMING_CPU,
        Slot::IncomingCpu,
        Kind::Range(i32::MIN, i32::MAX, Errno::EINVAL),
    ),
    row(
        SO_RCVLOWAT,
        Slot::ReceiveLowWater,
        Kind::Range(i32::MIN, i32::MAX, Errno::EINVAL),
    ),
    row(SO_SNDLOWAT, Slot::ReceiveLowWater, Kind::Fixed(1)),
    row(SO_MARK, Slot::Mark, Kind::Privileged),
];

/// `SO_SNDBUF` and `SO_RCVBUF`: limited, and doubled for the bookkeeping. `force` knows no upper limit.
pub(crate) fn buffer_size(value: i32, receive: bool, force: bool) -> i32 {
    // Negative ones are enormous as unsigned numbers.
    let wanted = match (value, force) {
        (value, _) if value < 0 => {
            if force {
                0
            } else {
                BUFFER_MAX
            }
        }
        (value, true) => value.min(i32::MAX / 2),
        (value, false) => value.min(BUFFER_MAX),
    };
    (wanted * 2).max(if receive { RECEIVE_MIN } else { SEND_MIN })
}

/// `SO_PRIORITY` and `SO_BUSY_POLL`: some values are for the privileged.
pub(crate) fn set_privileged(
    options: &mut Options,
    name: u32,
    value: i32,
    privileged: bool,
) -> Result<()> {
    let (slot, free) = match name {
        SO_PRIORITY => (Slot::Priority, (0..=6).contains(&value)),
        _ => (Slot::BusyPoll, value <= options.get(Slot::BusyPoll)),
    };
    if !free && !privileged {
        return Err(Errno::EPERM);
    }
    if slot == Slot::BusyPoll && value < 0 {
        return Err(Errno::EINVAL);
    }
    options.set(slot, value);
    Ok(())
}

/// `SO_TIMESTAMP` and `SO_TIMESTAMPNS`, of which the last one set counts. None asks, Some sets.
pub(crate) fn timestamps(options: &mut Options, name: u32, on: Option<bool>) -> i32 {
    let own = if name == SO_TIMESTAMPNS_OLD { 2 } else { 1 };
    if let Some(on) = on {
        options.set(Slot::Timestamps, if on { own } else { 0 });
    }
    i32::from(options.get(Slot::Timestamps) == own)
}
