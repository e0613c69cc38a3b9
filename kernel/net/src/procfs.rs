//! The text of /proc/net, see proc(5).
use crate::inet::InetProtocol;
use crate::network::{Interface, Network};
use crate::route;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vfs::{NetFile, NetInterface};

/// Bytes that text is written to.
struct Text<'a>(&'a mut Vec<u8>);

impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends formatted text; this cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{
        let _ = write!($out, $($arg)*);
    }};
}

mod protocols;
mod sockets;
mod statistics;

pub use statistics::{SocketCounts, TcpSockets, UnixSockets};

impl Network {
    /// Appends what `file` says.
    pub fn show(&self, file: NetFile, out: &mut Vec<u8>) {
        let out = &mut Text(out);
        match file {
            NetFile::Arp => put!(
                out,
                "IP address       HW type     Flags       HW address            Mask     Device\n"
            ),
            NetFile::Dev => self.show_dev(out),
            NetFile::IfInet6 => self.show_if_inet6(out),
            NetFile::Ipv6Route => self.show_ipv6_route(out),
            NetFile::Route => self.show_route(out),
            NetFile::LocalPortRange => {
                let range = self.local_port_range();
                put!(out, "{}\t{}\n", range.start(), range.end());
            }
            NetFile::Netlink => put!(
                out,
                "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
            ),
            NetFile::Packet => self.show_packet(out),
            NetFile::Protocols => self.show_protocols(out),
            NetFile::Icmp => self.show_datagrams(InetProtocol::Icmp, false, out),
            NetFile::Icmp6 => self.show_datagrams(InetProtocol::Icmp, true, out),
            NetFile::Raw => self.show_datagrams(InetProtocol::Raw, false, out),
            NetFile::Raw6 => self.show_datagrams(InetProtocol::Raw, true, out),
            NetFile::Tcp => self.show_tcp(false, out),
            NetFile::Tcp6 => self.show_tcp(true, out),
            NetFile::Udp => self.show_datagrams(InetProtocol::Udp, false, out),
            NetFile::Udp6 => self.show_datagrams(InetProtocol::Udp, true, out),
            NetFile::Unix => self.show_unix(out),
            NetFile::Snmp => self.show_snmp(out),
            NetFile::Netstat => self.show_netstat(out),
            NetFile::Sockstat => self.show_sockstat(out),
            NetFile::Sockstat6 => self.show_sockstat6(out),
        }
    }

    /// The interfaces as /sys/class/net shows them.
    #[must_use]
    pub fn sysfs_interfaces(&self) -> Vec<NetInterface> {
        let plain = |one: Interface| NetInterface {
            name: one.name,
            index: one.index,
            flags: one.flags.bits(),
            mtu: one.mtu,
            hardware_type: one.hardware_type,
            hardware_address: one.hardware_address,
            received: one.received,
            sent: one.sent,
        };
        self.interfaces().into_iter().map(plain).collect()
    }

    fn show_dev(&self, out: &mut Text<'_>) {
        put!(
            out,
            "Inter-|   Receive                                                |  Transmit\n \
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
        );
        for one in self.interfaces() {
            let ([rp, rb, re, rd], [tp, tb, te, td]) = (one.received, one.sent);
            put!(
                out,
                "{:>6}: {rb:7} {rp:7} {re:4} {rd:4}    0     0          0         0 {tb:8} {tp:7} {te:4} {td:4}    0     0       0          0\n",
                one.name
            );
        }
    }

    fn title_of(&self, index: u32) -> alloc::string::String {
        let mut all = self.interfaces().into_iter();
        all.find(|one| one.index == index)
            .map(|one| one.name)
            .unwrap_or_default()
    }

    /// IPv4 routes that are not to the guest itself; addresses in the byte order of the machine.
    fn show_route(&self, out: &mut Text<'_>) {
        let mut line = |text: &str| put!(out, "{text:<127}\n");
        line("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
        let raw = |address: Ipv4Addr| u32::from_ne_bytes(address.octets());
        for one in route::table(&self.interfaces()) {
            let IpAddr::V4(destination) = one.destination else {
                continue;
            };
            if one.local {
                continue;
            }
            let gateway = match one.gateway {
                Some(IpAddr::V4(gateway)) => raw(gateway),
                _ => 0,
            };
            // RTF_UP, RTF_GATEWAY
            let flags = 1 | if gateway == 0 { 0 } else { 2 };
            line(&alloc::format!(
                "{}\t{:08X}\t{gateway:08X}\t{flags:04X}\t0\t0\t0\t{:08X}\t0\t0\t0",
                self.title_of(one.index),
                raw(destination),
                raw(route::netmask(one.prefix)),
            ));
        }
    }

    fn show_if_inet6(&self, out: &mut Text<'_>) {
        for one in self.interfaces() {
            for &(address, prefix) in &one.addresses {
                let IpAddr::V6(v6) = address else { continue };
                let scope = match v6 {
                    Ipv6Addr::LOCALHOST => 0x10,
                    v6 if v6.is_unicast_link_local() => 0x20,
                    _ => 0,
                };
                put!(
                    out,
                    "{:032x} {:02x} {prefix:02x} {scope:02x} 80 {:>8}\n",
                    v6.to_bits(),
                    one.index,
                    one.name
                );
            }
        }
    }

    fn show_ipv6_route(&self, out: &mut Text<'_>) {
        for one in route::table(&self.interfaces()) {
            let IpAddr::V6(destination) = one.destination else {
                continue;
            };
            let gateway = match one.gateway {
                Some(IpAddr::V6(gateway)) => gateway.to_bits(),
                _ => 0,
            };
            // RTF_UP, RTF_GATEWAY, RTF_LOCAL
            let flags = 1 | if gateway == 0 { 0 } else { 2 } | u32::from(one.local) << 31;
            put!(
                out,
                "{:032x} {:02x} {:032x} 00 {gateway:032x} 00000400 00000001 00000000 {flags:08x} {:>8}\n",
                destination.to_bits(),
                one.prefix,
                0,
                self.title_of(one.index)
            );
        }
    }
}
