//! The interface ioctls of netdevice(7), which work on every socket.
use crate::network::{Interface, Network};
use crate::route;
use crate::{Address, Env, Result};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use linux_abi::raw::ioctl as raw;
use linux_abi::{Capability, Errno};
use vfs::UserMemory;

/// `IFNAMSIZ`
const NAME: usize = 16;
/// `sizeof(struct ifreq)`
const IFREQ: usize = 40;
/// The commands that netdevice(7) has: 0x8910 to 0x8970.
const COMMANDS: core::ops::RangeInclusive<u32> = 0x8910..=0x8970;
const TX_QUEUE: u32 = 1000;
const SIOCETHTOOL: u32 = 0x8946;
const SIOCGMIIPHY: u32 = 0x8947;
const SIOCGMIIREG: u32 = 0x8948;

/// Whether [`Network::ioctl`] is to be asked.
#[must_use]
pub fn is_interface_ioctl(command: u32) -> bool {
    COMMANDS.contains(&command)
}

/// What a command asks about one interface: the bytes of the union in `struct ifreq`.
type Answer = fn(&Interface) -> Result<Vec<u8>>;

fn answer_of(command: u32) -> Option<Answer> {
    Some(match command {
        raw::SIOCGIFFLAGS => |one| Ok((one.flags.bits() as u16).to_ne_bytes().to_vec()),
        raw::SIOCGIFINDEX => |one| Ok(one.index.to_ne_bytes().to_vec()),
        raw::SIOCGIFMTU => |one| Ok(one.mtu.to_ne_bytes().to_vec()),
        raw::SIOCGIFMETRIC => |_| Ok(0_u32.to_ne_bytes().to_vec()),
        raw::SIOCGIFTXQLEN => |_| Ok(TX_QUEUE.to_ne_bytes().to_vec()),
        raw::SIOCGIFMAP => |_| Ok([0; 24].to_vec()),
        raw::SIOCGIFHWADDR => |one| {
            let mut bytes = one.hardware_type.to_ne_bytes().to_vec();
            bytes.extend_from_slice(&one.hardware_address);
            bytes.resize(16, 0);
            Ok(bytes)
        },
        raw::SIOCGIFADDR | raw::SIOCGIFDSTADDR => |one| Ok(sockaddr(ipv4(one)?.0)),
        raw::SIOCGIFNETMASK => |one| Ok(sockaddr(route::netmask(ipv4(one)?.1))),
        raw::SIOCGIFBRDADDR => |one| {
            let (address, prefix) = ipv4(one)?;
            let broadcast = route::broadcast(address, prefix).filter(|_| !address.is_loopback());
            Ok(sockaddr(broadcast.unwrap_or(Ipv4Addr::UNSPECIFIED)))
        },
        _ => return None,
    })
}

/// The first IPv4 address, which is all that these commands know.
fn ipv4(interface: &Interface) -> Result<(Ipv4Addr, u8)> {
    let mut all = interface.addresses.iter();
    all.find_map(|&(address, prefix)| match address {
        IpAddr::V4(v4) => Some((v4, prefix)),
        IpAddr::V6(_) => None,
    })
    .ok_or(Errno::EADDRNOTAVAIL)
}

fn sockaddr(address: Ipv4Addr) -> Vec<u8> {
    let address = Address::Inet(SocketAddr::new(address.into(), 0));
    address.encode().as_bytes().to_vec()
}

/// A `struct ifreq` with the interface's name and what the union holds.
fn ifreq(name: &str, union: &[u8]) -> [u8; IFREQ] {
    let mut bytes = [0; IFREQ];
    for (at, part) in [(0, name.as_bytes()), (NAME, union)] {
        if let Some(place) = bytes.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
    }
    bytes
}

impl Network {
    /// An interface ioctl on a socket.
    pub fn ioctl(
        &self,
        command: u32,
        argument: u64,
        memory: &dyn UserMemory,
        env: &dyn Env,
    ) -> Result<usize> {
        match command {
            raw::SIOCGIFCONF => return self.list(argument, memory),
            raw::SIOCGIFNAME => return self.name_of(argument, memory),
            // Whoever asks for a driver's or a radio's features takes this for an answer.
            SIOCETHTOOL | SIOCGMIIPHY | SIOCGMIIREG => {
                return Err(Errno::EOPNOTSUPP);
            }
            _ => {}
        }
        let Some(answer) = answer_of(command) else {
            env.unsupported_part(
                "ioctl: the guest's network cannot be changed from inside; use --net",
            );
            return Err(if env.can(Capability::NET_ADMIN) {
                Errno::EOPNOTSUPP
            } else {
                Errno::EPERM
            });
        };
        let interface = self.named(argument, memory)?;
        let union = answer(&interface)?;
        memory.write(argument.wrapping_add(NAME as u64), &union)?;
        Ok(0)
    }

    /// The interface that the `struct ifreq` names.
    fn named(&self, argument: u64, memory: &dyn UserMemory) -> Result<Interface> {
        let mut name = [0; NAME];
        memory.read(argument, &mut name)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        // An alias ("eth0:1") stands for its interface.
        let plain = name.get(..end).unwrap_or(&[]);
        let plain = plain.split(|byte| *byte == b':').next().unwrap_or(plain);
        let mut all = self.interfaces().into_iter();
        all.find(|one| one.name.as_bytes() == plain)
            .ok_or(Errno::ENODEV)
    }

    /// `SIOCGIFNAME`: from index to name.
    fn name_of(&self, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        let mut index = [0; 4];
        memory.read(argument.wrapping_add(NAME as u64), &mut index)?;
        let index = u32::from_ne_bytes(index);
        let mut all = self.interfaces().into_iter();
        let found = all.find(|one| one.index == index).ok_or(Errno::ENODEV)?;
        let bytes = ifreq(&found.name, &[]);
        memory.write(argument, bytes.get(..NAME).unwrap_or(&[]))?;
        Ok(0)
    }

    /// `SIOCGIFCONF`: all interfaces with IPv4 addresses, into a `struct ifconf`.
    fn list(&self, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        const BUFFER_AT: u64 = 8;
        let (mut len, mut buffer) = ([0; 4], [0; 8]);
        memory.read(argument, &mut len)?;
        memory.read(argument.wrapping_add(BUFFER_AT), &mut buffer)?;
        let room = i32::from_ne_bytes(len);
        let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
        let buffer = u64::from_ne_bytes(buffer);
        let all = self.interfaces();
        let entries = all.iter().filter_map(|one| Some((one, ipv4(one).ok()?.0)));
        let mut used = 0;
        for (one, address) in entries {
            // Without a buffer only the length is wanted.
            if buffer != 0 {
                if used + IFREQ > room {
                    break;
                }
                let entry = ifreq(&one.name, &sockaddr(address));
                memory.write(buffer.wrapping_add(used as u64), &entry)?;
            }
            used += IFREQ;
        }
        memory.write(argument, &(used as u32).to_ne_bytes())?;
        Ok(0)
    }
}
