//! setsockopt(2) and getsockopt(2) of datagram sockets.
use super::icmp::Filter;
use super::{Dgram, Kind};
use crate::Result;
use crate::env::Env;
use crate::inet::ip::Family;
use crate::inet::options::{Common, Slot, answer, int};
use crate::inet::ports::Claim;
use crate::inet::{IPPROTO_ICMPV6, IPPROTO_UDP};
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::net::{
    IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_HDRINCL, IPV6_ADD_MEMBERSHIP, IPV6_CHECKSUM,
    IPV6_DROP_MEMBERSHIP, MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP, SO_ACCEPTCONN, SO_ERROR, SOL_IP,
    SOL_IPV6, SOL_RAW, SOL_SOCKET,
};

const UDP_CORK: u32 = 1;
const UDP_SEGMENT: u32 = 103;
const UDP_GRO: u32 = 104;
/// Both filters have this name, at levels of their own.
const ICMP_FILTER: u32 = 1;

impl Dgram {
    pub(super) fn set_option(
        &self,
        level: u32,
        name: u32,
        value: &[u8],
        env: &dyn Env,
    ) -> Result<()> {
        match (level, name) {
            (SOL_IP, IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP)
            | (SOL_IPV6, IPV6_ADD_MEMBERSHIP | IPV6_DROP_MEMBERSHIP)
            | (SOL_IP | SOL_IPV6, MCAST_JOIN_GROUP | MCAST_LEAVE_GROUP)
                if level == SOL_IP || self.family == Family::V6 =>
            {
                let (joins, which) = self.membership(name, value)?;
                self.change_membership(joins, which)
            }
            (IPPROTO_UDP, _) if self.kind == Kind::Udp => set_udp(name, value, env),
            (SOL_IP, IP_HDRINCL) if self.kind == Kind::Raw => {
                env.unsupported_part("IP_HDRINCL: headers of the program's own");
                Err(Errno::ENOPROTOOPT)
            }
            _ if self.kind == Kind::Raw && self.set_raw(level, name, value)? => Ok(()),
            _ => {
                let slot = self.common().set(level, name, value, env)?;
                self.apply(slot);
                Ok(())
            }
        }
    }

    fn common(&self) -> Common<'_> {
        let (is_bound, remote) = {
            let state = self.state.lock();
            (state.binding.is_some(), state.peer.map(|peer| peer.ip()))
        };
        Common {
            network: &self.network,
            family: self.family,
            stream: false,
            options: &self.options,
            is_bound,
            remote,
        }
    }

    /// What a change means to the port and to the lookup.
    fn apply(&self, slot: Slot) {
        let options = self.options.lock().clone();
        if matches!(slot, Slot::ReceiveErrors | Slot::ReceiveErrors6) && !options.is_set(slot) {
            self.queue.lock().errors.clear();
        }
        if !matches!(
            slot,
            Slot::ReuseAddress | Slot::ReusePort | Slot::V6Only | Slot::Device
        ) {
            return;
        }
        let mut state = self.state.lock();
        if let Some(binding) = &mut state.binding {
            let changed = Claim {
                reuse_address: options.is_set(Slot::ReuseAddress),
                reuse_port: options.is_set(Slot::ReusePort),
                ..*binding.claim()
            };
            binding.change(changed);
        }
        self.update_interest(&state, &options);
    }

    /// The options of `SOL_RAW` and of ICMPv6. False: it is none of them.
    fn set_raw(&self, level: u32, name: u32, value: &[u8]) -> Result<bool> {
        match (level, name, self.family) {
            (SOL_RAW, ICMP_FILTER, Family::V4) | (IPPROTO_ICMPV6, ICMP_FILTER, Family::V6) => {
                let mut filter = self.filter.lock();
                let words = match self.family {
                    Family::V4 => 1,
                    Family::V6 => 8,
                };
                let given = value.as_chunks::<4>().0.iter().take(words);
                let mut new = Filter(filter.0);
                for (word, bytes) in new.0.iter_mut().zip(given) {
                    *word = u32::from_ne_bytes(*bytes);
                }
                *filter = new;
                Ok(true)
            }
            // The checksum of ICMPv6 is the kernel's business and lies where it lies.
            (SOL_IPV6, IPV6_CHECKSUM, Family::V6) => Err(Errno::EINVAL),
            (SOL_RAW, IPV6_CHECKSUM, Family::V6) => {
                let offset = int(value)?;
                if offset > 0 && offset % 2 != 0 {
                    return Err(Errno::EINVAL);
                }
                self.options.lock().set(Slot::Checksum6, offset.max(-1));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn get_option(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>> {
        match (level, name, self.kind) {
            (SOL_SOCKET, SO_ERROR, _) => {
                let error = self.queue.lock().error.take();
                Ok(answer(error.map_or(0, |error| i32::from(error.raw()))))
            }
            (SOL_SOCKET, SO_ACCEPTCONN, _) => Ok(answer(0)),
            (IPPROTO_UDP, UDP_CORK | UDP_SEGMENT | UDP_GRO, Kind::Udp) => Ok(answer(0)),
            (SOL_RAW, ICMP_FILTER, Kind::Raw) if self.family == Family::V4 => {
                let [first, ..] = self.filter.lock().0;
                Ok(answer(first.cast_signed()))
            }
            (IPPROTO_ICMPV6, ICMP_FILTER, Kind::Raw) if self.family == Family::V6 => {
                let words = self.filter.lock().0;
                Ok(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
            }
            (SOL_RAW, IPV6_CHECKSUM, Kind::Raw) => Ok(answer(self.option(Slot::Checksum6))),
            _ => self.common().get(level, name, argument),
        }
    }
}

fn set_udp(name: u32, value: &[u8], env: &dyn Env) -> Result<()> {
    let on = int(value)? != 0;
    match name {
        // Datagrams may be received together, but nobody has to do so.
        UDP_GRO => Ok(()),
        UDP_CORK | UDP_SEGMENT if !on => Ok(()),
        UDP_CORK => {
            env.unsupported_part("UDP_CORK");
            Err(Errno::ENOPROTOOPT)
        }
        UDP_SEGMENT => {
            env.unsupported_part("UDP_SEGMENT");
            Err(Errno::ENOPROTOOPT)
        }
        _ => Err(Errno::ENOPROTOOPT),
    }
}
