//! The way out through sockets of the host: every connection of the guest is one of the monitor's.
//!
//! [`boot_abi::hostnet`] is the contract with the device. The kernel's driver owns the rings ([`Transport`]) and hands on
//! what comes out of them ([`Forward::receive`], [`Forward::completed`]), holding no lock. Nothing here waits.

mod datagrams;
mod kept;
mod listener;
mod messages;
mod outbox;
mod pool;
mod queue;
mod shared;
mod spin;
mod stream;
mod stream_options;
#[cfg(test)]
mod tests;
mod transport;

pub use spin::SpinTime;
pub use transport::{EventBuffer, Request, Transport};

use crate::Result;
use crate::netconf::NetConfig;
use crate::network::{Interface, InterfaceFlags};
use crate::uplink::{
    Acceptor, ConnectRequest, Connection, DatagramKind, DatagramReceiver, Datagrams, Listening,
    Stream, Uplink,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use boot_abi::hostnet::{
    EV_CONNECTED, EV_DATA, EV_DATAGRAM, EV_DATAGRAM_ERROR, EV_END, EV_FAILED, EV_INCOMING, EV_INFO,
    EV_TAKEN, Header, REQ_CONNECT, encode_address,
};
use core::net::SocketAddr;
use core::ops::Range;
use listener::ForwardListener;
use messages::{Messages, Payload};
use shared::{Endpoint, Living, Shared};
use stream::ForwardStream;

/// `eth0` comes after `lo`.
const INDEX: u32 = 2;
/// As other user-mode networks have it. No packet of that size ever exists.
const MTU: u32 = 65520;
/// How many of those who wait for room are told each time that a message is done; others would only find it taken.
const ADMITTED: usize = 16;
/// `ARPHRD_ETHER`
const ETHER: u16 = 1;
/// Locally administered; nobody else is on that network.
const HARDWARE_ADDRESS: [u8; 6] = [0x02, 0x00, 0x0a, 0x00, 0x02, 0x0f];

/// The uplink of `mode=forward`.
pub struct Forward {
    shared: Arc<Shared>,
}

impl Forward {
    /// `heap`: how many bytes of the heap may hold what programs have not read yet.
    #[must_use]
    pub fn new(transport: Box<dyn Transport>, config: NetConfig, heap: usize) -> Self {
        Self {
            shared: Arc::new(Shared::new(transport, config, heap)),
        }
    }

    /// Whether there is anything for which something could come.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.shared.is_empty() || !self.shared.kept.is_empty()
    }

    /// Whether somebody waits for the device to carry out what it was told.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.shared.outbox.is_crowded()
    }

    /// The device has filled a buffer.
    pub fn receive(&self, buffer: &Arc<dyn EventBuffer>) {
        let mut messages = Messages::new(buffer.bytes());
        for (header, range) in messages.by_ref() {
            if !self.handle(header, buffer, range) {
                self.shared.received.error();
            }
        }
        if messages.is_broken() {
            self.shared.received.error();
        }
        self.shared.reclaim_buffers();
    }

    /// False: the message makes no sense. What comes for an unknown socket does: it may have crossed the socket's end.
    fn handle(&self, header: Header, buffer: &Arc<dyn EventBuffer>, range: Range<usize>) -> bool {
        let mut payload = Payload(buffer.bytes().get(range.clone()).unwrap_or(&[]));
        if header.kind == EV_TAKEN {
            return payload
                .u32()
                .is_some_and(|count| self.taken(header.socket, count));
        }
        match self.shared.find(header.socket) {
            Some(Living::Stream(stream)) => self.handle_stream(&stream, header.kind, buffer, range),
            Some(Living::Datagrams(datagrams)) => match header.kind {
                EV_DATAGRAM => datagrams.datagram(payload),
                EV_DATAGRAM_ERROR => datagrams.error(payload),
                _ => false,
            },
            Some(Living::Listener(listener)) if header.kind == EV_INCOMING => {
                let (Some(name), Some(peer), Some(local)) =
                    (payload.u64(), payload.address(), payload.address())
                else {
                    return false;
                };
                listener.incoming(name, peer, local)
            }
            Some(Living::Listener(_)) => false,
            Some(Living::Dying) => true,
            None => {
                if header.kind == EV_INCOMING
                    && let Some(name) = payload.u64()
                {
                    ForwardListener::refuse(&self.shared, name);
                }
                true
            }
        }
    }

    fn handle_stream(
        &self,
        stream: &ForwardStream,
        kind: u16,
        buffer: &Arc<dyn EventBuffer>,
        range: Range<usize>,
    ) -> bool {
        let mut payload = Payload(buffer.bytes().get(range.clone()).unwrap_or(&[]));
        match kind {
            EV_DATA => {
                self.shared.received.packet(range.len());
                return stream.data(buffer, range);
            }
            EV_END => stream.end(),
            EV_INFO => stream.answer(payload.0),
            EV_CONNECTED => match payload.address() {
                Some(host) => stream.connected(host),
                None => return false,
            },
            EV_FAILED => match payload.errno() {
                Some(errno) => stream.failed(errno),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    /// The device has carried out a request.
    pub fn completed(&self, request: Request) {
        self.settle(request);
        if self.is_crowded() {
            self.go_on();
        }
    }

    /// The device has given back a request and still reads it. What was given back before an event must come here before it.
    pub fn kept(&self, request: Request) {
        self.shared.kept.push(request);
        if self.is_crowded() {
            self.go_on();
        }
    }

    /// The device reads so many kept requests no more. False: there are not so many.
    fn taken(&self, socket: u64, count: u32) -> bool {
        for _ in 0..count {
            let Some(request) = self.shared.kept.pop(socket) else {
                return false;
            };
            self.settle(request);
        }
        true
    }

    /// The memory of a request is free, and its socket has room for more.
    fn settle(&self, request: Request) {
        let (socket, charge) = (request.socket, request.charge);
        self.shared.outbox.recycle(request);
        if let Some(charge) = charge {
            match self.shared.find(socket) {
                Some(Living::Stream(stream)) => stream.sent(charge),
                Some(Living::Datagrams(datagrams)) => datagrams.sent(charge),
                _ => {}
            }
        }
    }

    /// There is room in the queue again.
    fn go_on(&self) {
        self.shared.outbox.flush();
        for _ in 0..ADMITTED {
            let Some(name) = self.shared.outbox.next_refused() else {
                return;
            };
            match self.shared.find(name) {
                Some(Living::Stream(stream)) => stream.admitted(),
                Some(Living::Datagrams(datagrams)) => datagrams.admitted(),
                _ => {}
            }
        }
    }
}

impl Uplink for Forward {
    fn interfaces(&self) -> Vec<Interface> {
        let config = &self.shared.config;
        alloc::vec![Interface {
            index: INDEX,
            name: String::from("eth0"),
            flags: InterfaceFlags::UP
                | InterfaceFlags::BROADCAST
                | InterfaceFlags::RUNNING
                | InterfaceFlags::MULTICAST
                | InterfaceFlags::LOWER_UP,
            mtu: config.mtu.unwrap_or(MTU),
            hardware_type: ETHER,
            hardware_address: HARDWARE_ADDRESS,
            addresses: config.addresses.clone(),
            gateways: config.gateways.clone(),
            received: self.shared.received.get(),
            sent: self.shared.sent.get(),
        }]
    }

    fn connect(&self, request: ConnectRequest<'_>) -> Result<Arc<dyn Stream>> {
        let shared = &self.shared;
        let own = shared.own_address(request.remote.ip())?;
        shared.outbox.admit()?;
        let mut local = request.local;
        if local.ip().is_unspecified() {
            local = SocketAddr::new(own, local.port());
        }
        let name = shared.new_name();
        let stream = ForwardStream::new(
            shared,
            name,
            Connection::Connecting,
            local,
            request.remote,
            request.events,
        );
        for option in request.options {
            stream.resize(*option);
        }
        shared.introduce(name, Endpoint::Stream(Arc::downgrade(&stream)));
        shared.outbox.tell(
            REQ_CONNECT,
            0,
            name,
            &[
                &encode_address(request.remote),
                &stream_options::encode(request.options),
            ],
        );
        Ok(stream)
    }

    fn listen(
        &self,
        local: SocketAddr,
        backlog: usize,
        acceptor: Weak<dyn Acceptor>,
    ) -> Result<Box<dyn Listening>> {
        let listener = ForwardListener::open(&self.shared, local, backlog, acceptor)?;
        Ok(Box::new(listener::Held(listener)))
    }

    fn datagrams(
        &self,
        kind: DatagramKind,
        local: SocketAddr,
        receiver: Weak<dyn DatagramReceiver>,
    ) -> Result<Box<dyn Datagrams>> {
        let datagrams = datagrams::ForwardDatagrams::open(&self.shared, kind, local, receiver)?;
        Ok(Box::new(datagrams::Held(datagrams)))
    }
}
