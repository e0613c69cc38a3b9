//! Files on their way from one process' descriptors to another's (`SCM_RIGHTS`).
use super::UnixSocket;
use super::endpoint::Endpoint;
use super::names::Names;
use crate::socket::Socket;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed, Ordering::Release,
    Ordering::SeqCst,
};
use spin::Mutex;
use vfs::File;

/// A Unix socket that is in some queue.
pub(super) struct Flying {
    pub file: Weak<File>,
    /// In how many places.
    pub count: usize,
}

/// All files in flight.
pub(super) struct Flights {
    files: AtomicUsize,
    /// The Unix sockets among them, by endpoint.
    pub sockets: Mutex<BTreeMap<u64, Flying>>,
    /// Files that nobody will receive, to be closed.
    unwanted: Mutex<Vec<Arc<File>>>,
    is_closing: AtomicBool,
    is_collecting: AtomicBool,
    /// How many sockets were closed since garbage was last looked for.
    closed: AtomicUsize,
    /// So many sockets in flight are looked through before more are sent.
    many: AtomicUsize,
    /// How often files were received.
    landed: AtomicUsize,
}

/// Fewer sockets than this may be in flight for as long as no socket is closed.
const FEW: usize = 256;

/// Held by who looks for unreachable sockets.
pub(super) struct Collecting<'a>(&'a AtomicBool);

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
}

/// The files that one message carries. Dropping it closes them; not with an endpoint locked.
pub(super) struct Flight {
    files: Vec<Arc<File>>,
    names: Arc<Names>,
}

/// The endpoint of a file that is a Unix socket.
pub(super) fn endpoint_of(file: &File) -> Option<&Arc<Endpoint>> {
    let socket = file.ops_as::<Socket>()?;
    let unix: &UnixSocket = socket.ops().as_any().downcast_ref()?;
    Some(&unix.0)
}

impl Flights {
    pub const fn new() -> Self {
        Self {
            files: AtomicUsize::new(0),
            sockets: Mutex::new(BTreeMap::new()),
            unwanted: Mutex::new(Vec::new()),
            is_closing: AtomicBool::new(false),
            is_collecting: AtomicBool::new(false),
            closed: AtomicUsize::new(0),
            many: AtomicUsize::new(FEW),
            landed: AtomicUsize::new(0),
        }
    }

    pub fn count(&self) -> usize {
        self.files.load(Relaxed)
    }

    /// Called whenever a socket was closed. None: not now, as there is nothing in flight, or it would be too often for
    /// how many are, or somebody else does, or what was found is being closed.
    pub fn begin_after_close(&self) -> Option<Collecting<'_>> {
        let sockets = self.sockets.lock().len();
        let closed = self.closed.fetch_add(1, Relaxed) + 1;
        if sockets == 0 || closed.saturating_mul(16) < sockets {
            return None;
        }
        self.begin_collecting()
    }

    /// Called before files are sent. None: not now.
    pub fn begin_if_many(&self) -> Option<Collecting<'_>> {
        let sockets = self.sockets.lock().len();
        if sockets < self.many.load(Relaxed) {
            return None;
        }
        self.begin_collecting()
    }

    /// What is in flight now somebody may still receive: looking through it again has to be worth it.
    pub fn many_are_twice_as_many(&self) {
        let sockets = self.sockets.lock().len();
        self.many.store(FEW.max(sockets * 2), Relaxed);
    }

    fn begin_collecting(&self) -> Option<Collecting<'_>> {
        if self.is_closing.load(Relaxed) || self.is_collecting.swap(true, AcqRel) {
            return None;
        }
        self.closed.store(0, Relaxed);
        Some(Collecting(&self.is_collecting))
    }

    /// Differs when files were received meanwhile.
    pub fn landed(&self) -> usize {
        self.landed.load(SeqCst)
    }

    fn begin(&self, files: &[Arc<File>]) {
        self.files.fetch_add(files.len(), Relaxed);
        for file in files {
            if let Some(endpoint) = endpoint_of(file) {
                let mut sockets = self.sockets.lock();
                let flying = sockets.entry(endpoint.id).or_insert_with(|| Flying {
                    file: Arc::downgrade(file),
                    count: 0,
                });
                flying.count += 1;
            }
        }
    }

    fn end(&self, files: &[Arc<File>]) {
        self.files.fetch_sub(files.len(), Relaxed);
        for file in files {
            if let Some(endpoint) = endpoint_of(file) {
                let mut sockets = self.sockets.lock();
                if let Some(flying) = sockets.get_mut(&endpoint.id) {
                    flying.count -= 1;
                    if flying.count == 0 {
                        sockets.remove(&endpoint.id);
                    }
                }
            }
        }
    }

    /// Closes files one after the other: a socket's queue may hold a socket whose queue holds a socket and so on, and
    /// a stack is not as deep as that.
    fn close(&self, files: Vec<Arc<File>>) {
        self.unwanted.lock().extend(files);
        while !self.is_closing.swap(true, AcqRel) {
            loop {
                let next = self.unwanted.lock().pop();
                if next.is_none() {
                    break;
                }
                drop(next);
            }
            self.is_closing.store(false, Release);
            // Something may have been added just before the flag was cleared, and been left to us.
            if self.unwanted.lock().is_empty() {
                break;
            }
        }
    }
}

impl Flight {
    /// None if there are no files.
    pub fn new(files: Vec<Arc<File>>, names: &Arc<Names>) -> Option<Self> {
        if files.is_empty() {
            return None;
        }
        names.flights.begin(&files);
        Some(Self {
            files,
            names: names.clone(),
        })
    }

    pub fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    /// They are received, and stay.
    pub fn copy(&self) -> Vec<Arc<File>> {
        self.names.flights.landed.fetch_add(1, SeqCst);
        self.files.clone()
    }

    /// The files are received.
    pub fn land(mut self) -> Vec<Arc<File>> {
        self.names.flights.landed.fetch_add(1, SeqCst);
        let files = core::mem::take(&mut self.files);
        self.names.flights.end(&files);
        files
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.files.is_empty() {
            let files = core::mem::take(&mut self.files);
            self.names.flights.end(&files);
            self.names.flights.close(files);
        }
    }
}
