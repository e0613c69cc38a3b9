use super::parts::{Part, Parts};
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use linux_abi::raw::net::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, IP_PKTINFO, IP_TOS, IP_TTL, IPV6_HOPLIMIT,
    IPV6_PKTINFO, IPV6_TCLASS, SCM_CREDENTIALS, SCM_RIGHTS, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_UDP,
};
use linux_abi::zerocopy::FromBytes;
use linux_abi::{Capability, Errno, In6Pktinfo, InPktinfo, UserCredentials};
use net::{Control, Socket, SocketType, Ucred};

/// The default of /proc/sys/net/core/optmem_max.
const MOST: u64 = 20480;
/// `SCM_MAX_FD`
const MOST_FILES: usize = 253;
/// Buffers up to this length are read without an allocation.
const SHORT: usize = 256;
/// `UDP_SEGMENT`
const UDP_SEGMENT: u32 = 103;

/// Reads the control messages of a message that is to be sent.
pub(in crate::sys::sockets) fn read<K: Kernel>(
    k: &K,
    socket: &Socket,
    from: UserPtr<u8>,
    len: u64,
) -> Result<Vec<Control>, Errno> {
    if len == 0 {
        return Ok(Vec::new());
    }
    if len > MOST {
        return Err(Errno::ENOBUFS);
    }
    let mut short = [0; SHORT];
    let mut long;
    let bytes = match short.get_mut(..len as usize) {
        Some(short) => short,
        None => {
            long = vec![0; len as usize];
            long.as_mut_slice()
        }
    };
    from.read_slice(k, bytes)?;
    decode(k, socket, bytes)
}

fn decode<K: Kernel>(k: &K, socket: &Socket, bytes: &[u8]) -> Result<Vec<Control>, Errno> {
    let mut found = Vec::new();
    for part in Parts(bytes) {
        let part = part?;
        let family = socket.ops().family();
        // TCP knows messages of the socket level only, and does nothing with them here.
        let datagrams = socket.ops().kind() != SocketType::Stream;
        match (family, part.level) {
            (AF_UNIX | AF_NETLINK, SOL_SOCKET) => rights(k, family, &part, &mut found)?,
            (AF_INET | AF_INET6, SOL_SOCKET) => of_no_family(k, &part)?,
            (AF_INET | AF_INET6, SOL_UDP) if datagrams => of_udp(k, &part)?,
            (AF_INET, SOL_IP) if datagrams => found.extend(of_ip(k, &part)?),
            // One for IPv4 may go with a datagram to a mapped address.
            (AF_INET | AF_INET6, SOL_IPV6) if datagrams => found.extend(of_ipv6(k, &part)?),
            _ => {}
        }
    }
    Ok(found)
}

/// What a socket that is not a Unix one ignores, and what it would have to do something for.
fn of_no_family<K: Kernel>(k: &K, part: &Part<'_>) -> Result<(), Errno> {
    match part.kind {
        SCM_RIGHTS | SCM_CREDENTIALS => Ok(()),
        _ => unknown(k, "sendmsg: SO_MARK, SCM_TXTIME, SCM_TIMESTAMPING"),
    }
}

fn of_udp<K: Kernel>(k: &K, part: &Part<'_>) -> Result<(), Errno> {
    match part.kind {
        UDP_SEGMENT => unknown(k, "sendmsg: UDP_SEGMENT"),
        _ => Err(Errno::EINVAL),
    }
}

fn unknown<K: Kernel>(k: &K, what: &'static str) -> Result<(), Errno> {
    k.unsupported_part(what);
    Err(Errno::EINVAL)
}

fn rights<K: Kernel>(
    k: &K,
    family: u32,
    part: &Part<'_>,
    found: &mut Vec<Control>,
) -> Result<(), Errno> {
    match part.kind {
        SCM_RIGHTS if family == AF_UNIX => add_files(k, part.data, found),
        SCM_CREDENTIALS => {
            let raw = UserCredentials::read_from_bytes(part.data).map_err(|_| Errno::EINVAL)?;
            found.push(Control::Credentials(claim(k, raw)?));
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Several messages of files are one.
fn add_files<K: Kernel>(k: &K, data: &[u8], found: &mut Vec<Control>) -> Result<(), Errno> {
    let (words, _) = data.as_chunks::<4>();
    if words.is_empty() {
        return Ok(());
    }
    let before = found.iter_mut().find_map(|control| match control {
        Control::Rights(files) => Some(files),
        _ => None,
    });
    let mut new = Vec::new();
    let files = match before {
        Some(files) => files,
        None => &mut new,
    };
    if files.len() + words.len() > MOST_FILES {
        return Err(Errno::EINVAL);
    }
    for word in words {
        files.push(k.files().get(i32::from_ne_bytes(*word))?);
    }
    if !new.is_empty() {
        found.push(Control::Rights(new));
    }
    Ok(())
}

/// Who is not privileged may only claim to be itself, by any of its ids.
fn claim<K: Kernel>(k: &K, raw: UserCredentials) -> Result<Ucred, Errno> {
    let UserCredentials { pid, uid, gid } = raw;
    let allowed = k.process().with_identity(|id| {
        (pid == k.getpid() || id.can(Capability::SYS_ADMIN))
            && ([id.ruid, id.euid, id.suid].contains(&uid) || id.can(Capability::SETUID))
            && ([id.rgid, id.egid, id.sgid].contains(&gid) || id.can(Capability::SETGID))
    });
    if !allowed {
        return Err(Errno::EPERM);
    }
    if !k.process_exists(pid) {
        return Err(Errno::ESRCH);
    }
    Ok(Ucred { pid, uid, gid })
}

fn of_ip<K: Kernel>(k: &K, part: &Part<'_>) -> Result<Option<Control>, Errno> {
    Ok(Some(match part.kind {
        IP_PKTINFO => {
            let info = InPktinfo::read_from_bytes(part.data).map_err(|_| Errno::EINVAL)?;
            Control::PacketInfo {
                index: info.ifindex as u32,
                address: Ipv4Addr::from(info.addr).into(),
                local: info.spec_dst.into(),
            }
        }
        IP_TTL => Control::HopLimit {
            v6: false,
            value: within(part.int()?, 1..=255)?,
        },
        IP_TOS => Control::TrafficClass {
            v6: false,
            value: match part.data {
                [one] => i32::from(*one),
                _ => within(part.int()?, 0..=255)?,
            },
        },
        _ => {
            k.unsupported_part("sendmsg: IP_RETOPTS, IP_PROTOCOL");
            return Err(Errno::EINVAL);
        }
    }))
}

fn of_ipv6<K: Kernel>(k: &K, part: &Part<'_>) -> Result<Option<Control>, Errno> {
    Ok(Some(match part.kind {
        IPV6_PKTINFO => {
            let info = In6Pktinfo::read_from_bytes(part.data).map_err(|_| Errno::EINVAL)?;
            Control::PacketInfo {
                index: info.ifindex,
                address: IpAddr::V6(Ipv6Addr::from(info.addr)),
                local: Ipv4Addr::UNSPECIFIED,
            }
        }
        IPV6_HOPLIMIT | IPV6_TCLASS => {
            // -1 is the default.
            let value = within(part.int()?, -1..=255)?;
            match (part.kind, value) {
                (_, -1) => return Ok(None),
                (IPV6_HOPLIMIT, value) => Control::HopLimit { v6: true, value },
                (_, value) => Control::TrafficClass { v6: true, value },
            }
        }
        _ => {
            k.unsupported_part("sendmsg: extension headers of IPv6");
            return Err(Errno::EINVAL);
        }
    }))
}

fn within(value: i32, range: core::ops::RangeInclusive<i32>) -> Result<i32, Errno> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(Errno::EINVAL)
    }
}
