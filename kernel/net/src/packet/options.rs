//! `SOL_PACKET`, and what packet sockets know of `SOL_SOCKET`.
use super::ring::{HEADER, Ring};
use super::{PacketCore, State};
use crate::Result;
use crate::bpf::{EXTENSIONS, Program};
use crate::env::Env;
use crate::inet::buffer_size;
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::if_arp::*;
use linux_abi::raw::net::*;

/// `net.core.rmem_default`
const BUFFER: i32 = 212_992;
const TPACKET_V1: u32 = tpacket_versions::TPACKET_V1 as u32;
const TPACKET_V2: u32 = tpacket_versions::TPACKET_V2 as u32;

/// What a program has set.
#[derive(Default)]
pub(super) struct Options {
    pub auxdata: bool,
    pub ignore_outgoing: bool,
    original_device: bool,
    /// 0 none, 1 `SO_TIMESTAMP`, 2 `SO_TIMESTAMPNS`
    timestamps: u8,
    /// As getsockopt(2) shows them; 0: the default.
    receive_buffer: i32,
    send_buffer: i32,
    /// The filter stays.
    locked: bool,
    version: u32,
    reserve: u32,
    memberships: Vec<[u8; MEMBERSHIP]>,
}

/// `struct packet_mreq`
const MEMBERSHIP: usize = 16;

impl Options {
    pub(super) fn receive_buffer(&self) -> usize {
        usize::try_from(shown(self.receive_buffer)).unwrap_or(0)
    }

    /// Whether frames are to be told the time of, and whether in nanoseconds.
    pub(super) const fn timestamps(&self) -> Option<bool> {
        match self.timestamps {
            0 => None,
            kind => Some(kind == 2),
        }
    }

    fn set_timestamps(&mut self, kind: u8, on: bool) {
        self.timestamps = if on { kind } else { 0 };
    }
}

const fn shown(buffer: i32) -> i32 {
    match buffer {
        0 => BUFFER,
        set => set,
    }
}

/// The number at word `at`. `EINVAL`: the value is too short.
fn word(value: &[u8], at: usize) -> Result<u32> {
    let bytes = value.get(at * 4..).and_then(<[u8]>::first_chunk);
    bytes
        .map(|raw| u32::from_ne_bytes(*raw))
        .ok_or(Errno::EINVAL)
}

impl PacketCore {
    pub(super) fn set_option(
        &self,
        level: u32,
        name: u32,
        value: &[u8],
        env: &dyn Env,
    ) -> Result<()> {
        let mut state = self.state.lock();
        match level {
            SOL_SOCKET => state.set_socket(name, value),
            SOL_PACKET => match name {
                PACKET_ADD_MEMBERSHIP => {
                    drop(state);
                    self.join(value)
                }
                PACKET_DROP_MEMBERSHIP => state.leave(value),
                _ => match state.set_packet(name, value)? {
                    None => Ok(()),
                    Some(missing) => {
                        drop(state);
                        env.unsupported_part(missing);
                        Err(Errno::EINVAL)
                    }
                },
            },
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// The card hands over all that reaches it, so there is nothing to switch.
    fn join(&self, value: &[u8]) -> Result<()> {
        let request: [u8; MEMBERSHIP] = *value.first_chunk().ok_or(Errno::EINVAL)?;
        let kind = word(value, 1)? & 0xffff;
        self.network.interface(word(value, 0)?.cast_signed())?;
        match kind {
            PACKET_MR_MULTICAST | PACKET_MR_PROMISC | PACKET_MR_ALLMULTI | PACKET_MR_UNICAST => {}
            _ => return Err(Errno::EINVAL),
        }
        self.state.lock().options.memberships.push(request);
        Ok(())
    }

    pub(super) fn option(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>> {
        let mut state = self.state.lock();
        let options = &state.options;
        let number = match (level, name) {
            (SOL_SOCKET, SO_ERROR) => 0,
            (SOL_SOCKET, SO_BPF_EXTENSIONS) => EXTENSIONS,
            (SOL_SOCKET, SO_LOCK_FILTER) => options.locked.into(),
            (SOL_SOCKET, SO_RCVBUF) => shown(options.receive_buffer).cast_unsigned(),
            (SOL_SOCKET, SO_SNDBUF) => shown(options.send_buffer).cast_unsigned(),
            (SOL_SOCKET, SO_TIMESTAMP_OLD) => (options.timestamps == 1).into(),
            (SOL_SOCKET, SO_TIMESTAMPNS_OLD) => (options.timestamps == 2).into(),
            (SOL_PACKET, PACKET_AUXDATA) => options.auxdata.into(),
            (SOL_PACKET, PACKET_ORIGDEV) => options.original_device.into(),
            (SOL_PACKET, PACKET_IGNORE_OUTGOING) => options.ignore_outgoing.into(),
            (SOL_PACKET, PACKET_VERSION) => options.version,
            (SOL_PACKET, PACKET_RESERVE) => options.reserve,
            (SOL_PACKET, PACKET_HDRLEN) => match word(argument, 0)? {
                TPACKET_V1 | TPACKET_V2 => HEADER as u32,
                _ => return Err(Errno::EINVAL),
            },
            (SOL_PACKET, PACKET_STATISTICS) => return Ok(state.statistics()),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(number.to_ne_bytes().to_vec())
    }
}

impl State {
    fn set_socket(&mut self, name: u32, value: &[u8]) -> Result<()> {
        let options = &mut self.options;
        match name {
            // The shim hands over the program itself.
            SO_ATTACH_FILTER | SO_DETACH_FILTER if options.locked => return Err(Errno::EPERM),
            SO_ATTACH_FILTER => self.filter = Some(Program::parse(value)?),
            SO_DETACH_FILTER => {
                self.filter.take().ok_or(Errno::ENOENT)?;
            }
            SO_LOCK_FILTER => match (word(value, 0)?, options.locked) {
                (0, true) => return Err(Errno::EPERM),
                (on, _) => options.locked = on != 0,
            },
            SO_RCVBUF | SO_RCVBUFFORCE => {
                let size = word(value, 0)?.cast_signed();
                options.receive_buffer = buffer_size(size, true, name == SO_RCVBUFFORCE);
            }
            SO_SNDBUF | SO_SNDBUFFORCE => {
                let size = word(value, 0)?.cast_signed();
                options.send_buffer = buffer_size(size, false, name == SO_SNDBUFFORCE);
            }
            SO_TIMESTAMP_OLD => options.set_timestamps(1, word(value, 0)? != 0),
            SO_TIMESTAMPNS_OLD => options.set_timestamps(2, word(value, 0)? != 0),
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    /// What is missing, if that is why it cannot be done.
    fn set_packet(&mut self, name: u32, value: &[u8]) -> Result<Option<&'static str>> {
        let options = &mut self.options;
        match name {
            PACKET_AUXDATA => options.auxdata = word(value, 0)? != 0,
            PACKET_ORIGDEV => options.original_device = word(value, 0)? != 0,
            PACKET_IGNORE_OUTGOING => match word(value, 0)? {
                on @ (0 | 1) => options.ignore_outgoing = on == 1,
                _ => return Err(Errno::EINVAL),
            },
            PACKET_VERSION | PACKET_RESERVE if self.ring.is_some() => return Err(Errno::EBUSY),
            PACKET_VERSION => match word(value, 0)? {
                version @ (TPACKET_V1 | TPACKET_V2) => options.version = version,
                // As a kernel does that is older than TPACKET_V3.
                _ => return Err(Errno::EINVAL),
            },
            PACKET_RESERVE => match word(value, 0)? {
                reserve if reserve > i32::MAX as u32 => return Err(Errno::EINVAL),
                reserve => options.reserve = reserve,
            },
            PACKET_RX_RING if options.version != TPACKET_V2 => {
                return Ok(Some("PACKET_RX_RING: forms other than TPACKET_V2"));
            }
            PACKET_RX_RING => {
                let request = [0, 1, 2, 3].map(|at| word(value, at));
                let [size, blocks, frame_size, frames] = request;
                let request = [size?, blocks?, frame_size?, frames?];
                let ring = Ring::new(request, options.reserve)?;
                if ring.is_some() && self.ring.is_some() {
                    return Err(Errno::EBUSY);
                }
                self.ring = ring;
            }
            // Software's, which all time stamps are, needs no asking.
            PACKET_TIMESTAMP if word(value, 0)? == 0 => {}
            PACKET_TIMESTAMP => return Ok(Some("PACKET_TIMESTAMP: the card's own time")),
            PACKET_TX_RING => return Ok(Some("PACKET_TX_RING")),
            PACKET_FANOUT => return Ok(Some("PACKET_FANOUT")),
            PACKET_VNET_HDR => return Ok(Some("PACKET_VNET_HDR")),
            PACKET_COPY_THRESH => return Ok(Some("PACKET_COPY_THRESH")),
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(None)
    }

    fn leave(&mut self, value: &[u8]) -> Result<()> {
        let request: [u8; MEMBERSHIP] = *value.first_chunk().ok_or(Errno::EINVAL)?;
        let memberships = &mut self.options.memberships;
        // As on Linux, there is no need to have been one.
        if let Some(at) = memberships.iter().position(|known| *known == request) {
            memberships.swap_remove(at);
        }
        Ok(())
    }

    /// `struct tpacket_stats`; they start anew.
    fn statistics(&mut self) -> Vec<u8> {
        let numbers = [&mut self.packets, &mut self.drops].map(core::mem::take);
        numbers
            .iter()
            .flat_map(|number| number.to_ne_bytes())
            .collect()
    }
}
