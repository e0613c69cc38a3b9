//! What all sockets of the device work with.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use boot_abi::hostnet::{EV_TAKEN, KEPT_MOST, KEPT_PER_SOCKET, REQ_DATA, REQ_SEND_TO};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use super::addresses::Addresses;
use super::message::{EventBuffers, Place, Request};
use super::policy::Policy;
use super::sys;
use crate::devices::virtio::{Chain, DeviceError, Rings};
use crate::pcap::{Capture, TcpTrace};
use crate::stats::NetCounters;
use crate::terminal;

/// More chains are not worth having.
const MOST_SPARE: usize = 256;

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
    /// Messages that were kept, and are not taken yet.
    kept: usize,
    /// Sockets, and how many kept messages the driver is to hear of.
    taken: VecDeque<(u64, u32)>,
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
            kept: 0,
            taken: VecDeque::new(),
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

    /// The driver has forgotten everything.
    pub fn reset(&mut self) {
        self.ready.clear();
        self.events.reset();
        self.kept = 0;
        self.taken.clear();
    }

    /// A request must wait behind `before` others of its socket: gives its chain back all the same, if one more can be kept.
    pub fn put_off(
        &mut self,
        rings: &mut Rings<'_>,
        request: &mut Request,
        before: usize,
    ) -> Result<(), DeviceError> {
        if !matches!(request.header.kind, REQ_DATA | REQ_SEND_TO) {
            return request.give_back(rings, Place::Returned);
        }
        if before >= KEPT_PER_SOCKET || self.kept >= KEPT_MOST {
            return Ok(());
        }
        self.kept += 1;
        request.give_back(rings, Place::Kept)
    }

    /// A request was carried out, or never will be.
    pub fn finish(
        &mut self,
        rings: &mut Rings<'_>,
        mut request: Request,
    ) -> Result<(), DeviceError> {
        request.give_back(rings, Place::Returned)?;
        if request.place == Place::Kept {
            self.kept -= 1;
            let name = request.header.socket;
            match self.taken.back_mut() {
                Some((last, count)) if *last == name => *count += 1,
                _ => self.taken.push_back((name, 1)),
            }
        }
        if self.spare.len() < MOST_SPARE {
            self.spare.push(request.chain);
        }
        Ok(())
    }

    /// The requests of a socket will not be carried out.
    pub fn finish_all(
        &mut self,
        rings: &mut Rings<'_>,
        requests: &mut VecDeque<Request>,
    ) -> Result<(), DeviceError> {
        for request in requests.drain(..) {
            self.finish(rings, request)?;
        }
        Ok(())
    }

    /// Tells the driver which messages are no longer needed.
    pub fn tell_taken(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        while let Some((name, count)) = self.taken.front() {
            if !self
                .events
                .tell(rings, EV_TAKEN, *name, &count.to_le_bytes())?
            {
                break;
            }
            self.taken.pop_front();
        }
        Ok(())
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
