//! Socket options as numbers in slots, and the tables that say which name has which slot.
mod common;
mod ip_level;
mod ipv6_level;
mod socket_level;
mod tcp_level;

pub(crate) use common::Common;
pub(crate) use ip_level::IP;
pub(crate) use ipv6_level::IPV6;
pub(crate) use socket_level::{SOCKET, buffer_size, set_privileged, timestamps};
pub(crate) use tcp_level::{TCP, retransmission_seconds};

use crate::Result;
use crate::uplink::StreamOption;
use alloc::vec::Vec;
use linux_abi::Errno;

macro_rules! slots {
    ($($(#[$about:meta])* $name:ident = $default:expr,)*) => {
        /// Where an option's value is kept.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum Slot { $($(#[$about])* $name,)* }

        const DEFAULTS: [i32; [$(Slot::$name,)*].len()] = [$($default,)*];
    };
}

slots! {
    // SOL_SOCKET
    ReuseAddress = 0,
    ReusePort = 0,
    KeepAlive = 0,
    Broadcast = 0,
    DontRoute = 0,
    OobInline = 0,
    NoCheck = 0,
    Priority = 0,
    Mark = 0,
    ReceiveLowWater = 1,
    IncomingCpu = -1,
    BusyPoll = 0,
    OverflowCount = 0,
    /// 0 none, 1 `SO_TIMESTAMP`, 2 `SO_TIMESTAMPNS`
    Timestamps = 0,
    LingerOn = 0,
    LingerSeconds = 0,
    /// The interface's index.
    Device = 0,
    /// As getsockopt(2) shows them: doubled. 0: never set, the protocol's default.
    SendBuffer = 0,
    ReceiveBuffer = 0,
    // IPPROTO_TCP
    NoDelay = 0,
    Cork = 0,
    MaxSegment = 0,
    KeepIdle = 7200,
    KeepInterval = 75,
    KeepCount = 9,
    SynCount = 6,
    Linger2 = 60,
    DeferAccept = 0,
    WindowClamp = 0,
    QuickAck = 1,
    UserTimeout = 0,
    NotSentLowWater = 0,
    ThinLinear = 0,
    ThinDupAck = 0,
    /// 0 cubic, 1 reno
    Congestion = 0,
    // IPPROTO_IP
    Tos = 0,
    Ttl = -1,
    ReceiveTtl = 0,
    ReceiveTos = 0,
    PacketInfo = 0,
    ReceiveErrors = 0,
    /// `IP_PMTUDISC_WANT`
    MtuDiscover = 1,
    FreeBind = 0,
    Transparent = 0,
    MinTtl = 0,
    ReceiveOptions = 0,
    ReturnOptions = 0,
    NoPortYet = 0,
    MulticastTtl = 1,
    MulticastLoop = 1,
    MulticastAll = 1,
    /// The interface's index, 0: the default route's.
    MulticastInterface = 0,
    // IPPROTO_IPV6
    V6Only = 0,
    UnicastHops = -1,
    MulticastHops6 = -1,
    MulticastLoop6 = 1,
    MulticastAll6 = 1,
    MulticastInterface6 = 0,
    TrafficClass = -1,
    ReceivePacketInfo6 = 0,
    ReceiveHopLimit = 0,
    ReceiveTrafficClass = 0,
    ReceiveErrors6 = 0,
    MtuDiscover6 = 1,
    Mtu6 = 0,
    DontFragment6 = 0,
    AutoFlowLabel = 1,
    FlowInfo = 0,
    FlowInfoSend = 0,
    ReceiveRoutingHeader = 0,
    ReceiveHopOptions = 0,
    ReceiveDestinationOptions = 0,
    // SOL_RAW
    Checksum6 = -1,
}

/// What values an option takes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Zero or not.
    Flag,
    /// 0 or 1, nothing else.
    Strict,
    /// In this range, or the error.
    Range(i32, i32, Errno),
    /// `CAP_NET_ADMIN` sets it.
    Privileged,
    /// Cannot be set; answers this.
    Fixed(i32),
}

/// A line of a level's table.
pub(crate) struct Row {
    pub name: u32,
    pub slot: Slot,
    pub kind: Kind,
}

pub(crate) const fn row(name: u32, slot: Slot, kind: Kind) -> Row {
    Row { name, slot, kind }
}

pub(crate) fn find(table: &'static [Row], name: u32) -> Option<&'static Row> {
    table.iter().find(|row| row.name == name)
}

/// The values of a socket's options.
#[derive(Clone)]
pub(crate) struct Options([i32; DEFAULTS.len()]);

impl Options {
    pub(crate) const fn new() -> Self {
        Self(DEFAULTS)
    }

    pub(crate) fn get(&self, slot: Slot) -> i32 {
        self.0.get(slot as usize).copied().unwrap_or(0)
    }

    pub(crate) fn is_set(&self, slot: Slot) -> bool {
        self.get(slot) != 0
    }

    pub(crate) fn set(&mut self, slot: Slot, value: i32) {
        if let Some(place) = self.0.get_mut(slot as usize) {
            *place = value;
        }
    }

    /// setsockopt(2) of an option that is in a table.
    pub(crate) fn set_row(&mut self, row: &Row, value: i32, privileged: bool) -> Result<()> {
        let value = match row.kind {
            Kind::Flag => i32::from(value != 0),
            Kind::Strict if !(0..=1).contains(&value) => return Err(Errno::EINVAL),
            Kind::Range(min, max, error) if !(min..=max).contains(&value) => return Err(error),
            Kind::Privileged if !privileged => return Err(Errno::EPERM),
            Kind::Fixed(_) => return Err(Errno::ENOPROTOOPT),
            _ => value,
        };
        self.set(row.slot, value);
        Ok(())
    }

    /// getsockopt(2) of it.
    pub(crate) fn get_row(&self, row: &Row) -> i32 {
        match row.kind {
            Kind::Fixed(value) => value,
            _ => self.get(row.slot),
        }
    }

    /// What the options of a slot mean to a stream of this IP version; none if it does not care.
    pub(crate) fn for_stream(&self, slot: Slot, v6: bool) -> Option<StreamOption> {
        let number = |slot| self.get(slot).max(0).cast_unsigned();
        Some(match slot {
            Slot::NoDelay => StreamOption::NoDelay(self.is_set(slot)),
            Slot::Cork => StreamOption::Cork(self.is_set(slot)),
            Slot::QuickAck => StreamOption::QuickAck(self.is_set(slot)),
            Slot::KeepAlive | Slot::KeepIdle | Slot::KeepInterval | Slot::KeepCount => {
                StreamOption::KeepAlive {
                    on: self.is_set(Slot::KeepAlive),
                    idle: number(Slot::KeepIdle),
                    interval: number(Slot::KeepInterval),
                    count: number(Slot::KeepCount),
                }
            }
            Slot::UserTimeout => StreamOption::UserTimeout(number(slot)),
            Slot::Ttl if !v6 => StreamOption::HopLimit(self.hop_limit(v6)),
            Slot::UnicastHops if v6 => StreamOption::HopLimit(self.hop_limit(v6)),
            Slot::Tos if !v6 => StreamOption::TrafficClass(self.traffic_class(v6)),
            Slot::TrafficClass if v6 => StreamOption::TrafficClass(self.traffic_class(v6)),
            Slot::SendBuffer => StreamOption::SendBuffer(number(slot) / 2),
            Slot::ReceiveBuffer => StreamOption::ReceiveBuffer(number(slot) / 2),
            Slot::MaxSegment => {
                StreamOption::MaxSegment(u16::try_from(number(slot)).unwrap_or(u16::MAX))
            }
            _ => return None,
        })
    }

    /// What a new stream must know: everything that is not as by default.
    pub(crate) fn changed_for_stream(&self, v6: bool) -> Vec<StreamOption> {
        const ALL: [Slot; 15] = [
            Slot::NoDelay,
            Slot::Cork,
            Slot::QuickAck,
            Slot::KeepAlive,
            Slot::UserTimeout,
            Slot::Ttl,
            Slot::UnicastHops,
            Slot::Tos,
            Slot::TrafficClass,
            Slot::SendBuffer,
            Slot::ReceiveBuffer,
            Slot::MaxSegment,
            Slot::KeepIdle,
            Slot::KeepInterval,
            Slot::KeepCount,
        ];
        let mut options: Vec<StreamOption> = Vec::new();
        for slot in ALL {
            let is_default = DEFAULTS.get(slot as usize) == Some(&self.get(slot));
            if let Some(option) = self.for_stream(slot, v6)
                && !is_default
                && !options.contains(&option)
            {
                options.push(option);
            }
        }
        options
    }

    /// The hop limit of unicast packets.
    pub(crate) fn hop_limit(&self, v6: bool) -> u8 {
        let slot = if v6 { Slot::UnicastHops } else { Slot::Ttl };
        u8::try_from(self.get(slot)).unwrap_or(DEFAULT_HOP_LIMIT)
    }

    pub(crate) fn traffic_class(&self, v6: bool) -> u8 {
        let slot = if v6 { Slot::TrafficClass } else { Slot::Tos };
        u8::try_from(self.get(slot)).unwrap_or(0)
    }
}

/// `IPDEFTTL`
pub(crate) const DEFAULT_HOP_LIMIT: u8 = 64;

/// An `int` as most levels want it. `EINVAL`: too short.
pub(crate) fn int(value: &[u8]) -> Result<i32> {
    value
        .first_chunk()
        .map(|bytes| i32::from_ne_bytes(*bytes))
        .ok_or(Errno::EINVAL)
}

/// An `int` or a single byte, as `IPPROTO_IP` wants it.
pub(crate) fn int_or_byte(value: &[u8]) -> Result<i32> {
    match (value.first_chunk(), value) {
        (Some(bytes), _) => Ok(i32::from_ne_bytes(*bytes)),
        (None, [byte, ..]) => Ok(i32::from(*byte)),
        (None, []) => Err(Errno::EINVAL),
    }
}

/// An answer of getsockopt(2) that is an `int`.
pub(crate) fn answer(value: i32) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}
