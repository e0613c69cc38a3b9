//! Options of the levels that all these sockets have: `SOL_SOCKET`, `IPPROTO_IP`, `IPPROTO_IPV6`.
use super::*;
use crate::env::Env;
use crate::inet::ip::Family;
use crate::inet::own::LOOPBACK_INDEX;
use crate::inet::tcp::info::LOOPBACK_MTU;
use crate::network::Network;
use core::net::{IpAddr, Ipv4Addr};
use linux_abi::Capability;
use linux_abi::raw::net::*;
use spin::Mutex;

/// `IFNAMSIZ`
const NAME_ROOM: usize = 16;
/// `IPV6_MIN_MTU`
const MTU6_MIN: i32 = 1280;
/// The two low bits of the type of service are the stack's own with TCP.
const ECN_MASK: i32 = 3;

/// The socket whose option is meant.
pub(crate) struct Common<'a> {
    pub network: &'a Network,
    pub family: Family,
    pub stream: bool,
    pub options: &'a Mutex<Options>,
    /// It has a local port.
    pub is_bound: bool,
    /// The address that it is connected to.
    pub remote: Option<IpAddr>,
}

impl Common<'_> {
    /// setsockopt(2). Answers which slot has changed.
    pub(crate) fn set(&self, level: u32, name: u32, value: &[u8], env: &dyn Env) -> Result<Slot> {
        match level {
            SOL_SOCKET => self.set_socket(name, value, env),
            SOL_IP => self.set_ip(name, value, env),
            SOL_IPV6 if self.family == Family::V6 => self.set_ipv6(name, value, env),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// getsockopt(2)
    pub(crate) fn get(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>> {
        match level {
            SOL_SOCKET => self.get_socket(name),
            SOL_IP => self.get_ip(name).map(|value| match value {
                Ok(value) => shortened(value, argument.len()),
                Err(bytes) => bytes,
            }),
            SOL_IPV6 if self.family == Family::V6 => self.get_ipv6(name).map(answer),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    fn set_row(&self, table: &'static [Row], name: u32, value: i32, env: &dyn Env) -> Result<Slot> {
        let row = find(table, name).ok_or(Errno::ENOPROTOOPT)?;
        let mut options = self.options.lock();
        options.set_row(row, value, env.can(Capability::NET_ADMIN))?;
        Ok(row.slot)
    }

    fn put(&self, slot: Slot, value: i32) -> Result<Slot> {
        self.options.lock().set(slot, value);
        Ok(slot)
    }

    fn get_row(&self, table: &'static [Row], name: u32) -> Result<i32> {
        let row = find(table, name).ok_or(Errno::ENOPROTOOPT)?;
        Ok(self.options.lock().get_row(row))
    }

    fn set_socket(&self, name: u32, value: &[u8], env: &dyn Env) -> Result<Slot> {
        let number = || int(value);
        match name {
            SO_BINDTODEVICE => self.bind_to_device(value, env),
            SO_LINGER => {
                let seconds = int(value.get(4..).unwrap_or(&[]))?;
                let on = number()? != 0;
                let mut options = self.options.lock();
                options.set(Slot::LingerOn, i32::from(on));
                if on {
                    options.set(Slot::LingerSeconds, seconds);
                }
                Ok(Slot::LingerOn)
            }
            SO_SNDBUF => self.put(Slot::SendBuffer, buffer_size(number()?, false, false)),
            SO_RCVBUF => self.put(Slot::ReceiveBuffer, buffer_size(number()?, true, false)),
            SO_SNDBUFFORCE | SO_RCVBUFFORCE if !env.can(Capability::NET_ADMIN) => Err(Errno::EPERM),
            SO_SNDBUFFORCE => self.put(Slot::SendBuffer, buffer_size(number()?, false, true)),
            SO_RCVBUFFORCE => self.put(Slot::ReceiveBuffer, buffer_size(number()?, true, true)),
            SO_PRIORITY | SO_BUSY_POLL => {
                let privileged = env.can(Capability::NET_ADMIN);
                set_privileged(&mut self.options.lock(), name, number()?, privileged)?;
                Ok(Slot::Priority)
            }
            SO_TIMESTAMP_OLD | SO_TIMESTAMPNS_OLD => {
                timestamps(&mut self.options.lock(), name, Some(number()? != 0));
                Ok(Slot::Timestamps)
            }
            SO_RCVLOWAT => {
                let value = match number()? {
                    0 => 1,
                    value if value < 0 => i32::MAX,
                    value => value,
                };
                self.put(Slot::ReceiveLowWater, value)
            }
            _ => match missing(name) {
                Some(what) => {
                    env.unsupported_part(what);
                    Err(Errno::ENOPROTOOPT)
                }
                None => {
                    find(SOCKET, name).ok_or(Errno::ENOPROTOOPT)?;
                    self.set_row(SOCKET, name, number()?, env)
                }
            },
        }
    }

    fn bind_to_device(&self, value: &[u8], env: &dyn Env) -> Result<Slot> {
        let name = value.split(|byte| *byte == 0).next().unwrap_or(&[]);
        let name = name.get(..NAME_ROOM - 1).unwrap_or(name);
        // Anybody may choose an interface, but only the privileged choose again.
        if self.options.lock().is_set(Slot::Device) && !env.can(Capability::NET_RAW) {
            return Err(Errno::EPERM);
        }
        let index = if name.is_empty() {
            0
        } else {
            self.network.device_named(name).ok_or(Errno::ENODEV)?
        };
        self.put(Slot::Device, index.cast_signed())
    }

    fn get_socket(&self, name: u32) -> Result<Vec<u8>> {
        let options = self.options.lock();
        let value = match name {
            SO_LINGER => {
                let mut linger = answer(options.get(Slot::LingerOn));
                linger.extend(answer(options.get(Slot::LingerSeconds)));
                return Ok(linger);
            }
            SO_BINDTODEVICE => {
                let device = options.get(Slot::Device).cast_unsigned();
                drop(options);
                let mut name = self.network.device_name(device);
                if !name.is_empty() {
                    name.push(0);
                }
                return Ok(name);
            }
            SO_SNDBUF => self.buffer(options.get(Slot::SendBuffer), 16 * 1024),
            SO_RCVBUF => self.buffer(options.get(Slot::ReceiveBuffer), 128 * 1024),
            SO_PRIORITY => options.get(Slot::Priority),
            SO_BUSY_POLL => options.get(Slot::BusyPoll),
            SO_TIMESTAMP_OLD | SO_TIMESTAMPNS_OLD => {
                drop(options);
                timestamps(&mut self.options.lock(), name, None)
            }
            _ => {
                drop(options);
                self.get_row(SOCKET, name)?
            }
        };
        Ok(answer(value))
    }

    /// What a buffer's size is shown as that nobody has set: /proc/sys/net/ipv4/tcp_?mem, /proc/sys/net/core/?mem_default.
    const fn buffer(&self, set: i32, tcp: i32) -> i32 {
        match (set, self.stream) {
            (0, true) => tcp,
            (0, false) => 212_992,
            _ => set,
        }
    }

    fn set_ip(&self, name: u32, value: &[u8], env: &dyn Env) -> Result<Slot> {
        let number = || int_or_byte(value);
        match name {
            IP_TTL => match number()? {
                value @ (-1 | 1..=255) => self.put(Slot::Ttl, value),
                _ => Err(Errno::EINVAL),
            },
            IP_TOS => {
                let mut value = number()? & 0xff;
                if self.stream {
                    value &= !ECN_MASK;
                }
                self.put(Slot::Tos, value)
            }
            IP_MULTICAST_TTL | IP_MULTICAST_IF if self.stream => Err(Errno::EINVAL),
            IP_MULTICAST_TTL => match number()? {
                -1 => self.put(Slot::MulticastTtl, 1),
                value @ 0..=255 => self.put(Slot::MulticastTtl, value),
                _ => Err(Errno::EINVAL),
            },
            IP_MULTICAST_IF => self.set_multicast_interface(value),
            IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP | MCAST_JOIN_GROUP | MCAST_LEAVE_GROUP
                if self.stream =>
            {
                Err(Errno::EPROTO)
            }
            IP_OPTIONS if value.is_empty() => Ok(Slot::NoCheck),
            IP_OPTIONS => {
                env.unsupported_part("IP_OPTIONS");
                Err(Errno::ENOPROTOOPT)
            }
            _ => {
                find(IP, name).ok_or(Errno::ENOPROTOOPT)?;
                self.set_row(IP, name, number()?, env)
            }
        }
    }

    /// A `struct in_addr`, `ip_mreq` or `ip_mreqn`: an interface by its address or its index.
    fn set_multicast_interface(&self, value: &[u8]) -> Result<Slot> {
        let address = |at: usize| -> Result<Ipv4Addr> {
            let bytes: Option<&[u8; 4]> = value.get(at..).and_then(<[u8]>::first_chunk);
            bytes
                .map(|bytes| Ipv4Addr::from(*bytes))
                .ok_or(Errno::EINVAL)
        };
        let ip = if value.len() >= 8 {
            address(4)?
        } else {
            address(0)?
        };
        let index = value.get(8..).and_then(<[u8]>::first_chunk);
        let index = index.map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let interface = match (index, ip.is_unspecified()) {
            (0, true) => 0,
            (0, false) => match self.network.interface_of(IpAddr::V4(ip)) {
                0 => return Err(Errno::EADDRNOTAVAIL),
                known => known,
            },
            (index, _) if self.network.device_name(index).is_empty() => {
                return Err(Errno::EADDRNOTAVAIL);
            }
            (index, _) => index,
        };
        self.put(Slot::MulticastInterface, interface.cast_signed())
    }

    /// A number, or (as the error) other bytes.
    fn get_ip(&self, name: u32) -> Result<core::result::Result<i32, Vec<u8>>> {
        let get = |slot| self.options.lock().get(slot);
        Ok(Ok(match name {
            IP_TTL => i32::from(self.options.lock().hop_limit(false)),
            IP_MULTICAST_TTL => get(Slot::MulticastTtl),
            IP_MULTICAST_IF => {
                let interface = get(Slot::MulticastInterface).cast_unsigned();
                let address = match interface {
                    0 => None,
                    _ => self.network.address_of(interface, Family::V4),
                };
                return Ok(Err(match address {
                    Some(IpAddr::V4(v4)) => v4.octets().to_vec(),
                    _ => alloc::vec![0; 4],
                }));
            }
            IP_MTU => self.mtu()?,
            IP_OPTIONS => return Ok(Err(Vec::new())),
            _ => self.get_row(IP, name)?,
        }))
    }

    /// Of the way to the peer. `ENOTCONN`
    fn mtu(&self) -> Result<i32> {
        let remote = self.remote.ok_or(Errno::ENOTCONN)?;
        if self.network.is_own(remote) {
            // `IP_MAX_MTU`
            let limit = if remote.is_ipv4() {
                0xffff
            } else {
                LOOPBACK_MTU
            };
            return Ok(limit.cast_signed());
        }
        let interfaces = self.network.uplink().map(|uplink| uplink.interfaces());
        let first = interfaces
            .iter()
            .flatten()
            .find(|i| i.index != LOOPBACK_INDEX);
        Ok(first.map_or(1500, |interface| interface.mtu.cast_signed()))
    }

    fn set_ipv6(&self, name: u32, value: &[u8], env: &dyn Env) -> Result<Slot> {
        match name {
            IPV6_V6ONLY if self.is_bound => return Err(Errno::EINVAL),
            IPV6_MULTICAST_HOPS | IPV6_MULTICAST_IF if self.stream => {
                return Err(Errno::ENOPROTOOPT);
            }
            IPV6_ADD_MEMBERSHIP | IPV6_DROP_MEMBERSHIP | MCAST_JOIN_GROUP | MCAST_LEAVE_GROUP
                if self.stream =>
            {
                return Err(Errno::EPROTO);
            }
            IPV6_MULTICAST_IF => {
                let index = int(value)?;
                let exists = !self.network.device_name(index.cast_unsigned()).is_empty();
                return if index == 0 || exists {
                    self.put(Slot::MulticastInterface6, index)
                } else {
                    Err(Errno::ENODEV)
                };
            }
            IPV6_MTU => {
                return match int(value)? {
                    value if value != 0 && value < MTU6_MIN => Err(Errno::EINVAL),
                    value => self.put(Slot::Mtu6, value),
                };
            }
            _ => {}
        }
        find(IPV6, name).ok_or(Errno::ENOPROTOOPT)?;
        self.set_row(IPV6, name, int(value)?, env)
    }

    fn get_ipv6(&self, name: u32) -> Result<i32> {
        let get = |slot| self.options.lock().get(slot);
        Ok(match name {
            IPV6_UNICAST_HOPS => i32::from(self.options.lock().hop_limit(true)),
            IPV6_MULTICAST_HOPS => match get(Slot::MulticastHops6) {
                -1 => 1,
                value => value,
            },
            IPV6_TCLASS => i32::from(self.options.lock().traffic_class(true)),
            IPV6_MULTICAST_IF => get(Slot::MulticastInterface6),
            IPV6_MTU => self.mtu()?,
            _ => self.get_row(IPV6, name)?,
        })
    }
}

/// A small value fits a buffer that is shorter than an `int`.
fn shortened(value: i32, room: usize) -> Vec<u8> {
    match u8::try_from(value) {
        Ok(byte) if (1..4).contains(&room) => alloc::vec![byte],
        _ => answer(value),
    }
}

/// Options of `SOL_SOCKET` that would have to do something, and do not.
const fn missing(name: u32) -> Option<&'static str> {
    Some(match name {
        SO_ZEROCOPY => "SO_ZEROCOPY",
        SO_ATTACH_FILTER => "SO_ATTACH_FILTER",
        SO_ATTACH_BPF => "SO_ATTACH_BPF",
        SO_ATTACH_REUSEPORT_CBPF => "SO_ATTACH_REUSEPORT_CBPF",
        SO_ATTACH_REUSEPORT_EBPF => "SO_ATTACH_REUSEPORT_EBPF",
        SO_MAX_PACING_RATE => "SO_MAX_PACING_RATE",
        SO_PEEK_OFF => "SO_PEEK_OFF",
        SO_TIMESTAMPING_OLD => "SO_TIMESTAMPING",
        SO_TXTIME => "SO_TXTIME",
        _ => return None,
    })
}
