//! `SOCK_DGRAM` and `SOCK_SEQPACKET`: messages with boundaries.
use super::ancillary;
use super::endpoint::{Endpoint, Phase, READABLE};
use super::flight::Flight;
use crate::Result;
use crate::address::Address;
use crate::env::{Env, Ucred};
use crate::message::{Outgoing, Received};
use crate::socket::SocketType;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use linux_abi::Errno;
use linux_abi::raw::net::{MSG_OOB, MSG_PEEK, MSG_TRUNC};
use vfs::{Sink, Source, poll};

/// What a packet of `size` bytes is taken to occupy: about as much as on Linux, where small ones are all alike.
const fn occupied(size: usize) -> usize {
    const SMALL: usize = 64;
    704 + if size > SMALL { size } else { SMALL }
}

/// How much smaller than the buffer a packet must be.
const RESERVE: usize = 32;

pub(super) struct Packet {
    pub bytes: Vec<u8>,
    sender: Arc<Endpoint>,
    credentials: Ucred,
    pub flight: Option<Flight>,
}

impl Packet {
    fn new(source: &mut dyn Source, sender: &Arc<Endpoint>, credentials: Ucred) -> Result<Self> {
        let size = source.remaining();
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Errno::ENOBUFS)?;
        bytes.resize(size, 0);
        source.take(&mut bytes)?;
        sender.in_flight.fetch_add(occupied(size), AcqRel);
        Ok(Self {
            bytes,
            sender: sender.clone(),
            credentials,
            flight: None,
        })
    }

    /// It is out of the queue, and no endpoint is locked.
    pub fn leave(self) {
        let size = occupied(self.bytes.len());
        let before = self.sender.in_flight.fetch_sub(size, AcqRel);
        self.sender.acknowledge(before, before.saturating_sub(size));
    }

    /// Copies it out; what does not fit is lost.
    fn copy(&self, sink: &mut dyn Sink) -> Result<Received> {
        let count = self.bytes.len().min(sink.remaining());
        if count > 0 {
            sink.put(self.bytes.get(..count).unwrap_or(&[]))?;
        }
        let is_cut = count < self.bytes.len();
        Ok(Received {
            count,
            full_length: self.bytes.len(),
            from: self.sender.name.get().map(|_| self.sender.address()),
            control: Vec::new(),
            flags: if is_cut { MSG_TRUNC } else { 0 },
        })
    }
}

impl Endpoint {
    pub fn send_packet(
        self: &Arc<Self>,
        message: &mut Outgoing<'_>,
        env: &dyn Env,
    ) -> Result<usize> {
        if self.kind == SocketType::SeqPacket {
            self.check_connection()?;
        }
        let credentials = ancillary::check(self, &message.control, env)?;
        if message.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        self.check_room(message)?;
        loop {
            let to = self.receiver(message, env)?;
            if let Some(count) = self.send_to(&to, message, credentials)? {
                to.waiters.notify(READABLE);
                return Ok(count);
            }
            self.lost(&to, message)?;
        }
    }

    /// Seqpackets need a connection, and tell first how it broke.
    fn check_connection(&self) -> Result<()> {
        let mut state = self.state.lock();
        match state.error.take() {
            Some(error) => Err(error),
            None if state.phase == Phase::Connected => Ok(()),
            None => Err(Errno::ENOTCONN),
        }
    }

    /// What forbids sending whoever gets it.
    fn check_room(self: &Arc<Self>, message: &Outgoing<'_>) -> Result<()> {
        if message.to.is_some() && self.kind == SocketType::Datagram {
            Self::check_address(message.to.as_ref())?;
        }
        self.name_for_credentials()?;
        let limit = self.send_limit.load(Relaxed);
        if message.source.remaining() > limit.saturating_sub(RESERVE) {
            return Err(Errno::EMSGSIZE);
        }
        let mut state = self.state.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        if state.shut_write {
            return Err(Errno::EPIPE);
        }
        if self.in_flight.load(Relaxed) >= limit {
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }

    fn receiver(&self, message: &Outgoing<'_>, env: &dyn Env) -> Result<Arc<Self>> {
        match &message.to {
            // A seqpacket goes to the peer whatever address is given.
            Some(Address::Unix(name)) if self.kind == SocketType::Datagram => self.find(name, env),
            _ => self.peer().ok_or(Errno::ENOTCONN),
        }
    }

    /// None: `to` is closed.
    fn send_to(
        self: &Arc<Self>,
        to: &Arc<Self>,
        message: &mut Outgoing<'_>,
        credentials: Ucred,
    ) -> Result<Option<usize>> {
        let mut theirs = to.state.lock();
        if theirs.peer.is_some() && !theirs.is_peer(self) {
            return Err(Errno::EPERM);
        }
        if theirs.is_dead {
            return Ok(None);
        }
        if theirs.shut_read {
            return Err(Errno::EPIPE);
        }
        if !Arc::ptr_eq(self, to) && !theirs.is_peer(self) && theirs.is_full() {
            theirs.block(self);
            return Err(Errno::EAGAIN);
        }
        let mut packet = Packet::new(message.source, self, credentials)?;
        packet.flight = ancillary::take_files(self, &mut message.control);
        let count = packet.bytes.len();
        theirs.packets.push_back(packet);
        Ok(Some(count))
    }

    /// The receiver was closed: an error for who is connected to it, another look for who gave an address.
    fn lost(self: &Arc<Self>, to: &Arc<Self>, message: &Outgoing<'_>) -> Result<()> {
        if self.kind == SocketType::SeqPacket {
            return Err(Errno::EPIPE);
        }
        let mut state = self.state.lock();
        if state.is_peer(to) {
            state.peer = None;
            state.phase = Phase::Closed;
            drop(state);
            self.disconnected(to);
            return Err(Errno::ECONNREFUSED);
        }
        match message.to {
            Some(_) => Ok(()),
            None => Err(Errno::ECONNRESET),
        }
    }

    /// This end is no longer connected to `old`: what came from there is dropped, and `old` hears that it is lost.
    pub fn disconnected(self: &Arc<Self>, old: &Arc<Self>) {
        let (dropped, blocked) = {
            let mut state = self.state.lock();
            if state.packets.is_empty() {
                return;
            }
            (core::mem::take(&mut state.packets), state.unblock())
        };
        for packet in dropped {
            packet.leave();
        }
        blocked.tell();
        let mut theirs = old.state.lock();
        if !theirs.is_dead && theirs.is_peer(self) {
            theirs.error = Some(Errno::ECONNRESET);
            drop(theirs);
            old.waiters.notify(poll::ERR);
        }
    }

    pub fn receive_packet(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received> {
        let mut state = self.state.lock();
        if self.kind == SocketType::SeqPacket && state.phase != Phase::Connected {
            return Err(Errno::ENOTCONN);
        }
        if flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        if flags & MSG_PEEK != 0
            && let Some(packet) = state.packets.front()
        {
            let mut received = packet.copy(sink)?;
            let files = packet.flight.as_ref().map(Flight::copy);
            let files = files.unwrap_or_default();
            ancillary::deliver(self, &mut received, packet.credentials, files);
            return Ok(received);
        }
        let Some(mut packet) = state.packets.pop_front() else {
            // Linux tells a non-blocking datagram socket to try again instead; nothing will ever come, though.
            return match state.shut_read {
                true => Ok(Received::default()),
                false => Err(Errno::EAGAIN),
            };
        };
        let blocked = state.unblock();
        drop(state);
        blocked.tell();
        let received = packet.copy(sink).map(|mut received| {
            let files = packet.flight.take().map(Flight::land);
            let files = files.unwrap_or_default();
            ancillary::deliver(self, &mut received, packet.credentials, files);
            received
        });
        packet.leave();
        received
    }
}
