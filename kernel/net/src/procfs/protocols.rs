//! /proc/net/protocols.
use super::Text;
use crate::inet::{InetProtocol, SocketEntry};
use crate::network::Network;
use crate::socket::SocketType;
use core::fmt::Write as _;

const HEADER: &str = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em";

/// What Linux says before and after the number of sockets.
const ROWS: [(&str, &str); 11] = [
    (
        "PINGv6    1344 ",
        "      -1   NI       0   yes  kernel      y  y  y  n  n  y  n  n  y  y  y  y  n  y  y  n  y  y  n",
    ),
    (
        "RAWv6     1344 ",
        "      -1   NI       0   yes  kernel      y  y  y  n  y  y  y  n  y  y  y  y  n  y  y  y  y  n  n",
    ),
    (
        "UDPv6     1472 ",
        "       0   NI       0   yes  kernel      y  y  y  n  y  y  y  n  y  y  y  y  n  n  n  y  y  y  n",
    ),
    (
        "TCPv6     2432 ",
        "       0   no     192   yes  kernel      y  y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y",
    ),
    (
        "UNIX-STREAM 1152 ",
        "      -1   NI       0   yes  kernel      y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n",
    ),
    (
        "UNIX      1152 ",
        "      -1   NI       0   yes  kernel      y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n",
    ),
    (
        "PING      1016 ",
        "      -1   NI       0   yes  kernel      y  y  y  n  n  y  n  n  y  y  y  y  n  y  y  n  y  y  n",
    ),
    (
        "RAW       1152 ",
        "      -1   NI       0   yes  kernel      y  y  y  n  y  y  y  n  y  y  y  y  n  y  y  y  y  n  n",
    ),
    (
        "UDP       1344 ",
        "       0   NI       0   yes  kernel      y  y  y  n  y  y  y  n  y  y  y  y  y  n  n  y  y  y  n",
    ),
    (
        "TCP       2304 ",
        "       0   no     192   yes  kernel      y  y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y",
    ),
    (
        "NETLINK   1096 ",
        "      -1   NI       0   no   kernel      n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n",
    ),
];

impl Network {
    pub(super) fn show_protocols(&self, out: &mut Text<'_>) {
        let unix = self.unix_sockets();
        let streams = |entry: &&crate::UnixEntry| entry.kind == SocketType::Stream;
        let streams = unix.iter().filter(streams).count();
        let inet = self.inet_sockets();
        let of = |protocol: InetProtocol, v6: bool| {
            let is_one = |entry: &&SocketEntry| entry.protocol == protocol && entry.v6 == v6;
            inet.iter().filter(is_one).count()
        };
        let counts = [
            of(InetProtocol::Icmp, true),
            of(InetProtocol::Raw, true),
            of(InetProtocol::Udp, true),
            of(InetProtocol::Tcp, true),
            streams,
            unix.len() - streams,
            of(InetProtocol::Icmp, false),
            of(InetProtocol::Raw, false),
            of(InetProtocol::Udp, false),
            of(InetProtocol::Tcp, false),
            self.netlink_ports.count(),
        ];
        put!(out, "{HEADER}\n");
        for ((before, after), count) in ROWS.iter().zip(counts) {
            put!(out, "{before}{count:6}{after}\n");
        }
    }
}
