//! Which sockets there are, and under which names they are found.
use super::endpoint::{Endpoint, Phase};
use super::flight::Flights;
use crate::Result;
use crate::address::UnixName;
use crate::socket::SocketType;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use hashbrown::HashMap;
use linux_abi::Errno;
use rustc_hash::FxBuildHasher;
use spin::Mutex;
use vfs::{Host, InodeRef};

type Table<K> = Mutex<HashMap<K, Weak<Endpoint>, FxBuildHasher>>;

/// A socket, as a line of /proc/net/unix has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnixEntry {
    pub kind: SocketType,
    pub is_listening: bool,
    pub is_connected: bool,
    /// What fstat(2) shows; 0 for a connection that waits for accept(2).
    pub inode: u64,
    pub name: UnixName,
}

/// All Unix sockets.
pub(crate) struct Names {
    host: Arc<dyn Host>,
    next_id: AtomicU64,
    all: Mutex<BTreeMap<u64, Weak<Endpoint>>>,
    /// By device and inode number.
    nodes: Table<(u64, u64)>,
    /// Each type of socket has abstract names of its own.
    abstracts: Table<(u32, Vec<u8>)>,
    pub(super) flights: Flights,
}

fn key_of(node: &InodeRef) -> (u64, u64) {
    (node.metadata().dev, node.ino())
}

impl Names {
    pub fn new(host: Arc<dyn Host>) -> Arc<Self> {
        Arc::new(Self {
            host,
            next_id: AtomicU64::new(1),
            all: Mutex::new(BTreeMap::new()),
            nodes: Mutex::new(HashMap::with_hasher(FxBuildHasher)),
            abstracts: Mutex::new(HashMap::with_hasher(FxBuildHasher)),
            flights: Flights::new(),
        })
    }

    pub(super) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    pub(super) fn add(&self, endpoint: &Arc<Endpoint>) {
        let weak = Arc::downgrade(endpoint);
        self.all.lock().insert(endpoint.id, weak);
    }

    /// Forgets an endpoint that is closed.
    pub(super) fn remove(&self, endpoint: &Endpoint) {
        self.all.lock().remove(&endpoint.id);
        let is_it = |known: &mut Weak<Endpoint>| core::ptr::eq(known.as_ptr(), endpoint);
        match endpoint.name.get().map(|name| &**name) {
            Some(UnixName::Path(_)) => {
                // A connection has the name of its listener, and no node.
                if let Some(node) = endpoint.node.get() {
                    let mut nodes = self.nodes.lock();
                    let key = key_of(node);
                    if nodes.get_mut(&key).is_some_and(is_it) {
                        nodes.remove(&key);
                    }
                }
            }
            Some(UnixName::Abstract(name)) => {
                let mut abstracts = self.abstracts.lock();
                let key = (endpoint.kind.value(), name.clone());
                if abstracts.get_mut(&key).is_some_and(is_it) {
                    abstracts.remove(&key);
                }
            }
            Some(UnixName::Unnamed) | None => {}
        }
    }

    /// `endpoint` is found under `node` from now on.
    pub(super) fn bind_node(&self, node: &InodeRef, endpoint: &Arc<Endpoint>) {
        let weak = Arc::downgrade(endpoint);
        self.nodes.lock().insert(key_of(node), weak);
    }

    /// `endpoint` is found under the abstract `name` from now on. `EADDRINUSE`
    pub(super) fn bind_abstract(&self, name: &[u8], endpoint: &Arc<Endpoint>) -> Result<()> {
        let key = (endpoint.kind.value(), name.to_vec());
        let mut abstracts = self.abstracts.lock();
        if abstracts
            .get(&key)
            .is_some_and(|known| known.strong_count() > 0)
        {
            return Err(Errno::EADDRINUSE);
        }
        abstracts.insert(key, Arc::downgrade(endpoint));
        Ok(())
    }

    /// Binds to a free name of five hexadecimal digits. `ENOSPC`: there is none.
    pub(super) fn bind_any(&self, endpoint: &Arc<Endpoint>) -> Result<Vec<u8>> {
        const ALL: u32 = 1 << 20;
        let mut start = [0; 4];
        self.host.random(&mut start);
        let start = u32::from_ne_bytes(start);
        for step in 0..ALL {
            let name = format!("{:05x}", start.wrapping_add(step) % ALL).into_bytes();
            if self.bind_abstract(&name, endpoint).is_ok() {
                return Ok(name);
            }
        }
        Err(Errno::ENOSPC)
    }

    pub(super) fn find_node(&self, node: &InodeRef) -> Option<Arc<Endpoint>> {
        let nodes = self.nodes.lock();
        nodes.get(&key_of(node)).and_then(Weak::upgrade)
    }

    pub(super) fn find_abstract(&self, kind: SocketType, name: &[u8]) -> Option<Arc<Endpoint>> {
        let abstracts = self.abstracts.lock();
        let key = (kind.value(), name.to_vec());
        abstracts.get(&key).and_then(Weak::upgrade)
    }

    /// All sockets, oldest first.
    pub fn entries(&self) -> Vec<UnixEntry> {
        let all: Vec<_> = {
            let all = self.all.lock();
            all.values().filter_map(Weak::upgrade).collect()
        };
        let entry = |endpoint: &Arc<Endpoint>| {
            let phase = endpoint.state.lock().phase;
            let name = endpoint.name.get();
            UnixEntry {
                kind: endpoint.kind,
                is_listening: phase == Phase::Listening,
                is_connected: phase == Phase::Connected,
                inode: endpoint.inode.load(Relaxed),
                name: name.map_or(UnixName::Unnamed, |name| (**name).clone()),
            }
        };
        all.iter().map(entry).collect()
    }
}
