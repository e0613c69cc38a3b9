//! Socket addresses: `struct sockaddr_*` as a type, from and to the bytes that programs use.
use crate::Result;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_UNSPEC};

/// `sizeof(struct sockaddr_un) - offsetof(sun_path)`
const PATH_ROOM: usize = 108;

/// The name of a Unix socket, see unix(7).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum UnixName {
    Unnamed,
    /// Without the final NUL.
    Path(Vec<u8>),
    /// Without the leading NUL.
    Abstract(Vec<u8>),
}

/// `struct sockaddr_ll`, all in host byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkAddress {
    pub protocol: u16,
    pub index: i32,
    pub hardware_type: u16,
    pub packet_type: u8,
    pub length: u8,
    pub address: [u8; 8],
}

/// An address of any family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// `AF_UNSPEC`: connect(2) dissolves the association.
    Unspecified,
    Unix(UnixName),
    Inet(SocketAddr),
    Netlink {
        pid: u32,
        groups: u32,
    },
    Link(LinkAddress),
}

/// The bytes of a `struct sockaddr`.
#[derive(Clone, Copy, Debug)]
pub struct RawAddress {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl RawAddress {
    /// `sizeof(struct sockaddr_storage)`
    pub const MAX: usize = 128;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::MAX],
            len: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(bytes);
            self.len = end;
        }
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

/// The `N` bytes at `at`. `EINVAL`: the address is too short.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(Errno::EINVAL)
}

impl Address {
    /// From what a program gave. `EINVAL`: too short for its family; `EAFNOSUPPORT`: a family that no socket here has.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let family = u32::from(u16::from_ne_bytes(field(bytes, 0)?));
        match family {
            AF_UNSPEC => Ok(Self::Unspecified),
            AF_UNIX => Self::parse_unix(bytes.get(2..).unwrap_or(&[])),
            AF_INET => {
                // All of `struct sockaddr_in`, though only its first half says something.
                let _: [u8; 16] = field(bytes, 0)?;
                let ip = Ipv4Addr::from(field::<4>(bytes, 4)?);
                let port = u16::from_be_bytes(field(bytes, 2)?);
                Ok(Self::Inet(SocketAddrV4::new(ip, port).into()))
            }
            AF_INET6 => {
                let ip = Ipv6Addr::from(field::<16>(bytes, 8)?);
                let port = u16::from_be_bytes(field(bytes, 2)?);
                let flow = u32::from_be_bytes(field(bytes, 4)?);
                // RFC 2133's address has no scope.
                let scope = field(bytes, 24).map_or(0, u32::from_ne_bytes);
                Ok(Self::Inet(SocketAddrV6::new(ip, port, flow, scope).into()))
            }
            AF_NETLINK => Ok(Self::Netlink {
                pid: u32::from_ne_bytes(field(bytes, 4)?),
                groups: u32::from_ne_bytes(field(bytes, 8)?),
            }),
            AF_PACKET => Ok(Self::Link(LinkAddress {
                protocol: u16::from_be_bytes(field(bytes, 2)?),
                index: i32::from_ne_bytes(field(bytes, 4)?),
                hardware_type: u16::from_ne_bytes(field(bytes, 8)?),
                packet_type: u8::from_ne_bytes(field(bytes, 10)?),
                length: u8::from_ne_bytes(field(bytes, 11)?),
                address: field(bytes, 12)?,
            })),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    fn parse_unix(path: &[u8]) -> Result<Self> {
        if path.len() > PATH_ROOM {
            return Err(Errno::EINVAL);
        }
        Ok(Self::Unix(match path {
            [] => UnixName::Unnamed,
            [0, name @ ..] => UnixName::Abstract(name.to_vec()),
            _ => {
                let end = path.iter().position(|byte| *byte == 0);
                UnixName::Path(
                    path.get(..end.unwrap_or(path.len()))
                        .unwrap_or(&[])
                        .to_vec(),
                )
            }
        }))
    }

    /// As a program gets it.
    #[must_use]
    pub fn encode(&self) -> RawAddress {
        let mut raw = RawAddress::new();
        let mut family = |family: u32| raw.push(&(family as u16).to_ne_bytes());
        match self {
            Self::Unspecified => family(AF_UNSPEC),
            Self::Unix(name) => {
                family(AF_UNIX);
                match name {
                    UnixName::Unnamed => {}
                    UnixName::Abstract(name) => {
                        raw.push(&[0]);
                        raw.push(name);
                    }
                    UnixName::Path(path) => {
                        raw.push(path);
                        raw.push(&[0]);
                    }
                }
            }
            Self::Inet(SocketAddr::V4(address)) => {
                family(AF_INET);
                raw.push(&address.port().to_be_bytes());
                raw.push(&address.ip().octets());
                raw.push(&[0; 8]);
            }
            Self::Inet(SocketAddr::V6(address)) => {
                family(AF_INET6);
                raw.push(&address.port().to_be_bytes());
                raw.push(&address.flowinfo().to_be_bytes());
                raw.push(&address.ip().octets());
                raw.push(&address.scope_id().to_ne_bytes());
            }
            Self::Netlink { pid, groups } => {
                family(AF_NETLINK);
                raw.push(&[0; 2]);
                raw.push(&pid.to_ne_bytes());
                raw.push(&groups.to_ne_bytes());
            }
            Self::Link(link) => {
                family(AF_PACKET);
                raw.push(&link.protocol.to_be_bytes());
                raw.push(&link.index.to_ne_bytes());
                raw.push(&link.hardware_type.to_ne_bytes());
                raw.push(&[link.packet_type, link.length]);
                raw.push(&link.address);
            }
        }
        raw
    }
}
