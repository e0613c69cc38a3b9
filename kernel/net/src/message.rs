//! Messages, as sendmsg(2) and recvmsg(2) have them.
use crate::address::Address;
use crate::env::Ucred;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use vfs::{File, Source};

/// A control message, see cmsg(3).
#[derive(Clone)]
pub enum Control {
    /// `SCM_RIGHTS`
    Rights(Vec<Arc<File>>),
    /// `SCM_CREDENTIALS`
    Credentials(Ucred),
    /// `IP_PKTINFO`, `IPV6_PKTINFO`: interface, the packet's destination; for IPv4 also the local address (`ipi_spec_dst`).
    PacketInfo {
        index: u32,
        address: IpAddr,
        local: Ipv4Addr,
    },
    /// `IP_TTL`, `IPV6_HOPLIMIT`
    HopLimit { v6: bool, value: i32 },
    /// `IP_TOS`, `IPV6_TCLASS`
    TrafficClass { v6: bool, value: i32 },
    /// `SO_TIMESTAMP` (`nanoseconds`: `SO_TIMESTAMPNS`): CLOCK_REALTIME in ns.
    Timestamp { nanoseconds: bool, at: u64 },
    /// `IP_RECVERR`, `IPV6_RECVERR`: `struct sock_extended_err` and the offender.
    Error {
        v6: bool,
        errno: u32,
        origin: u8,
        kind: u8,
        code: u8,
        offender: Option<IpAddr>,
    },
    /// `PACKET_AUXDATA`: the packet's length, how much of it the filter kept, where its network header is.
    PacketAuxiliary {
        status: u32,
        length: u32,
        kept: u32,
        network: u16,
    },
    /// `SO_RXQ_OVFL`
    Dropped(u32),
}

/// What is sent.
pub struct Outgoing<'a> {
    pub source: &'a mut dyn Source,
    pub to: Option<Address>,
    pub control: Vec<Control>,
    /// `MSG_*` flags.
    pub flags: u32,
}

/// What was received, besides the bytes, which are in the sink.
#[derive(Default)]
pub struct Received {
    /// How many bytes were put into the sink.
    pub count: usize,
    /// The length of the datagram, all of it; for streams the same as `count`.
    pub full_length: usize,
    pub from: Option<Address>,
    pub control: Vec<Control>,
    /// `MSG_TRUNC`, `MSG_EOR`, `MSG_OOB`, `MSG_ERRQUEUE` as they apply.
    pub flags: u32,
}
