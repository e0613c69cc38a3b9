//! The files that have a line for each socket.
use super::Text;
use crate::address::UnixName;
use crate::inet::{InetProtocol, SocketEntry, TcpState};
use crate::network::Network;
use crate::unix::UnixEntry;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

/// Lines of the IPv4 files have one length, their header too (`seq_pad` of Linux).
const TCP_WIDTH: usize = 149;
const DATAGRAM_WIDTH: usize = 127;
const V4: &str = "local_address rem_address   ";
const V6: &str = "local_address                         remote_address                        ";
const COLUMNS: &str = "st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
/// The addresses of kernel objects are nobody's business (`kptr_restrict`).
const POINTER: &str = "0000000000000000";
/// `__SO_ACCEPTCON`
const ACCEPTS: u32 = 0x10000;

impl Network {
    pub(super) fn show_packet(&self, out: &mut Text<'_>) {
        put!(
            out,
            "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n"
        );
        for one in self.packet_sockets() {
            let running = u8::from(one.protocol != 0);
            put!(
                out,
                "0000000000000000 3      {:<4} {:04x}   {:<5} {running} {:<6} {:<6} {:<6}\n",
                one.kind,
                one.protocol,
                one.interface,
                one.used,
                one.uid,
                one.inode
            );
        }
    }

    fn entries(&self, protocol: InetProtocol, v6: bool) -> Vec<SocketEntry> {
        let mut entries = self.inet_sockets();
        entries.retain(|entry| entry.protocol == protocol && entry.v6 == v6);
        // As on Linux, those that listen come first.
        entries.sort_by_key(|entry| !is_listening(entry));
        entries
    }

    pub(super) fn show_tcp(&self, v6: bool, out: &mut Text<'_>) {
        let (addresses, width) = if v6 { (V6, 0) } else { (V4, TCP_WIDTH) };
        line(out, width, &alloc::format!("  sl  {addresses}{COLUMNS}"));
        for (number, entry) in self.entries(InetProtocol::Tcp, v6).iter().enumerate() {
            // Timeouts, window and threshold as those of a connection that has nothing to wait for.
            let rest = if is_listening(entry) {
                "100 0 0 10 0"
            } else {
                "20 4 30 10 -1"
            };
            let text = common(&alloc::format!("{number:4}"), entry);
            line(out, width, &alloc::format!("{text} 1 {POINTER} {rest}"));
        }
    }

    /// UDP, ping and raw sockets.
    pub(super) fn show_datagrams(&self, protocol: InetProtocol, v6: bool, out: &mut Text<'_>) {
        let raw = protocol == InetProtocol::Raw;
        let (addresses, width) = match (v6, raw) {
            (true, _) => (V6, 0),
            (false, true) => (V4, 0),
            (false, false) => (V4, DATAGRAM_WIDTH),
        };
        let start = match (protocol, v6) {
            (InetProtocol::Udp, false) => "   sl  ",
            _ => "  sl  ",
        };
        let header = alloc::format!("{start}{addresses}{COLUMNS} ref pointer drops");
        line(out, width, &header);
        for (number, entry) in self.entries(protocol, v6).iter().enumerate() {
            let number = if raw && !v6 {
                alloc::format!("{number:4}")
            } else {
                alloc::format!("{number:5}")
            };
            let text = common(&number, entry);
            let drops = entry.drops;
            line(out, width, &alloc::format!("{text} 2 {POINTER} {drops}"));
        }
    }

    pub(super) fn show_unix(&self, out: &mut Text<'_>) {
        put!(
            out,
            "Num       RefCount Protocol Flags    Type St Inode Path\n"
        );
        for entry in self.unix_sockets() {
            let flags = if entry.is_listening { ACCEPTS } else { 0 };
            let references = if entry.is_connected { 3 } else { 2 };
            put!(
                out,
                "{POINTER}: {references:08X} {:08X} {flags:08X} {:04X} {:02X} {:5}",
                0,
                entry.kind.value(),
                state(&entry),
                entry.inode
            );
            match &entry.name {
                UnixName::Unnamed => {}
                UnixName::Path(path) => {
                    out.0.push(b' ');
                    out.0.extend_from_slice(path);
                }
                UnixName::Abstract(name) => {
                    let shown = |byte: &u8| if *byte == 0 { b'@' } else { *byte };
                    out.0.extend_from_slice(b" @");
                    out.0.extend(name.iter().map(shown));
                }
            }
            out.0.push(b'\n');
        }
    }
}

/// `SS_*` of linux/net.h; one that waits for accept(2) has no socket yet, and is "connecting".
fn state(entry: &UnixEntry) -> u32 {
    match (entry.is_connected, entry.inode) {
        (false, _) => 1,
        (true, 0) => 2,
        (true, _) => 3,
    }
}

pub(super) fn is_listening(entry: &SocketEntry) -> bool {
    entry.protocol == InetProtocol::Tcp && entry.state == TcpState::Listen as u8
}

fn line(out: &mut Text<'_>, width: usize, text: &str) {
    put!(out, "{text:<width$}\n");
}

/// What all lines begin with, up to the inode.
fn common(number: &str, entry: &SocketEntry) -> String {
    let sent = if is_listening(entry) {
        0
    } else {
        entry.send_queue
    };
    alloc::format!(
        "{number}: {} {} {:02X} {sent:08X}:{:08X} 00:00000000 00000000 {:5} {:8} {}",
        address(entry.local),
        address(entry.remote),
        entry.state,
        entry.receive_queue,
        entry.uid,
        0,
        entry.inode
    )
}

/// Words of 32 bits in the byte order of the machine.
fn address(address: SocketAddr) -> String {
    let mut text = String::new();
    let mut words = |octets: &[u8]| {
        for word in octets.as_chunks::<4>().0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{:08X}", u32::from_ne_bytes(*word));
        }
    };
    match address.ip() {
        IpAddr::V4(ip) => words(&ip.octets()),
        IpAddr::V6(ip) => words(&ip.octets()),
    }
    let _ = write!(text, ":{:04X}", address.port());
    text
}
