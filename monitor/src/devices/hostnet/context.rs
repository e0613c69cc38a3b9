//! What all sockets of the device work with.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use super::addresses::Addresses;
use super::message::{EventBuffers, Request};
use super::policy::Policy;
use super::sys;
use crate::devices::virtio::{Chain, DeviceError, Rings};
use crate::pcap::{Capture, TcpTrace};
use crate::stats::NetCounters;
use crate::terminal;

/// What to do with a socket after its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing until something happens.
    Rest,
    /// Another turn, after others.
    Again,
    /// The driver must give an event buffer first.
    Starved,
    /// The socket is done with.
    Gone,
}

pub struct Context {
    pub epoll: Arc<Epoll>,
    pub events: EventBuffers,
    /// Names of those that have something to do, each once.
    pub ready: VecDeque<u64>,
    /// Chains whose space is used again.
    pub spare: Vec<Chain>,
    pub addresses: Addresses,
    pub policy: Policy,
    pub counters: Arc<NetCounters>,
    pub capture: Option<Arc<Capture>>,
    /// The host had no descriptor for a connection; no more are accepted until one is closed.
    pub full: bool,
    told_full: bool,
}

impl Context {
    pub fn new(
        epoll: Arc<Epoll>,
        addresses: Addresses,
        policy: Policy,
        counters: Arc<NetCounters>,
    ) -> Self {
        Self {
            epoll,
            events: EventBuffers::default(),
            ready: VecDeque::new(),
            spare: Vec::new(),
            addresses,
            policy,
            counters,
            capture: None,
            full: false,
            told_full: false,
        }
    }

    /// Puts `name` into the list of those with something to do, if it is not there.
    pub fn queue(&mut self, name: u64, queued: &mut bool) {
        if !std::mem::replace(queued, true) {
            self.ready.push_back(name);
        }
    }

    /// Reports what happens to `socket` under `name`, as changes.
    pub fn watch(&self, socket: &impl AsRawFd, name: u64) -> io::Result<()> {
        let what = EventSet::IN | EventSet::OUT | EventSet::READ_HANG_UP | EventSet::EDGE_TRIGGERED;
        let event = EpollEvent::new(what, name);
        self.epoll
            .ctl(ControlOperation::Add, socket.as_raw_fd(), event)
    }

    /// Where a connection is recorded, if all are.
    pub fn trace(&self, guest: SocketAddr, peer: SocketAddr) -> Option<Box<TcpTrace>> {
        let capture = Arc::clone(self.capture.as_ref()?);
        Some(Box::new(TcpTrace::new(capture, guest, peer)))
    }

    pub fn finish(&mut self, rings: &mut Rings<'_>, request: Request) -> Result<(), DeviceError> {
        request.finish(rings, &mut self.spare)
    }

    /// The host has no descriptors left.
    pub fn shortage(&mut self) {
        self.full = true;
        if !std::mem::replace(&mut self.told_full, true) {
            terminal::message(
                b"compat-monitor: no descriptors are left: connections wait until one is free (`ulimit -Hn` gives the limit)\n",
            );
        }
    }

    /// What the program is told when a socket of the host could not be made.
    pub fn failure(&self, error: &io::Error) -> u32 {
        if sys::is_shortage(error) {
            return libc::ENOBUFS as u32;
        }
        match error.raw_os_error() {
            // A host without IPv6 is a network without it to the guest.
            Some(libc::EAFNOSUPPORT) => libc::ENETUNREACH as u32,
            _ => sys::errno(error),
        }
    }
}
