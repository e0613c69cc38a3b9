//! What the kernel tells about its network when the monitor asks: an object of JSON, see `compat/schema/instance-stats.schema.json`.

use super::network;
use ::net::{Interface, SocketCounts, TcpSockets, UnixSockets};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub fn report() -> String {
    let network = network();
    let interfaces: Vec<String> = network.interfaces().iter().map(interface).collect();
    let counters = network.inet_counters();
    let tcp = object(&[
        ("connects", counters.tcp_active_opens.get()),
        ("accepts", counters.tcp_passive_opens.get()),
        ("failed_connects", counters.tcp_attempt_fails.get()),
        ("resets", counters.tcp_resets.get()),
        ("listen_overflows", counters.tcp_listen_overflows.get()),
    ]);
    let udp = object(&[
        ("received", counters.udp_received.get()),
        ("sent", counters.udp_sent.get()),
        ("no_ports", counters.udp_no_ports.get()),
        ("dropped", counters.udp_dropped.get()),
    ]);
    format!(
        r#"{{"interfaces":[{}],"sockets":{},"tcp":{tcp},"udp":{udp}}}"#,
        interfaces.join(","),
        sockets(&network.socket_counts())
    )
}

fn sockets(counts: &SocketCounts) -> String {
    let TcpSockets {
        listening,
        connecting,
        established,
        waiting,
        closing,
        idle,
    } = counts.tcp;
    let tcp = object(&[
        ("established", established as u64),
        ("listening", listening as u64),
        ("waiting", waiting as u64),
        ("connecting", connecting as u64),
        ("closing", closing as u64),
        ("idle", idle as u64),
    ]);
    let UnixSockets {
        listening,
        connected,
        other,
    } = counts.unix;
    let unix = object(&[
        ("connected", connected as u64),
        ("listening", listening as u64),
        ("other", other as u64),
    ]);
    format!(
        r#"{{"tcp":{tcp},"unix":{unix},"udp":{},"icmp":{},"raw":{},"netlink":{}}}"#,
        counts.udp, counts.icmp, counts.raw, counts.netlink
    )
}

fn object(figures: &[(&str, u64)]) -> String {
    let figures: Vec<String> = figures
        .iter()
        .map(|(name, value)| format!(r#""{name}":{value}"#))
        .collect();
    format!("{{{}}}", figures.join(","))
}

fn interface(interface: &Interface) -> String {
    // Names are plain words, for which JSON and Rust write the same.
    format!(
        r#"{{"name":{:?},"mtu":{},"rx":{},"tx":{}}}"#,
        interface.name,
        interface.mtu,
        traffic(interface.received),
        traffic(interface.sent)
    )
}

fn traffic([packets, bytes, errors, dropped]: [u64; 4]) -> String {
    object(&[
        ("packets", packets),
        ("bytes", bytes),
        ("errors", errors),
        ("dropped", dropped),
    ])
}
