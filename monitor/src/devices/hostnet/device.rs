//! The device: requests from the driver to the sockets, changes on the host's sockets to the driver.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use boot_abi::hostnet::*;
use rustc_hash::FxHashMap;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::addresses::Addresses;
use super::context::{Context, Next};
use super::datagrams::Datagrams;
use super::message::{Request, SHORT, address};
use super::options;
use super::policy::Policy;
use super::ports::{self, Ports, Published};
use super::publish::Bound;
use super::stream::Stream;
use crate::devices::virtio::{Device, DeviceError, Rings};
use crate::pcap::Capture;
use crate::stats::NetCounters;

const REQUESTS: usize = QUEUE_REQUESTS as usize;
const EVENTS: usize = QUEUE_EVENTS as usize;
/// Requests carried out before the host's sockets get their turn.
const REQUESTS_PER_LOOK: usize = 256;
/// More sockets than any host has descriptors for: those that only have a failure to tell count as well.
const MOST_SOCKETS: usize = 1 << 18;
/// What epoll calls the driver's doorbell, and our own wake-up. No socket is named so.
const DOORBELL: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

enum Socket {
    Stream(Box<Stream>),
    Datagrams(Box<Datagrams>),
}

/// What a look at queues and sockets has found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Something was done.
    pub worked: bool,
    /// There is more to do at once.
    pub more: bool,
}

pub struct HostNet {
    context: Context,
    sockets: FxHashMap<u64, Socket>,
    ports: Ports,
    /// The driver has reset the device: its sockets are to be closed by the thread that may.
    stale: bool,
    wake: EventFd,
    /// The driver was asked not to ring.
    silent: bool,
    /// The machine ends: has all that was sent left?
    pub leaving: bool,
}

impl HostNet {
    pub fn new(
        bound: Vec<Bound>,
        addresses: Addresses,
        policy: Policy,
        counters: Arc<NetCounters>,
    ) -> io::Result<Self> {
        let epoll = Arc::new(Epoll::new()?);
        let wake = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
        let context = Context::new(epoll, addresses, policy, counters);
        watch_bell(&context.epoll, &wake, WAKE)?;
        Ok(Self {
            ports: Ports::new(bound, &context)?,
            context,
            sockets: FxHashMap::default(),
            stale: false,
            wake,
            silent: false,
            leaving: false,
        })
    }

    /// The published ports.
    pub fn published(&self) -> Vec<Published> {
        self.ports.published()
    }

    /// What its sockets exchange is to be written there.
    pub fn capture_to(&mut self, capture: Option<Arc<Capture>>) {
        self.context.capture = capture;
    }

    pub fn epoll(&self) -> Arc<Epoll> {
        Arc::clone(&self.context.epoll)
    }

    /// The driver's doorbell is to end a wait.
    pub fn watch_doorbell(&self, doorbell: &EventFd) -> io::Result<()> {
        watch_bell(&self.context.epoll, doorbell, DOORBELL)
    }

    /// So is a call for the CPU or the thread that waits.
    pub fn watch_bell(&self, bell: &EventFd) -> io::Result<()> {
        watch_bell(&self.context.epoll, bell, WAKE)
    }

    /// Closes what an earlier driver has left.
    pub fn clean_up(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.sockets.clear();
            self.ports.reset();
            self.context.reset();
            self.silent = false;
        }
    }

    /// Nothing that was sent is still here.
    pub fn has_left(&self) -> bool {
        self.sockets.values().all(|socket| match socket {
            Socket::Stream(stream) => stream.pending() == 0,
            Socket::Datagrams(datagrams) => datagrams.pending() == 0,
        })
    }

    /// Does what can be done now. `changes` answers what has happened to the host's sockets; it is asked once the driver's requests
    /// are carried out, since the other end may have answered them by then.
    pub fn serve<'e>(
        &mut self,
        rings: &mut Rings<'_>,
        changes: impl FnOnce() -> &'e [EpollEvent],
    ) -> Result<Look, DeviceError> {
        self.clean_up();
        let result = self.look(rings, changes);
        if result.is_err() {
            self.stale = true;
            self.clean_up();
        }
        result
    }

    fn look<'e>(
        &mut self,
        rings: &mut Rings<'_>,
        changes: impl FnOnce() -> &'e [EpollEvent],
    ) -> Result<Look, DeviceError> {
        self.silence(rings)?;
        let told = self.context.events.messages;
        self.context.events.starved = false;
        // What goes out first: the other end can work on it meanwhile.
        let requests = self.take_requests(rings)?;
        let events = changes();
        for event in events {
            self.on_event(rings, event)?;
        }
        // First, since those who have something to tell may use up all buffers.
        self.context.tell_taken(rings)?;
        self.take_turns(rings)?;
        self.context.tell_taken(rings)?;
        self.context.events.flush(rings)?;
        rings.put_rest()?;
        let counters = &self.context.counters;
        counters.interrupts.add(rings.signal().into());
        counters.requests.add(requests as u64);
        let told = self.context.events.messages - told;
        counters.events.add(told);
        let waits = self.context.ready.is_empty() || self.context.events.starved;
        Ok(Look {
            worked: requests != 0 || told != 0 || events.iter().any(|event| !is_bell(event)),
            more: !waits || requests == REQUESTS_PER_LOOK,
        })
    }

    /// Asks the driver not to ring.
    pub fn silence(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        if !std::mem::replace(&mut self.silent, true) {
            rings.silence(REQUESTS)?;
            rings.silence(EVENTS)?;
        }
        Ok(())
    }

    /// Asks the driver to ring. `true`: there is something already.
    pub fn listen(&mut self, rings: &mut Rings<'_>) -> Result<bool, DeviceError> {
        self.silent = false;
        let requests = rings.listen(REQUESTS)?;
        // A buffer is only waited for where something is to be told.
        let events = self.context.events.starved && rings.listen(EVENTS)?;
        Ok(requests || events)
    }

    /// Is there something to do for the driver? Only looks at memory.
    pub fn has_news(&self, rings: &mut Rings<'_>) -> Result<bool, DeviceError> {
        Ok(rings.available(REQUESTS)? || self.context.events.starved && rings.available(EVENTS)?)
    }

    fn on_event(&mut self, rings: &mut Rings<'_>, event: &EpollEvent) -> Result<(), DeviceError> {
        let mut name = event.data();
        if is_bell(event) {
            self.context.counters.kicks.add((name == DOORBELL).into());
            return Ok(());
        }
        if let Some(index) = ports::port_index(name) {
            match self.ports.on_event(&mut self.context, index) {
                Some(owner) => name = owner,
                None => return Ok(()),
            }
        }
        let happened = EventSet::from_bits_truncate(event.events());
        let next = match self.sockets.get_mut(&name) {
            Some(Socket::Stream(stream)) => stream.on_event(&mut self.context, rings, happened)?,
            Some(Socket::Datagrams(datagrams)) => {
                datagrams.on_event(&mut self.context, rings, happened)?
            }
            // It was closed after the host reported this.
            None => Next::Rest,
        };
        if next == Next::Gone {
            self.remove(name);
        }
        Ok(())
    }

    fn remove(&mut self, name: u64) {
        self.sockets.remove(&name);
        if std::mem::take(&mut self.context.full) {
            self.ports.resume_all(&mut self.context);
        }
    }

    /// Each that has something to do gets one turn.
    fn take_turns(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        for _ in 0..self.context.ready.len() {
            let Some(name) = self.context.ready.pop_front() else {
                break;
            };
            match self.take_turn(rings, name)? {
                Next::Again => self.context.ready.push_back(name),
                Next::Starved => {
                    self.context.ready.push_front(name);
                    break;
                }
                Next::Rest => self.rested(name),
                Next::Gone => self.remove(name),
            }
        }
        Ok(())
    }

    fn take_turn(&mut self, rings: &mut Rings<'_>, name: u64) -> Result<Next, DeviceError> {
        let Self {
            context,
            sockets,
            ports,
            ..
        } = self;
        if let Some(index) = ports::port_index(name) {
            let mut add = |name, stream| {
                sockets.insert(name, Socket::Stream(Box::new(stream)));
            };
            return ports.take_turn(context, rings, index, &mut add);
        }
        match sockets.get_mut(&name) {
            Some(Socket::Stream(stream)) => stream.take_turn(context, rings),
            Some(Socket::Datagrams(datagrams)) => datagrams.take_turn(context, rings),
            None => Ok(Next::Rest),
        }
    }

    fn rested(&mut self, name: u64) {
        match self.sockets.get_mut(&name) {
            Some(Socket::Stream(stream)) => stream.queued = false,
            Some(Socket::Datagrams(datagrams)) => datagrams.queued = false,
            None => {
                if let Some(index) = ports::port_index(name) {
                    self.ports.rested(index);
                }
            }
        }
    }

    fn take_requests(&mut self, rings: &mut Rings<'_>) -> Result<usize, DeviceError> {
        for count in 0..REQUESTS_PER_LOOK {
            let mut chain = self.context.spare.pop().unwrap_or_default();
            if !rings.pop_into(REQUESTS, &mut chain)? {
                self.context.spare.push(chain);
                return Ok(count);
            }
            let request = Request::read(rings.memory, chain)?;
            self.carry_out(rings, request)?;
        }
        Ok(REQUESTS_PER_LOOK)
    }

    fn carry_out(&mut self, rings: &mut Rings<'_>, request: Request) -> Result<(), DeviceError> {
        let name = request.header.socket;
        match request.header.kind {
            REQ_DATA | REQ_SHUTDOWN => self.pass_to_stream(rings, request),
            REQ_SEND_TO => match self.sockets.get_mut(&name) {
                Some(Socket::Datagrams(datagrams)) => {
                    datagrams.send(&mut self.context, rings, request)
                }
                _ => self.context.finish(rings, request),
            },
            REQ_CLOSE => self.close(rings, request),
            _ => {
                self.carry_out_short(rings, &request)?;
                self.context.finish(rings, request)
            }
        }
    }

    fn pass_to_stream(
        &mut self,
        rings: &mut Rings<'_>,
        request: Request,
    ) -> Result<(), DeviceError> {
        let name = request.header.socket;
        match self.sockets.get_mut(&name) {
            Some(Socket::Stream(stream)) if !stream.is_closing() => {
                if stream.submit(&mut self.context, rings, request)? == Next::Gone {
                    self.remove(name);
                }
                Ok(())
            }
            _ => self.context.finish(rings, request),
        }
    }

    fn close(&mut self, rings: &mut Rings<'_>, request: Request) -> Result<(), DeviceError> {
        let name = request.header.socket;
        match self.sockets.get_mut(&name) {
            Some(Socket::Stream(_)) => return self.pass_to_stream(rings, request),
            Some(Socket::Datagrams(datagrams)) => {
                datagrams.give_up(&mut self.context, rings)?;
                self.ports.disown(name, datagrams.port());
                self.remove(name);
            }
            None => self.ports.close(name),
        }
        self.context.finish(rings, request)
    }

    /// Requests that are done at once.
    fn carry_out_short(&mut self, rings: &Rings<'_>, request: &Request) -> Result<(), DeviceError> {
        let name = request.header.socket;
        let memory = rings.memory;
        match request.header.kind {
            REQ_CONNECT => {
                let mut space = [0; SHORT];
                let payload = request.payload(memory, &mut space)?;
                let to = address(payload)?;
                let options = options::read(payload.get(ADDRESS_SIZE..).unwrap_or_default())?;
                self.check_new(name)?;
                let stream = Stream::connect(&mut self.context, name, to, options);
                self.sockets.insert(name, Socket::Stream(Box::new(stream)));
            }
            REQ_LISTEN => {
                let payload = request.prefix::<{ ADDRESS_SIZE + 4 }>(memory)?;
                let (at, backlog) = (address(&payload)?, payload.last_chunk::<4>());
                let backlog = backlog.map_or(0, |bytes| u32::from_le_bytes(*bytes));
                if !self.ports.is_listener(name) {
                    self.check_new(name)?;
                }
                self.ports.listen(&mut self.context, name, at, backlog);
            }
            REQ_ACCEPTED => {
                let count = request.number(memory)?;
                self.ports.accepted(&mut self.context, name, count);
            }
            REQ_DATAGRAMS => {
                let local = request.address(memory)?;
                self.check_new(name)?;
                self.new_datagrams(name, request.header.flags, local)?;
            }
            _ => return self.change(rings, request),
        }
        Ok(())
    }

    /// Requests about a socket that exists.
    fn change(&mut self, rings: &Rings<'_>, request: &Request) -> Result<(), DeviceError> {
        let memory = rings.memory;
        let context = &mut self.context;
        let socket = self.sockets.get_mut(&request.header.socket);
        match request.header.kind {
            REQ_CREDIT => {
                let bytes = request.number(memory)?;
                if let Some(Socket::Stream(stream)) = socket {
                    stream.add_credit(context, bytes);
                }
            }
            REQ_OPTIONS => {
                let mut space = [0; SHORT];
                let options = options::read(request.payload(memory, &mut space)?)?;
                match socket {
                    Some(Socket::Stream(stream)) => stream.set_options(options),
                    Some(Socket::Datagrams(datagrams)) => datagrams.set_options(options),
                    None => {}
                }
            }
            REQ_INFO => {
                if let Some(Socket::Stream(stream)) = socket {
                    stream.ask_info(context);
                }
            }
            REQ_MEMBERSHIP => {
                let group = request.address(memory)?.ip();
                if let Some(Socket::Datagrams(datagrams)) = socket {
                    let join = request.header.flags & FLAG_JOIN != 0;
                    datagrams.membership(context, group, join);
                }
            }
            _ => return Err(DeviceError::Protocol("sent an unknown request")),
        }
        Ok(())
    }

    fn new_datagrams(
        &mut self,
        name: u64,
        flags: u16,
        local: SocketAddr,
    ) -> Result<(), DeviceError> {
        let echo = match flags {
            FLAG_UDP => false,
            FLAG_ECHO => true,
            _ => return Err(DeviceError::Protocol("named no kind of datagrams")),
        };
        let datagrams = Datagrams::new(&mut self.context, &mut self.ports, name, echo, local);
        self.sockets
            .insert(name, Socket::Datagrams(Box::new(datagrams)));
        Ok(())
    }

    /// The driver may give a new socket this name.
    fn check_new(&self, name: u64) -> Result<(), DeviceError> {
        let taken = self.sockets.contains_key(&name) || self.ports.is_listener(name);
        if taken || name & NAMED_BY_DEVICE != 0 {
            return Err(DeviceError::Protocol("gave a name that is not free"));
        }
        if self.sockets.len() + self.ports.listener_count() >= MOST_SOCKETS {
            return Err(DeviceError::Protocol("made too many sockets"));
        }
        Ok(())
    }
}

fn is_bell(event: &EpollEvent) -> bool {
    event.data() == DOORBELL || event.data() == WAKE
}

/// Rings are changes: the count of a bell is never read.
fn watch_bell(epoll: &Epoll, bell: &EventFd, name: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let event = EpollEvent::new(EventSet::IN | EventSet::EDGE_TRIGGERED, name);
    epoll.ctl(ControlOperation::Add, bell.as_raw_fd(), event)
}

impl Device for HostNet {
    type Wants = Look;
    const ID: u32 = DEVICE_ID;
    const QUEUES: &'static [u16] = &[QUEUE_SIZE; 2];

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> &[u8] {
        &[]
    }

    fn reset(&mut self) {
        self.stale = true;
        // Cannot overflow.
        let _ = self.wake.write(1);
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        // The doorbell is never read, so nobody else counts it.
        vec![("kicks", self.context.counters.kicks.get())]
    }

    fn process(&mut self, rings: &mut Rings<'_>) -> Result<Look, DeviceError> {
        self.serve(rings, || &[])
    }
}
