//! getsockopt(2), setsockopt(2) and ioctl(2).
use super::endpoint::{Endpoint, Phase, WRITABLE};
use crate::Result;
use crate::env::{Env, Ucred};
use crate::socket::{self, SocketType};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use linux_abi::raw::ioctl::{FIONREAD, TIOCOUTQ};
use linux_abi::raw::net::{
    SO_ACCEPTCONN, SO_BROADCAST, SO_DONTROUTE, SO_ERROR, SO_KEEPALIVE, SO_OOBINLINE, SO_PASSCRED,
    SO_PEEK_OFF, SO_PEERCRED, SO_RCVBUF, SO_RCVBUFFORCE, SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF,
    SO_SNDBUFFORCE, SOL_SOCKET,
};
use linux_abi::{Capability, Errno};
use vfs::UserMemory;

/// /proc/sys/net/core/wmem_max and rmem_max
const MAX_BUFFER: i32 = 212_992;
const MIN_SEND_BUFFER: usize = 4608;
const MIN_RECEIVE_BUFFER: usize = 2304;

fn integer(value: &[u8]) -> Result<i32> {
    let bytes = value.first_chunk().ok_or(Errno::EINVAL)?;
    Ok(i32::from_ne_bytes(*bytes))
}

fn set_buffer(limit: &AtomicUsize, wanted: i32, min: usize) {
    let doubled = usize::try_from(wanted).map_or(0, |wanted| wanted.saturating_mul(2));
    limit.store(doubled.clamp(min, i32::MAX as usize), Relaxed);
}

/// As for `SO_SNDBUF`: what is negative is as much as there may be.
fn capped(wanted: i32) -> i32 {
    if (0..MAX_BUFFER).contains(&wanted) {
        wanted
    } else {
        MAX_BUFFER
    }
}

impl Endpoint {
    pub fn set_option(&self, level: u32, name: u32, value: &[u8], env: &dyn Env) -> Result<()> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let force = matches!(name, SO_SNDBUFFORCE | SO_RCVBUFFORCE);
        match name {
            SO_SNDBUFFORCE | SO_RCVBUFFORCE if !env.can(Capability::NET_ADMIN) => Err(Errno::EPERM),
            SO_SNDBUF | SO_SNDBUFFORCE => {
                let wanted = integer(value)?;
                let wanted = if force { wanted } else { capped(wanted) };
                set_buffer(&self.send_limit, wanted, MIN_SEND_BUFFER);
                self.waiters.notify(WRITABLE);
                Ok(())
            }
            SO_RCVBUF | SO_RCVBUFFORCE => {
                // Without effect on Linux, too: the sender's buffer counts.
                let wanted = integer(value)?;
                let wanted = if force { wanted } else { capped(wanted) };
                set_buffer(&self.receive_limit, wanted, MIN_RECEIVE_BUFFER);
                Ok(())
            }
            SO_PASSCRED => {
                self.passes_credentials.store(integer(value)? != 0, Relaxed);
                Ok(())
            }
            // They mean something to other families only, but any socket remembers them.
            SO_REUSEADDR | SO_KEEPALIVE | SO_BROADCAST | SO_DONTROUTE | SO_OOBINLINE => {
                match integer(value)? {
                    0 => self.remembered.fetch_and(!(1 << name), Relaxed),
                    _ => self.remembered.fetch_or(1 << name, Relaxed),
                };
                Ok(())
            }
            SO_REUSEPORT => match integer(value)? {
                0 => Ok(()),
                _ => Err(Errno::EOPNOTSUPP),
            },
            SO_PEEK_OFF => {
                env.unsupported_part("SO_PEEK_OFF");
                Err(Errno::EOPNOTSUPP)
            }
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    pub fn option(&self, level: u32, name: u32) -> Result<Vec<u8>> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let value = match name {
            SO_SNDBUF => self.send_limit.load(Relaxed) as i32,
            SO_RCVBUF => self.receive_limit.load(Relaxed) as i32,
            SO_PASSCRED => i32::from(self.passes_credentials.load(Relaxed)),
            SO_REUSEADDR | SO_KEEPALIVE | SO_BROADCAST | SO_DONTROUTE | SO_OOBINLINE => {
                i32::from(self.remembered.load(Relaxed) & (1 << name) != 0)
            }
            SO_REUSEPORT => 0,
            SO_ACCEPTCONN => i32::from(self.state.lock().phase == Phase::Listening),
            SO_ERROR => {
                let error = self.state.lock().error.take();
                error.map_or(0, |error| i32::from(error.raw()))
            }
            SO_PEERCRED => return Ok(self.peer_credentials()),
            SO_PEEK_OFF => return Err(Errno::EOPNOTSUPP),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(value.to_ne_bytes().to_vec())
    }

    /// `struct ucred`
    fn peer_credentials(&self) -> Vec<u8> {
        let nobody = Ucred {
            pid: 0,
            uid: u32::MAX,
            gid: u32::MAX,
        };
        let peer = self.state.lock().peer_credentials.unwrap_or(nobody);
        let mut bytes = peer.pid.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&peer.uid.to_ne_bytes());
        bytes.extend_from_slice(&peer.gid.to_ne_bytes());
        bytes
    }

    pub fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        let count = match command {
            FIONREAD => self.waiting()?,
            TIOCOUTQ => self.unread(),
            _ => return Err(Errno::ENOTTY),
        };
        socket::answer_count(memory, argument, count)
    }

    /// `SIOCINQ`: all that waits, but of datagrams only the first.
    fn waiting(&self) -> Result<usize> {
        let state = self.state.lock();
        if state.phase == Phase::Listening {
            return Err(Errno::EINVAL);
        }
        let packets = state.packets.iter().map(|packet| packet.bytes.len());
        Ok(match self.kind {
            SocketType::Stream => state.stream.len(),
            SocketType::SeqPacket => packets.sum(),
            _ => packets.take(1).sum(),
        })
    }

    /// `SIOCOUTQ`: what was sent and has not been received.
    fn unread(&self) -> usize {
        let peer = self.peer().filter(|_| self.kind == SocketType::Stream);
        let in_stream = peer.map_or(0, |peer| peer.state.lock().stream.len());
        in_stream + self.in_flight.load(Relaxed)
    }
}
