//! All sockets of these families, for those who list them.
use crate::network::Network;
use alloc::sync::Weak;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The protocol of a listed socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InetProtocol {
    Tcp,
    Udp,
    Icmp,
    Raw,
}

/// A line of /proc/net/tcp and its like.
#[derive(Clone, Debug)]
pub struct SocketEntry {
    pub protocol: InetProtocol,
    /// `AF_INET6`: belongs into tcp6 and so on; then the addresses are shown as IPv6.
    pub v6: bool,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// `TCP_*` of netinet/tcp.h.
    pub state: u8,
    pub send_queue: usize,
    /// Of a listener: the connections that wait to be accepted.
    pub receive_queue: usize,
    pub drops: u64,
    pub uid: u32,
    /// What fstat(2) shows; 0: it has no descriptor yet.
    pub inode: u64,
}

/// A socket that can be listed.
pub(crate) trait Listed: Send + Sync {
    fn entry(&self) -> SocketEntry;
}

/// Places for sockets; a place that was left is used again.
#[derive(Default)]
pub(crate) struct Registry {
    places: Vec<Option<Weak<dyn Listed>>>,
    free: Vec<usize>,
}

impl Registry {
    pub(crate) fn add(&mut self, socket: Weak<dyn Listed>) -> usize {
        match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.places.get_mut(at) {
                    *place = Some(socket);
                }
                at
            }
            None => {
                self.places.push(Some(socket));
                self.places.len() - 1
            }
        }
    }

    pub(crate) fn remove(&mut self, at: usize) {
        if let Some(place) = self.places.get_mut(at)
            && place.take().is_some()
        {
            self.free.push(at);
        }
    }
}

impl Network {
    /// All TCP, UDP and ICMP sockets, in no order.
    #[must_use]
    pub fn inet_sockets(&self) -> Vec<SocketEntry> {
        let sockets: Vec<Weak<dyn Listed>> = {
            let registry = self.inet().registry.lock();
            registry.places.iter().flatten().cloned().collect()
        };
        sockets
            .iter()
            .filter_map(Weak::upgrade)
            .map(|socket| socket.entry())
            .collect()
    }

    /// What happened since boot.
    #[must_use]
    pub fn inet_counters(&self) -> &super::Counters {
        &self.inet().counters
    }
}
