//! setsockopt(2) and getsockopt(2) of TCP sockets.
use super::{Phase, Tcp};
use crate::Result;
use crate::env::Env;
use crate::inet::IPPROTO_TCP;
use crate::inet::binding::claim;
use crate::inet::loopback::TcpState;
use crate::inet::options::{Common, Slot, TCP, answer, find, int, retransmission_seconds};
use crate::inet::ports::Claim;
use alloc::vec::Vec;
use linux_abi::raw::net::{
    SO_ACCEPTCONN, SO_ERROR, SOL_SOCKET, TCP_CC_INFO, TCP_CONGESTION, TCP_DEFER_ACCEPT,
    TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY, TCP_INFO, TCP_INQ, TCP_LINGER2,
    TCP_MAXSEG, TCP_MD5SIG, TCP_MD5SIG_EXT, TCP_REPAIR, TCP_SAVE_SYN, TCP_TX_DELAY, TCP_ULP,
    TCP_WINDOW_CLAMP, TCP_ZEROCOPY_RECEIVE,
};
use linux_abi::{Capability, Errno};

/// `TCP_CA_NAME_MAX`, `TCP_ULP_NAME_MAX`
const NAME_ROOM: usize = 16;
const CONGESTION: [&str; 2] = ["cubic", "reno"];
/// What a window is clamped to at least.
const WINDOW_MIN: i32 = 1152;
/// /proc/sys/net/ipv4/tcp_fin_timeout's limit, in seconds
const LINGER2_MAX: i32 = 120;
const SEGMENT_MIN: i32 = 88;
const SEGMENT_MAX: i32 = 32767;
/// `TCP_MSS_DEFAULT`
const SEGMENT_UNCONNECTED: i32 = 536;

impl Tcp {
    pub(super) fn set_option(
        &self,
        level: u32,
        name: u32,
        value: &[u8],
        env: &dyn Env,
    ) -> Result<()> {
        let slot = if level == IPPROTO_TCP {
            self.set_tcp(name, value, env)?
        } else {
            self.common().set(level, name, value, env)?
        };
        self.apply(slot)
    }

    fn common_parts(&self) -> (bool, Option<core::net::IpAddr>) {
        let state = self.state.lock();
        let remote = match &state.phase {
            Phase::Active { remote, .. } => Some(remote.ip()),
            _ => None,
        };
        (state.binding.is_some(), remote)
    }

    fn common(&self) -> Common<'_> {
        let (is_bound, remote) = self.common_parts();
        Common {
            network: &self.network,
            family: self.family,
            stream: true,
            options: &self.options,
            is_bound,
            remote,
        }
    }

    /// What the change of an option means to the socket's port and to its stream.
    fn apply(&self, slot: Slot) -> Result<()> {
        let options = self.options.lock().clone();
        let mut state = self.state.lock();
        let local = state.local(self.family);
        if let (Slot::ReuseAddress | Slot::ReusePort, Some(binding)) =
            (slot, state.binding.as_mut())
        {
            let wanted = claim(self.family, local, &options, self.uid);
            let changed = Claim {
                reuse_address: wanted.reuse_address,
                reuse_port: wanted.reuse_port,
                ..*binding.claim()
            };
            binding.change(changed);
        }
        match &state.phase {
            Phase::Listening(listener) if slot == Slot::DeferAccept => {
                listener.set_defer(options.get(slot));
                Ok(())
            }
            Phase::Active { link, remote, .. } => {
                let (link, v6) = (link.clone(), remote.is_ipv6());
                drop(state);
                match options.for_stream(slot, v6) {
                    Some(option) => link.set_option(option),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn set_tcp(&self, name: u32, value: &[u8], env: &dyn Env) -> Result<Slot> {
        match name {
            TCP_CONGESTION => return self.set_congestion(value),
            // Neither TLS nor anything else runs on top of a stream in here.
            TCP_ULP if value.is_empty() => return Err(Errno::EINVAL),
            TCP_ULP => return Err(Errno::ENOENT),
            TCP_FASTOPEN_CONNECT => return Err(Errno::EOPNOTSUPP),
            TCP_REPAIR => return Err(Errno::EPERM),
            _ => {}
        }
        if let Some(what) = missing(name) {
            env.unsupported_part(what);
            return Err(Errno::ENOPROTOOPT);
        }
        let number = int(value)?;
        let mut options = self.options.lock();
        let (slot, number) = match name {
            TCP_MAXSEG => match number {
                0 | SEGMENT_MIN..=SEGMENT_MAX => (Slot::MaxSegment, number),
                _ => return Err(Errno::EINVAL),
            },
            TCP_LINGER2 => (Slot::Linger2, number.clamp(-1, LINGER2_MAX)),
            TCP_DEFER_ACCEPT => (Slot::DeferAccept, retransmission_seconds(number)),
            TCP_WINDOW_CLAMP => match number {
                0 => (Slot::WindowClamp, 0),
                _ => (Slot::WindowClamp, number.max(WINDOW_MIN)),
            },
            _ => {
                let row = find(TCP, name).ok_or(Errno::ENOPROTOOPT)?;
                options.set_row(row, number, env.can(Capability::NET_ADMIN))?;
                return Ok(row.slot);
            }
        };
        options.set(slot, number);
        Ok(slot)
    }

    /// Which algorithm runs is the host's matter; inside there is no congestion. Both names that every Linux has are taken.
    fn set_congestion(&self, value: &[u8]) -> Result<Slot> {
        let name = value.split(|byte| *byte == 0).next().unwrap_or(&[]);
        if value.is_empty() {
            return Err(Errno::EINVAL);
        }
        let known = CONGESTION.iter().position(|known| known.as_bytes() == name);
        let number = known.ok_or(Errno::ENOENT)?;
        let number = i32::try_from(number).unwrap_or(0);
        self.options.lock().set(Slot::Congestion, number);
        Ok(Slot::Congestion)
    }

    pub(super) fn get_option(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>> {
        match (level, name) {
            (SOL_SOCKET, SO_ERROR) => {
                let error = self.take_error();
                Ok(answer(error.map_or(0, |error| i32::from(error.raw()))))
            }
            (SOL_SOCKET, SO_ACCEPTCONN) => {
                let listening = matches!(self.state.lock().phase, Phase::Listening(_));
                Ok(answer(i32::from(listening)))
            }
            (IPPROTO_TCP, _) => self.get_tcp(name),
            _ => self.common().get(level, name, argument),
        }
    }

    fn get_tcp(&self, name: u32) -> Result<Vec<u8>> {
        let get = |slot| self.option(slot);
        Ok(answer(match name {
            TCP_INFO => return self.info(),
            TCP_CONGESTION => {
                let number = usize::try_from(get(Slot::Congestion)).unwrap_or(0);
                let mut name = CONGESTION
                    .get(number)
                    .unwrap_or(&"cubic")
                    .as_bytes()
                    .to_vec();
                name.resize(NAME_ROOM, 0);
                return Ok(name);
            }
            TCP_ULP | TCP_CC_INFO => return Ok(Vec::new()),
            TCP_MAXSEG => self.segment(),
            TCP_LINGER2 => get(Slot::Linger2),
            TCP_DEFER_ACCEPT => get(Slot::DeferAccept),
            TCP_WINDOW_CLAMP => get(Slot::WindowClamp),
            TCP_FASTOPEN | TCP_FASTOPEN_CONNECT | TCP_REPAIR => 0,
            _ => {
                let row = find(TCP, name).ok_or(Errno::ENOPROTOOPT)?;
                self.options.lock().get_row(row)
            }
        }))
    }

    fn segment(&self) -> i32 {
        let wanted = self.option(Slot::MaxSegment);
        match self.common_parts().1 {
            Some(remote) if self.network.is_own(remote) => match wanted {
                0 => super::info::MSS.cast_signed(),
                wanted => wanted,
            },
            // The headers of IPv4 and TCP with timestamps.
            Some(_) => 1448,
            None if wanted != 0 => wanted,
            None => SEGMENT_UNCONNECTED,
        }
    }

    /// `struct tcp_info`. Without a connection only the state says something.
    fn info(&self) -> Result<Vec<u8>> {
        let state = match &self.state.lock().phase {
            Phase::Active { link, .. } => return link.info(),
            Phase::Listening(_) => TcpState::Listen,
            Phase::Idle => TcpState::Close,
        };
        let mut info = alloc::vec![0; 248];
        if let Some(first) = info.first_mut() {
            *first = state as u8;
        }
        Ok(info)
    }
}

/// Options that would have to do something, and do not.
const fn missing(name: u32) -> Option<&'static str> {
    Some(match name {
        TCP_FASTOPEN => "TCP_FASTOPEN",
        TCP_FASTOPEN_KEY => "TCP_FASTOPEN_KEY",
        TCP_MD5SIG | TCP_MD5SIG_EXT => "TCP_MD5SIG",
        TCP_SAVE_SYN => "TCP_SAVE_SYN",
        TCP_INQ => "TCP_INQ",
        TCP_TX_DELAY => "TCP_TX_DELAY",
        TCP_ZEROCOPY_RECEIVE => "TCP_ZEROCOPY_RECEIVE",
        _ => return None,
    })
}
