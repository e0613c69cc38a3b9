//! A socket whose datagrams go through the host.
use super::messages::Payload;
use super::outbox::{Gate, Outbox};
use super::shared::{Endpoint, Shared};
use crate::Result;
use crate::uplink::{DatagramKind, DatagramReceiver, Datagrams};
use alloc::sync::{Arc, Weak};
use boot_abi::hostnet::{
    FLAG_ECHO, FLAG_JOIN, FLAG_UDP, Header, REQ_CLOSE, REQ_DATAGRAMS, REQ_MEMBERSHIP, REQ_SEND_TO,
    encode_address,
};
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;
use spin::{Mutex, MutexGuard};
use vfs::Source;

/// `net.core.wmem_default`
const WINDOW: u32 = 212_992;
/// The address, the hop limit and zeros before the bytes of a datagram.
const PREFIX: usize = boot_abi::hostnet::ADDRESS_SIZE + 8;

fn has_room(gate: &Gate, outbox: &Outbox) -> bool {
    gate.bytes < WINDOW && outbox.has_room(gate.messages, false)
}

pub struct ForwardDatagrams {
    shared: Arc<Shared>,
    name: u64,
    receiver: Weak<dyn DatagramReceiver>,
    gate: Mutex<Gate>,
}

impl ForwardDatagrams {
    pub fn open(
        shared: &Arc<Shared>,
        kind: DatagramKind,
        local: SocketAddr,
        receiver: Weak<dyn DatagramReceiver>,
    ) -> Result<Arc<Self>> {
        let flags = match kind {
            DatagramKind::Udp => FLAG_UDP,
            DatagramKind::Echo => FLAG_ECHO,
            DatagramKind::Raw { .. } => return Err(Errno::EPROTONOSUPPORT),
        };
        shared.outbox.admit()?;
        let datagrams = Arc::new(Self {
            shared: shared.clone(),
            name: shared.new_name(),
            receiver,
            gate: Mutex::default(),
        });
        shared.introduce(
            datagrams.name,
            Endpoint::Datagrams(Arc::downgrade(&datagrams)),
        );
        shared.outbox.tell(
            REQ_DATAGRAMS,
            flags,
            datagrams.name,
            &[&encode_address(local)],
        );
        Ok(datagrams)
    }

    /// The payload of `EV_DATAGRAM`. False: it is none.
    pub fn datagram(&self, mut payload: Payload<'_>) -> bool {
        let (Some(from), Some(to), Some(hops)) =
            (payload.address(), payload.address(), payload.byte())
        else {
            return false;
        };
        self.shared.received.packet(payload.0.len());
        if let Some(receiver) = self.receiver.upgrade() {
            receiver.deliver(from, to.ip(), hops, payload.0);
        }
        true
    }

    /// The payload of `EV_DATAGRAM_ERROR`. False: it is none.
    pub fn error(&self, mut payload: Payload<'_>) -> bool {
        let (Some(errno), Some(_), Some(remote)) =
            (payload.errno(), payload.u32(), payload.address())
        else {
            return false;
        };
        if let Some(receiver) = self.receiver.upgrade() {
            receiver.error(errno, remote);
        }
        true
    }

    /// The host has taken a datagram.
    pub fn sent(&self, bytes: u32) {
        let mut gate = self.gate.lock();
        gate.remove(bytes);
        self.announce_room(gate);
    }

    /// The outbox has room again.
    pub fn admitted(&self) {
        let mut gate = self.gate.lock();
        gate.admit();
        self.announce_room(gate);
    }

    fn announce_room(&self, mut gate: MutexGuard<'_, Gate>) {
        let outbox = &self.shared.outbox;
        if !has_room(&gate, outbox) {
            // What it waits for may be something else now.
            if gate.is_blocked() {
                outbox.block(&mut gate, self.name);
            }
            return;
        }
        if !outbox.unblock(&mut gate) {
            return;
        }
        drop(gate);
        if let Some(receiver) = self.receiver.upgrade() {
            receiver.writable();
        }
    }

    fn send(&self, source: &mut dyn Source, to: SocketAddr, hop_limit: u8) -> Result<usize> {
        let count = source.remaining();
        self.shared.own_address(to.ip())?;
        let most = match to {
            // 65535 without the headers of IP and UDP, which IPv6 does not count in full.
            SocketAddr::V4(_) => 65_507,
            SocketAddr::V6(_) => 65_527,
        };
        if count > most {
            return Err(Errno::EMSGSIZE);
        }
        let outbox = &self.shared.outbox;
        let mut gate = self.gate.lock();
        if !has_room(&gate, outbox) {
            outbox.block(&mut gate, self.name);
            return Err(Errno::EAGAIN);
        }
        let mut request = outbox.prepare(Header::new(REQ_SEND_TO, self.name, PREFIX + count))?;
        let hops = [hop_limit, 0, 0, 0, 0, 0, 0, 0];
        let place = request.fill(&[&encode_address(to), &hops]);
        if let Err(errno) = source.take(place) {
            outbox.recycle(request);
            return Err(errno);
        }
        request.charge = Some(count as u32);
        gate.add(count as u32);
        outbox.post(request, true);
        drop(gate);
        self.shared.count_sent(count);
        Ok(count)
    }
}

impl Drop for ForwardDatagrams {
    fn drop(&mut self) {
        self.shared.forget(self.name);
        self.shared.outbox.unblock(self.gate.get_mut());
        self.shared.outbox.tell(REQ_CLOSE, 0, self.name, &[]);
    }
}

/// What the socket holds.
pub struct Held(pub Arc<ForwardDatagrams>);

impl Datagrams for Held {
    fn send(&self, source: &mut dyn Source, to: SocketAddr, hop_limit: u8) -> Result<usize> {
        self.0.send(source, to, hop_limit)
    }

    fn source_for(&self, remote: IpAddr) -> Result<IpAddr> {
        self.0.shared.own_address(remote)
    }

    fn membership(&self, group: IpAddr, _interface: u32, join: bool) -> Result<()> {
        let flags = if join { FLAG_JOIN } else { 0 };
        let address = encode_address(SocketAddr::new(group, 0));
        let outbox = &self.0.shared.outbox;
        outbox.tell(REQ_MEMBERSHIP, flags, self.0.name, &[&address]);
        Ok(())
    }
}
