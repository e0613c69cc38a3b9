//! `IPPROTO_IPV6`, see ipv6(7).
use super::{Kind, Row, Slot, row};
use linux_abi::Errno;
use linux_abi::raw::net::*;

pub(crate) const IPV6: &[Row] = &[
    row(IPV6_V6ONLY, Slot::V6Only, Kind::Flag),
    row(
        IPV6_UNICAST_HOPS,
        Slot::UnicastHops,
        Kind::Range(-1, 255, Errno::EINVAL),
    ),
    row(
        IPV6_MULTICAST_HOPS,
        Slot::MulticastHops6,
        Kind::Range(-1, 255, Errno::EINVAL),
    ),
    row(IPV6_MULTICAST_LOOP, Slot::MulticastLoop6, Kind::Strict),
    row(IPV6_MULTICAST_ALL, Slot::MulticastAll6, Kind::Strict),
    row(
        IPV6_TCLASS,
        Slot::TrafficClass,
        Kind::Range(-1, 255, Errno::EINVAL),
    ),
    row(IPV6_RECVPKTINFO, Slot::ReceivePacketInfo6, Kind::Flag),
    row(IPV6_RECVHOPLIMIT, Slot::ReceiveHopLimit, Kind::Flag),
    row(IPV6_RECVTCLASS, Slot::ReceiveTrafficClass, Kind::Flag),
    row(IPV6_RECVERR, Slot::ReceiveErrors6, Kind::Flag),
    row(
        IPV6_MTU_DISCOVER,
        Slot::MtuDiscover6,
        Kind::Range(0, 5, Errno::EINVAL),
    ),
    row(IPV6_DONTFRAG, Slot::DontFragment6, Kind::Flag),
    row(IPV6_FREEBIND, Slot::FreeBind, Kind::Flag),
    row(IPV6_TRANSPARENT, Slot::Transparent, Kind::Privileged),
    // No packet here has a flow label or an extension header, so nobody is ever told of one.
    row(IPV6_AUTOFLOWLABEL, Slot::AutoFlowLabel, Kind::Flag),
    row(IPV6_FLOWINFO, Slot::FlowInfo, Kind::Flag),
    row(IPV6_FLOWINFO_SEND, Slot::FlowInfoSend, Kind::Flag),
    row(IPV6_RECVRTHDR, Slot::ReceiveRoutingHeader, Kind::Flag),
    row(IPV6_RECVHOPOPTS, Slot::ReceiveHopOptions, Kind::Flag),
    row(
        IPV6_RECVDSTOPTS,
        Slot::ReceiveDestinationOptions,
        Kind::Flag,
    ),
];
