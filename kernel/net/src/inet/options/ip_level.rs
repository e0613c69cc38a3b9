//! `IPPROTO_IP`, see ip(7).
use super::{Kind, Row, Slot, row};
use linux_abi::Errno;
use linux_abi::raw::net::*;

pub(crate) const IP: &[Row] = &[
    row(
        IP_TOS,
        Slot::Tos,
        Kind::Range(i32::MIN, i32::MAX, Errno::EINVAL),
    ),
    row(IP_RECVTTL, Slot::ReceiveTtl, Kind::Flag),
    row(IP_RECVTOS, Slot::ReceiveTos, Kind::Flag),
    row(IP_PKTINFO, Slot::PacketInfo, Kind::Flag),
    // No packet here has options.
    row(IP_RECVOPTS, Slot::ReceiveOptions, Kind::Flag),
    row(IP_RETOPTS, Slot::ReturnOptions, Kind::Flag),
    row(IP_RECVERR, Slot::ReceiveErrors, Kind::Flag),
    // Nothing is fragmented, inside or by the way out.
    row(
        IP_MTU_DISCOVER,
        Slot::MtuDiscover,
        Kind::Range(0, 5, Errno::EINVAL),
    ),
    row(IP_FREEBIND, Slot::FreeBind, Kind::Flag),
    row(IP_TRANSPARENT, Slot::Transparent, Kind::Privileged),
    row(IP_MINTTL, Slot::MinTtl, Kind::Range(0, 255, Errno::EINVAL)),
    row(IP_BIND_ADDRESS_NO_PORT, Slot::NoPortYet, Kind::Flag),
    row(IP_MULTICAST_LOOP, Slot::MulticastLoop, Kind::Flag),
    row(IP_MULTICAST_ALL, Slot::MulticastAll, Kind::Strict),
];
