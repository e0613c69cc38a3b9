//! Options of the guest's sockets and what they are on the host.

use std::os::fd::AsRawFd;

use boot_abi::hostnet::*;
use libc::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET};

use super::sys;
use crate::devices::virtio::DeviceError;

/// Number; level and name for IPv4; for IPv6.
const TABLE: [(u16, i32, i32, i32, i32); 14] = [
    same(OPT_NO_DELAY, IPPROTO_TCP, libc::TCP_NODELAY),
    same(OPT_CORK, IPPROTO_TCP, libc::TCP_CORK),
    same(OPT_QUICK_ACK, IPPROTO_TCP, libc::TCP_QUICKACK),
    same(OPT_KEEP_ALIVE, SOL_SOCKET, libc::SO_KEEPALIVE),
    same(OPT_KEEP_IDLE, IPPROTO_TCP, libc::TCP_KEEPIDLE),
    same(OPT_KEEP_INTERVAL, IPPROTO_TCP, libc::TCP_KEEPINTVL),
    same(OPT_KEEP_COUNT, IPPROTO_TCP, libc::TCP_KEEPCNT),
    same(OPT_USER_TIMEOUT, IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
    ip(OPT_HOP_LIMIT, libc::IP_TTL, libc::IPV6_UNICAST_HOPS),
    ip(OPT_TRAFFIC_CLASS, libc::IP_TOS, libc::IPV6_TCLASS),
    same(OPT_MAX_SEGMENT, IPPROTO_TCP, libc::TCP_MAXSEG),
    same(OPT_BROADCAST, SOL_SOCKET, libc::SO_BROADCAST),
    ip(
        OPT_MULTICAST_LOOP,
        libc::IP_MULTICAST_LOOP,
        libc::IPV6_MULTICAST_LOOP,
    ),
    ip(
        OPT_MULTICAST_TTL,
        libc::IP_MULTICAST_TTL,
        libc::IPV6_MULTICAST_HOPS,
    ),
];

/// Set by the device itself: level and name.
const OWN: [(i32, i32); 11] = [
    (SOL_SOCKET, libc::SO_LINGER),
    (SOL_SOCKET, libc::SO_REUSEADDR),
    (IPPROTO_IP, libc::IP_RECVERR),
    (IPPROTO_IP, libc::IP_PKTINFO),
    (IPPROTO_IP, libc::IP_RECVTTL),
    (IPPROTO_IP, libc::IP_ADD_MEMBERSHIP),
    (IPPROTO_IPV6, libc::IPV6_RECVERR),
    (IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
    (IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP),
    (IPPROTO_IPV6, libc::IPV6_V6ONLY),
];

/// What a datagram socket is to tell besides the bytes.
const DATAGRAM_V4: [(i32, i32); 3] = [
    (IPPROTO_IP, libc::IP_RECVERR),
    (IPPROTO_IP, libc::IP_PKTINFO),
    (IPPROTO_IP, libc::IP_RECVTTL),
];
const DATAGRAM_V6: [(i32, i32); 4] = [
    (IPPROTO_IPV6, libc::IPV6_V6ONLY),
    (IPPROTO_IPV6, libc::IPV6_RECVERR),
    (IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
];

const fn same(number: u16, level: i32, name: i32) -> (u16, i32, i32, i32, i32) {
    (number, level, name, level, name)
}

const fn ip(number: u16, v4: i32, v6: i32) -> (u16, i32, i32, i32, i32) {
    (number, IPPROTO_IP, v4, IPPROTO_IPV6, v6)
}

/// Level and name of all options that may be set, for the filter of system calls.
pub fn permitted() -> impl Iterator<Item = (i32, i32)> {
    let both = TABLE
        .iter()
        .flat_map(|(_, level4, name4, level6, name6)| [(*level4, *name4), (*level6, *name6)]);
    both.chain(OWN)
}

/// Options in a payload: number and value.
pub fn read(bytes: &[u8]) -> Result<impl Iterator<Item = (u16, u32)> + '_, DeviceError> {
    let (options, rest) = bytes.as_chunks::<OPTION_SIZE>();
    if !rest.is_empty() {
        return Err(DeviceError::Protocol("sent a part of an option"));
    }
    Ok(options.iter().map(|[a, b, _, _, v0, v1, v2, v3]| {
        let number = u16::from_le_bytes([*a, *b]);
        (number, u32::from_le_bytes([*v0, *v1, *v2, *v3]))
    }))
}

/// Sets one option. Unknown ones are ignored, and so is what the host does not take: the guest's own layer has answered the program.
pub fn set(socket: &impl AsRawFd, ipv6: bool, number: u16, value: u32) {
    if let Some((_, level4, name4, level6, name6)) = TABLE.iter().find(|row| row.0 == number) {
        let (level, name) = if ipv6 {
            (*level6, *name6)
        } else {
            (*level4, *name4)
        };
        let _ = sys::set_option(socket, level, name, value);
    }
}

pub fn prepare_datagrams(socket: &impl AsRawFd, ipv6: bool) {
    let list: &[_] = if ipv6 { &DATAGRAM_V6 } else { &DATAGRAM_V4 };
    for (level, name) in list {
        // Without one of them the guest learns a little less.
        let _ = sys::set_option(socket, *level, *name, 1);
    }
}
