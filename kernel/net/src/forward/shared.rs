//! What all forwarded sockets share: the way to the device, who is called what, memory.
use super::datagrams::ForwardDatagrams;
use super::kept::Kept;
use super::listener::ForwardListener;
use super::outbox::Outbox;
use super::queue::Budget;
use super::stream::ForwardStream;
use super::transport::Transport;
use crate::Result;
use crate::netconf::NetConfig;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use hashbrown::HashMap;
use linux_abi::Errno;
use rustc_hash::FxBuildHasher;
use spin::Mutex;

/// A socket that the device knows by a name.
pub enum Endpoint {
    Stream(Weak<ForwardStream>),
    Listener(Weak<ForwardListener>),
    Datagrams(Weak<ForwardDatagrams>),
}

/// The same, while somebody has it.
pub enum Living {
    Stream(Arc<ForwardStream>),
    Listener(Arc<ForwardListener>),
    Datagrams(Arc<ForwardDatagrams>),
    /// It is about to be forgotten.
    Dying,
}

impl Endpoint {
    fn upgrade(&self) -> Living {
        match self {
            Self::Stream(stream) => stream.upgrade().map(Living::Stream),
            Self::Listener(listener) => listener.upgrade().map(Living::Listener),
            Self::Datagrams(datagrams) => datagrams.upgrade().map(Living::Datagrams),
        }
        .unwrap_or(Living::Dying)
    }
}

/// Packets, bytes, errors and drops since boot.
#[derive(Default)]
pub struct Counters([AtomicU64; 4]);

impl Counters {
    pub fn packet(&self, bytes: usize) {
        let [packets, all_bytes, ..] = &self.0;
        packets.fetch_add(1, Relaxed);
        all_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub fn error(&self) {
        let [_, _, errors, _] = &self.0;
        errors.fetch_add(1, Relaxed);
    }

    pub fn get(&self) -> [u64; 4] {
        self.0.each_ref().map(|counter| counter.load(Relaxed))
    }
}

pub struct Shared {
    pub outbox: Outbox,
    pub config: NetConfig,
    pub budget: Budget,
    pub kept: Kept,
    pub received: Counters,
    pub sent: Counters,
    endpoints: Mutex<HashMap<u64, Endpoint, FxBuildHasher>>,
    next_name: AtomicU64,
    /// Streams that keep buffers of the device, each once, longest first.
    holders: Mutex<VecDeque<u64>>,
}

impl Shared {
    pub fn new(transport: Box<dyn Transport>, config: NetConfig, heap: usize) -> Self {
        Self {
            outbox: Outbox::new(transport, heap / 4),
            config,
            budget: Budget::new(heap),
            kept: Kept::new(heap / 2),
            received: Counters::default(),
            sent: Counters::default(),
            endpoints: Mutex::default(),
            next_name: AtomicU64::new(1),
            holders: Mutex::default(),
        }
    }

    pub fn new_name(&self) -> u64 {
        self.next_name.fetch_add(1, Relaxed)
    }

    pub fn introduce(&self, name: u64, endpoint: Endpoint) {
        self.endpoints.lock().insert(name, endpoint);
    }

    pub fn forget(&self, name: u64) {
        self.endpoints.lock().remove(&name);
    }

    pub fn find(&self, name: u64) -> Option<Living> {
        self.endpoints.lock().get(&name).map(Endpoint::upgrade)
    }

    pub fn stream(&self, name: u64) -> Option<Arc<ForwardStream>> {
        match self.find(name)? {
            Living::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.endpoints.lock().is_empty()
    }

    /// The guest's own address that speaks to `remote`. `ENETUNREACH`: it has none of that family.
    pub fn own_address(&self, remote: IpAddr) -> Result<IpAddr> {
        self.config
            .addresses
            .iter()
            .map(|(address, _)| *address)
            .find(|address| address.is_ipv4() == remote.is_ipv4())
            .ok_or(Errno::ENETUNREACH)
    }

    pub fn count_sent(&self, bytes: usize) {
        self.sent.packet(bytes);
    }

    /// Whether streams may keep buffers of the device: a quarter stays for everybody else.
    pub fn can_spare_buffers(&self) -> bool {
        let (held, total) = self.outbox.transport().held_buffers();
        held < total - total / 4
    }

    /// The stream keeps a buffer.
    pub fn add_holder(&self, name: u64) {
        let mut holders = self.holders.lock();
        if holders.len() == holders.capacity() && !holders.is_empty() {
            // Rather than grow, forget who is gone.
            let endpoints = self.endpoints.lock();
            holders.retain(|name| endpoints.contains_key(name));
        }
        holders.push_back(name);
    }

    /// Has streams give back their buffers, those that keep them longest first, until there are enough.
    pub fn reclaim_buffers(&self) {
        let mut looks = self.holders.lock().len();
        while looks > 0 && !self.can_spare_buffers() {
            looks -= 1;
            let Some(name) = self.holders.lock().pop_front() else {
                return;
            };
            if let Some(stream) = self.stream(name) {
                stream.let_go();
            }
        }
    }
}
