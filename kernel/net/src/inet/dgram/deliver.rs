//! Datagrams and errors reach a socket.
use super::queue::{Datagram, ErrorEntry};
use super::{Dgram, Kind};
use crate::inet::ip::{Family, canonical};
use crate::inet::options::Slot;
use crate::uplink::DatagramReceiver;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;
use vfs::poll;

const REALTIME: u32 = 0;
/// /proc/sys/net/core/rmem_default
const BUFFER_DEFAULT: i32 = 212_992;

impl Dgram {
    /// Puts it into the queue, if there is room and the socket wants such.
    pub(super) fn enqueue(&self, mut datagram: Datagram) {
        if self.kind == Kind::Raw && !self.wants_raw(&mut datagram) {
            return;
        }
        let limit = {
            let options = self.options.lock();
            if options.is_set(Slot::Timestamps) {
                datagram.at = self.network.host().clock(REALTIME);
            }
            match options.get(Slot::ReceiveBuffer) {
                0 => BUFFER_DEFAULT,
                set => set,
            }
        };
        let limit = usize::try_from(limit).unwrap_or(0);
        let taken = self.queue.lock().push(datagram, limit);
        let counters = &self.network.inet().counters;
        match (taken, self.kind) {
            (true, Kind::Udp) => counters.udp_received.add(1),
            (true, _) => counters.icmp_received.add(1),
            (false, _) => counters.udp_dropped.add(1),
        }
        if taken {
            self.events.notify(poll::IN | poll::RDNORM);
        }
    }

    /// Something that was sent to `remote` came to nothing; `offender` says so.
    pub(super) fn report(
        &self,
        errno: Errno,
        remote: SocketAddr,
        offender: IpAddr,
        bytes: Vec<u8>,
    ) {
        let slot = match Family::of(remote.ip()) {
            Family::V4 => Slot::ReceiveErrors,
            Family::V6 => Slot::ReceiveErrors6,
        };
        let wanted = {
            let options = self.options.lock();
            // An IPv6 socket may have asked at either level.
            options.is_set(slot) || options.is_set(Slot::ReceiveErrors6)
        };
        let connected = self.interest.lock().peer.is_some();
        {
            let mut queue = self.queue.lock();
            if wanted {
                queue.push_error(ErrorEntry::new(errno, remote, offender, bytes));
            } else if connected {
                queue.error = Some(errno);
            } else {
                return;
            }
        }
        self.events.notify(poll::ERR | poll::IN | poll::OUT);
    }
}

impl DatagramReceiver for Dgram {
    fn deliver(&self, from: SocketAddr, to: IpAddr, hop_limit: u8, bytes: &[u8]) {
        let from = canonical(from);
        let to = canonical(SocketAddr::new(to, 0)).ip();
        let stranger = self.interest.lock().peer.is_some_and(|peer| {
            peer.ip() != from.ip() || (self.kind == Kind::Udp && peer.port() != from.port())
        });
        if stranger || !self.admits(to) {
            return;
        }
        if from.ip().is_loopback() {
            self.visitors.lock().add(from);
        }
        let known = self.network.interface_of(to);
        let interface = if known > 1 {
            known
        } else {
            self.network.first_interface()
        };
        self.enqueue(Datagram {
            bytes: bytes.to_vec(),
            from,
            to,
            hop_limit,
            traffic_class: 0,
            interface,
            at: 0,
        });
    }

    fn error(&self, errno: Errno, remote: SocketAddr) {
        let remote = canonical(remote);
        self.report(errno, remote, remote.ip(), Vec::new());
    }

    fn writable(&self) {
        self.queue.lock().blocked = false;
        self.events.notify(poll::OUT | poll::WRNORM | poll::WRBAND);
    }
}
