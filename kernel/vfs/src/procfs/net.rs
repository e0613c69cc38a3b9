//! /proc/net and /proc/sys/net. The text of the first comes from the sockets, which lie above this crate.
use super::source::NetFile;
use crate::Result;
use crate::pseudo::{Context, Directory, Entry, Kind, Text, dir, fixed, put, text};

macro_rules! files {
    ($($name:literal $file:ident)*) => {
        fixed(&[$(text($name, |context, out| {
            context.source.network(NetFile::$file, &mut out.0);
            Ok(())
        }),)*])
    };
}

pub(super) static ROOT: Directory = files! {
    "arp" Arp
    "dev" Dev
    "icmp" Icmp
    "icmp6" Icmp6
    "if_inet6" IfInet6
    "ipv6_route" Ipv6Route
    "netlink" Netlink
    "netstat" Netstat
    "packet" Packet
    "protocols" Protocols
    "raw" Raw
    "raw6" Raw6
    "route" Route
    "snmp" Snmp
    "sockstat" Sockstat
    "sockstat6" Sockstat6
    "tcp" Tcp
    "tcp6" Tcp6
    "udp" Udp
    "udp6" Udp6
    "unix" Unix
};

/// A setting that never changes.
macro_rules! setting {
    ($name:literal, $value:literal) => {
        text($name, |_, out| {
            put!(out, concat!($value, "\n"));
            Ok(())
        })
    };
}

/// Below /proc/sys/net.
pub(super) static SETTINGS: Directory = fixed(&[
    dir("core", &CORE),
    dir("ipv4", &IPV4),
    dir("ipv6", &IPV6),
    dir("unix", &UNIX),
]);

static CORE: Directory = fixed(&[
    setting!("netdev_max_backlog", 1000),
    setting!("optmem_max", 131072),
    setting!("rmem_default", 212992),
    setting!("rmem_max", 212992),
    setting!("somaxconn", 4096),
    setting!("wmem_default", 212992),
    setting!("wmem_max", 212992),
]);

static IPV4: Directory = fixed(&[
    setting!("ip_default_ttl", 64),
    setting!("ip_forward", 0),
    Entry {
        name: "ip_local_port_range",
        mode: 0o644,
        kind: Kind::Stored(local_port_range, set_local_port_range),
    },
    setting!("ip_local_reserved_ports", ""),
    setting!("ip_nonlocal_bind", 0),
    setting!("ip_unprivileged_port_start", 1024),
    setting!("ping_group_range", "0\t2147483647"),
    setting!("tcp_allowed_congestion_control", "reno cubic"),
    setting!("tcp_available_congestion_control", "reno cubic"),
    setting!("tcp_congestion_control", "cubic"),
    setting!("tcp_ecn", 2),
    setting!("tcp_fastopen", 0),
    setting!("tcp_fin_timeout", 60),
    setting!("tcp_keepalive_intvl", 75),
    setting!("tcp_keepalive_probes", 9),
    setting!("tcp_keepalive_time", 7200),
    setting!("tcp_max_syn_backlog", 1024),
    setting!("tcp_rmem", "4096\t131072\t6291456"),
    setting!("tcp_sack", 1),
    setting!("tcp_syncookies", 1),
    setting!("tcp_timestamps", 1),
    setting!("tcp_window_scaling", 1),
    setting!("tcp_wmem", "4096\t16384\t4194304"),
]);

fn local_port_range(context: &Context, out: &mut Text) -> Result<()> {
    context.source.network(NetFile::LocalPortRange, &mut out.0);
    Ok(())
}

fn set_local_port_range(context: &Context, text: &[u8]) -> Result<()> {
    context.source.set_local_port_range(text)
}

static IPV6: Directory = fixed(&[
    setting!("bindv6only", 0),
    dir("conf", &IPV6_CONF),
    setting!("ip_nonlocal_bind", 0),
]);
static IPV6_CONF: Directory = fixed(&[dir("all", &IPV6_ONE), dir("default", &IPV6_ONE)]);
static IPV6_ONE: Directory = fixed(&[
    setting!("disable_ipv6", 0),
    setting!("forwarding", 0),
    setting!("hop_limit", 64),
]);
static UNIX: Directory = fixed(&[setting!("max_dgram_qlen", 10)]);
