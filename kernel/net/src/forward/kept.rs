//! Messages that the device has given back and still reads: those for peers that do not take what they get.
use super::transport::Request;
use alloc::collections::VecDeque;
use boot_abi::hostnet::KEPT_MOST;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use spin::Mutex;

/// By socket, oldest first. A socket that is gone may have some.
pub struct Kept {
    queues: Mutex<HashMap<u64, VecDeque<Request>, FxBuildHasher>>,
    bytes: AtomicUsize,
    messages: AtomicUsize,
    limit: usize,
}

impl Kept {
    /// `limit`: bytes of the heap from which on sockets get less room.
    pub fn new(limit: usize) -> Self {
        Self {
            queues: Mutex::default(),
            bytes: AtomicUsize::new(0),
            messages: AtomicUsize::new(0),
            limit,
        }
    }

    /// Whether sockets should have less under way. Half of what the device keeps is left for those who have nothing there.
    pub fn is_large(&self) -> bool {
        self.bytes.load(Relaxed) > self.limit || self.messages.load(Relaxed) > KEPT_MOST / 2
    }

    pub fn is_empty(&self) -> bool {
        self.messages.load(Relaxed) == 0
    }

    pub fn push(&self, request: Request) {
        self.bytes.fetch_add(request.buffer.len(), Relaxed);
        self.messages.fetch_add(1, Relaxed);
        let mut queues = self.queues.lock();
        queues.entry(request.socket).or_default().push_back(request);
    }

    /// The oldest one of the socket.
    pub fn pop(&self, socket: u64) -> Option<Request> {
        let mut queues = self.queues.lock();
        let queue = queues.get_mut(&socket)?;
        let request = queue.pop_front()?;
        if queue.is_empty() {
            queues.remove(&socket);
        }
        self.bytes.fetch_sub(request.buffer.len(), Relaxed);
        self.messages.fetch_sub(1, Relaxed);
        Some(request)
    }
}
