//! `AF_PACKET`: frames as they are, for those who watch the network, see packet(7). Frames of `lo` are made up (`made_up`), as
//! nothing inside the guest moves in packets; those of a card are its own; an uplink without frames shows none.
mod filter;
pub(crate) mod made_up;
mod observers;
mod options;
mod queue;
mod ring;
mod send;
#[cfg(test)]
mod tests;

pub(crate) use observers::Observers;

use crate::Result;
use crate::address::{Address, LinkAddress};
use crate::bpf::Program;
use crate::env::Env;
use crate::message::{Control, Outgoing, Received};
use crate::network::{Interface, Network};
use crate::socket::{self, Socket, SocketOps, SocketType};
use crate::stack::packet::ETHERNET_HEADER;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use filter::View;
use linux_abi::raw::if_arp::{ETH_P_ALL, PACKET_OUTGOING, TP_STATUS_USER};
use linux_abi::raw::ioctl::FIONREAD;
use linux_abi::raw::net::{AF_PACKET, MSG_ERRQUEUE, MSG_OOB, MSG_PEEK, MSG_TRUNC};
use linux_abi::{Capability, Errno};
use observers::Seen;
use options::Options;
use queue::{Frame, Queue};
use ring::Ring;
use spin::Mutex;
use vfs::{InodeRef, Sink, UserMemory, WaitList, poll};

const REALTIME: u32 = 0;

#[derive(Default)]
struct State {
    /// `ETH_P_*`; 0: none is wanted.
    protocol: u16,
    /// 0: any.
    interface: u32,
    filter: Option<Program>,
    queue: Queue,
    ring: Option<Ring>,
    options: Options,
    /// Since they were last asked for: frames that were wanted, and those of them that found no room.
    packets: u32,
    drops: u32,
    /// Somebody is to be told of a frame.
    has_news: bool,
}

/// What the socket and the interfaces share.
pub(crate) struct PacketCore {
    network: Arc<Network>,
    kind: SocketType,
    uid: u32,
    inode: AtomicU64,
    state: Mutex<State>,
    readers: WaitList,
}

/// A packet socket.
struct PacketSocket(Arc<PacketCore>);

/// socket(2) for `AF_PACKET`.
pub(crate) fn socket(
    network: &Arc<Network>,
    kind: SocketType,
    protocol: u32,
    env: &dyn Env,
) -> Result<Arc<Socket>> {
    if !env.can(Capability::NET_RAW) {
        return Err(Errno::EPERM);
    }
    if !matches!(kind, SocketType::Raw | SocketType::Datagram) {
        return Err(Errno::ESOCKTNOSUPPORT);
    }
    let core = Arc::new(PacketCore {
        network: network.clone(),
        kind,
        uid: env.credentials().uid,
        inode: AtomicU64::new(0),
        state: Mutex::new(State {
            // In network byte order, as an int.
            protocol: u16::from_be(protocol as u16),
            ..State::default()
        }),
        readers: WaitList::new(),
    });
    if let Some(uplink) = network.uplink() {
        network.observers.watch(&**uplink);
    }
    network.observers.add(&core);
    Ok(Socket::new(Box::new(PacketSocket(core))))
}

impl Network {
    /// An interface by its index. `ENODEV`
    fn interface(&self, index: i32) -> Result<Interface> {
        let mut all = self.interfaces().into_iter();
        all.find(|one| one.index.cast_signed() == index)
            .ok_or(Errno::ENODEV)
    }

    /// The lines of /proc/net/packet.
    pub(crate) fn packet_sockets(&self) -> Vec<PacketEntry> {
        let sockets = self.observers.sockets();
        sockets.iter().map(|socket| socket.entry()).collect()
    }
}

/// A line of /proc/net/packet.
pub(crate) struct PacketEntry {
    pub kind: u32,
    pub protocol: u16,
    pub interface: u32,
    pub used: usize,
    pub uid: u32,
    pub inode: u64,
}

impl PacketCore {
    /// Takes a frame, if it is wanted. Called with locks of the interface held, so `tell` comes later.
    fn see(&self, seen: Seen<'_>) {
        let mut state = self.state.lock();
        let outgoing = u32::from(seen.packet_type) == PACKET_OUTGOING;
        let is_here = state.interface == 0 || state.interface == seen.interface;
        let is_meant = match u32::from(state.protocol) {
            0 => false,
            ETH_P_ALL => !(outgoing && state.options.ignore_outgoing),
            // Who wants one protocol gets what comes in.
            _ => state.protocol == seen.protocol && !outgoing,
        };
        if !is_here || !is_meant {
            return;
        }
        let start = match self.kind {
            SocketType::Raw => 0,
            _ => ETHERNET_HEADER,
        };
        let bytes = seen.frame.get(start..).unwrap_or(&[]);
        let view = View {
            frame: seen.frame,
            start,
            network: ETHERNET_HEADER,
            protocol: seen.protocol,
            packet_type: seen.packet_type,
            hardware_type: seen.hardware_type,
            interface: seen.interface,
        };
        let wanted = state.filter.as_ref().map_or(u32::MAX, |one| one.run(&view));
        if wanted == 0 {
            return;
        }
        let kept = bytes.get(..wanted as usize).unwrap_or(bytes);
        let mut address = [0; 8];
        crate::stack::packet::write(&mut address, 0, &seen.source);
        let frame = Frame {
            from: Address::Link(LinkAddress {
                protocol: seen.protocol,
                index: seen.interface.cast_signed(),
                hardware_type: seen.hardware_type,
                packet_type: seen.packet_type,
                length: seen.source.len() as u8,
                address,
            }),
            length: bytes.len(),
            network: ETHERNET_HEADER - start,
            at: self.network.host().clock(REALTIME),
        };
        state.keep(frame, kept);
    }

    /// Readers hear of what has been seen. No lock is held.
    fn tell(&self) {
        if core::mem::take(&mut self.state.lock().has_news) {
            self.readers.notify(poll::IN | poll::RDNORM);
        }
    }

    fn entry(&self) -> PacketEntry {
        let state = self.state.lock();
        PacketEntry {
            kind: self.kind.value(),
            protocol: state.protocol,
            interface: state.interface,
            used: state.queue.used(),
            uid: self.uid,
            inode: self.inode.load(Relaxed),
        }
    }
}

impl State {
    fn keep(&mut self, frame: Frame, bytes: &[u8]) {
        let limit = self.options.receive_buffer();
        let kept = match &mut self.ring {
            Some(ring) => ring.put(&frame, bytes),
            None => self.queue.push(frame, bytes, limit),
        };
        self.packets = self.packets.wrapping_add(1);
        if kept {
            self.has_news = true;
        } else {
            self.drops = self.drops.wrapping_add(1);
        }
    }
}

impl Drop for PacketCore {
    fn drop(&mut self) {
        self.network.observers.clean();
    }
}

impl SocketOps for PacketSocket {
    fn family(&self) -> u32 {
        AF_PACKET
    }

    fn kind(&self) -> SocketType {
        self.0.kind
    }

    fn protocol(&self) -> u32 {
        0
    }

    fn bind(&self, address: &Address, env: &dyn Env) -> Result<()> {
        let Address::Link(link) = address else {
            return Err(Errno::EINVAL);
        };
        let network = &self.0.network;
        if link.index != 0 {
            let interface = network.interface(link.index)?;
            if interface.index != observers::LOOPBACK && !network.observers.has_frames() {
                env.unsupported_part("AF_PACKET: --net user has no frames to see; use --pcap");
            }
        }
        let mut state = self.0.state.lock();
        state.interface = link.index.cast_unsigned();
        if link.protocol != 0 {
            state.protocol = link.protocol;
        }
        Ok(())
    }

    fn local_address(&self) -> Result<Address> {
        let (protocol, index) = {
            let state = self.0.state.lock();
            (state.protocol, state.interface.cast_signed())
        };
        let interface = self.0.network.interface(index).ok();
        let mut address = [0; 8];
        if let Some(interface) = &interface {
            crate::stack::packet::write(&mut address, 0, &interface.hardware_address);
        }
        Ok(Address::Link(LinkAddress {
            protocol,
            index,
            hardware_type: interface.as_ref().map_or(0, |one| one.hardware_type),
            packet_type: 0,
            length: interface.map_or(0, |one| one.hardware_address.len() as u8),
            address,
        }))
    }

    fn peer_address(&self) -> Result<Address> {
        Err(Errno::EOPNOTSUPP)
    }

    fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize> {
        self.0.send(message, env)
    }

    fn receive(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received> {
        if flags & MSG_OOB != 0 {
            return Err(Errno::EINVAL);
        }
        if flags & MSG_ERRQUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        let mut state = self.0.state.lock();
        let waiting = if flags & MSG_PEEK != 0 {
            state.queue.front().cloned()
        } else {
            state.queue.pop()
        };
        let waiting = waiting.ok_or(Errno::EAGAIN)?;
        let mut control = Vec::new();
        if let Some(nanoseconds) = state.options.timestamps() {
            let at = waiting.frame.at;
            control.push(Control::Timestamp { nanoseconds, at });
        }
        if state.options.auxdata {
            control.push(Control::PacketAuxiliary {
                status: TP_STATUS_USER,
                length: waiting.frame.length as u32,
                kept: waiting.bytes.len() as u32,
                network: waiting.frame.network as u16,
            });
        }
        drop(state);
        let count = waiting.bytes.len().min(sink.remaining());
        sink.put(waiting.bytes.get(..count).unwrap_or(&[]))?;
        let is_cut = count < waiting.bytes.len();
        Ok(Received {
            count,
            full_length: waiting.bytes.len(),
            from: Some(waiting.frame.from),
            control,
            flags: if is_cut { MSG_TRUNC } else { 0 },
        })
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8], env: &dyn Env) -> Result<()> {
        self.0.set_option(level, name, value, env)
    }

    fn option(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>> {
        self.0.option(level, name, argument)
    }

    fn poll(&self) -> u32 {
        let state = self.0.state.lock();
        let is_readable = match &state.ring {
            Some(ring) => ring.is_readable(),
            None => state.queue.front().is_some(),
        };
        poll::ready(is_readable, true)
    }

    fn wait_list(&self) -> &WaitList {
        &self.0.readers
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        if command != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len = {
            let state = self.0.state.lock();
            state.queue.front().map_or(0, |one| one.bytes.len())
        };
        socket::answer_count(memory, argument, len)
    }

    fn set_inode(&self, ino: u64) {
        self.0.inode.store(ino, Relaxed);
    }

    fn map_inode(&self) -> Option<InodeRef> {
        Some(self.0.state.lock().ring.as_ref()?.memory.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
