//! A connection: a stream of the guest and the host's socket behind it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4};
use std::time::Duration;

use boot_abi::hostnet::*;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use vmm_sys_util::epoll::EventSet;

use super::context::{Context, Next};
use super::message::Request;
use super::{addresses, options, sys};
use crate::devices::virtio::{DeviceError, Rings};
use crate::pcap::{Side, TcpTrace};

/// A rest of an event buffer that is smaller is not worth a read.
const LEAST_READ: usize = 2 << 10;

pub struct Stream {
    /// `None`: there could be no connection.
    socket: Option<Socket>,
    name: u64,
    ipv6: bool,
    connecting: bool,
    /// Not yet carried out, in order.
    out: VecDeque<Request>,
    /// The host's socket is full.
    blocked: bool,
    /// There may be something to read.
    readable: bool,
    /// The host has reported an end or an error, which a read will tell when what is before it was read.
    ending: bool,
    /// `EV_END` was sent.
    ended: bool,
    /// Bytes that may be sent to the driver.
    credit: u32,
    tell_connected: bool,
    tell_info: bool,
    /// What a write failed with; told when all that came before was read.
    broken: Option<u32>,
    failed: Option<u32>,
    /// The driver has forgotten the socket.
    closing: bool,
    pub queued: bool,
    /// The capture's view of it.
    trace: Option<Box<TcpTrace>>,
}

/// Many connections are idle: this, and no buffers, is what one costs here.
const _: () = assert!(size_of::<Stream>() <= 160);

/// How far a request was carried out.
enum Progress {
    Done,
    Blocked,
    /// All is over, and the socket closed.
    Gone,
}

impl Stream {
    fn new(name: u64, ipv6: bool) -> Self {
        Self {
            socket: None,
            name,
            ipv6,
            connecting: false,
            out: VecDeque::new(),
            blocked: false,
            readable: false,
            ending: false,
            ended: false,
            credit: FIRST_WINDOW,
            tell_connected: false,
            tell_info: false,
            broken: None,
            failed: None,
            closing: false,
            queued: false,
            trace: None,
        }
    }

    /// A connection that was accepted.
    pub fn accepted(
        name: u64,
        socket: Socket,
        ipv6: bool,
        mut trace: Option<Box<TcpTrace>>,
    ) -> Self {
        if let Some(trace) = &mut trace {
            trace.connected(Side::Peer);
        }
        Self {
            socket: Some(socket),
            trace,
            ..Self::new(name, ipv6)
        }
    }

    /// Begins a connection to `to`; what comes of it is told by events.
    pub fn connect(
        context: &mut Context,
        name: u64,
        to: SocketAddr,
        options: impl Iterator<Item = (u16, u32)>,
    ) -> Self {
        let mut stream = Self::new(name, to.is_ipv6());
        if let Err(errno) = stream.start(context, to, options) {
            stream.socket = None;
            stream.failed = Some(errno);
        }
        context.queue(name, &mut stream.queued);
        stream
    }

    fn start(
        &mut self,
        context: &mut Context,
        to: SocketAddr,
        options: impl Iterator<Item = (u16, u32)>,
    ) -> Result<(), u32> {
        let target = context.addresses.destination(to)?;
        if !context.policy.check(target, to) {
            context.counters.refused.add(1);
            return Err(libc::EACCES as u32);
        }
        self.ipv6 = target.host.is_ipv6();
        let domain = Domain::for_address(target.host);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))
            .map_err(|e| context.failure(&e))?;
        for (number, value) in options {
            options::set(&socket, self.ipv6, number, value);
        }
        let connected = socket.connect(&SockAddr::from(target.host));
        if context.capture.is_some() {
            let local = socket.local_addr().ok().and_then(|at| at.as_socket());
            let port = local.map_or(0, |local| local.port());
            let guest = SocketAddr::new(addresses::guest(to.is_ipv6()), port);
            self.trace = context.trace(guest, to);
        }
        match connected {
            Ok(()) => self.connected(),
            Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => self.connecting = true,
            Err(e) => return Err(sys::errno(&e)),
        }
        // Only now: a socket that does nothing yet reports a hang-up.
        context
            .watch(&socket, self.name)
            .map_err(|e| context.failure(&e))?;
        context.counters.connections_out.add(1);
        self.socket = Some(socket);
        Ok(())
    }

    fn connected(&mut self) {
        self.tell_connected = true;
        if let Some(trace) = &mut self.trace {
            trace.connected(Side::Guest);
        }
    }

    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Requests that wait.
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// The host reports a change.
    pub fn on_event(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        events: EventSet,
    ) -> Result<Next, DeviceError> {
        let over = events.intersects(EventSet::ERROR | EventSet::HANG_UP);
        if self.connecting && (over || events.contains(EventSet::OUT)) {
            self.connecting = false;
            match self.socket_error() {
                None => self.connected(),
                Some(errno) => self.failed = Some(errno),
            }
        }
        if over || events.intersects(EventSet::IN | EventSet::READ_HANG_UP) {
            self.readable = !self.ended;
            self.ending |= over || events.contains(EventSet::READ_HANG_UP);
        }
        // After the end a read tells of no reset.
        if self.ended && events.contains(EventSet::ERROR) {
            self.failed = self.failed.or(self.socket_error());
        }
        if self.closing && (self.failed.is_some() || self.readable && self.has_data()) {
            return self.abort(context, rings);
        }
        if events.contains(EventSet::OUT) || over {
            self.blocked = false;
            if self.flush(context, rings)? == Next::Gone {
                return Ok(Next::Gone);
            }
        }
        if self.readable || self.tell_connected || self.failed.is_some() {
            context.queue(self.name, &mut self.queued);
        }
        Ok(Next::Rest)
    }

    fn socket_error(&self) -> Option<u32> {
        let error = self.socket.as_ref()?.take_error().ok()??;
        Some(sys::errno(&error))
    }

    /// Data that nobody will read: closing such a connection resets it, as on Linux.
    fn has_data(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        self.socket.as_ref().is_some_and(|socket| {
            socket
                .recv_with_flags(&mut byte, flags)
                .is_ok_and(|n| n > 0)
        })
    }

    /// Data, shutdown or close, after those before it.
    pub fn submit(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        mut request: Request,
    ) -> Result<Next, DeviceError> {
        if request.header.kind == REQ_CLOSE {
            self.closing = true;
            if request.header.flags & FLAG_ABORT != 0 || self.socket.is_none() {
                context.finish(rings, request)?;
                return self.abort(context, rings);
            }
        }
        if self.out.is_empty() && !self.connecting && !self.blocked {
            match self.carry_out(context, rings, &mut request)? {
                Progress::Done => {
                    context.finish(rings, request)?;
                    return Ok(Next::Rest);
                }
                Progress::Gone => {
                    context.finish(rings, request)?;
                    return Ok(Next::Gone);
                }
                Progress::Blocked => {}
            }
        }
        self.put_off(context, rings, request)?;
        if self.closing && self.readable && self.has_data() {
            return self.abort(context, rings);
        }
        Ok(Next::Rest)
    }

    /// Remembers a request that cannot be carried out now.
    fn put_off(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        mut request: Request,
    ) -> Result<(), DeviceError> {
        // One after the other is as one: the list grows by kept data only.
        if request.header.kind == REQ_SHUTDOWN
            && let Some(last) = self.out.back_mut()
            && last.header.kind == REQ_SHUTDOWN
        {
            last.header.flags |= request.header.flags;
            return context.finish(rings, request);
        }
        context.put_off(rings, &mut request, self.out.len())?;
        self.out.push_back(request);
        Ok(())
    }

    /// Carries out what waits.
    fn flush(&mut self, context: &mut Context, rings: &mut Rings<'_>) -> Result<Next, DeviceError> {
        while !self.connecting && self.failed.is_none() {
            let Some(mut request) = self.out.pop_front() else {
                break;
            };
            match self.carry_out(context, rings, &mut request)? {
                Progress::Done => context.finish(rings, request)?,
                Progress::Blocked => {
                    self.out.push_front(request);
                    break;
                }
                Progress::Gone => {
                    context.finish(rings, request)?;
                    context.finish_all(rings, &mut self.out)?;
                    return Ok(Next::Gone);
                }
            }
        }
        Ok(Next::Rest)
    }

    fn carry_out(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        request: &mut Request,
    ) -> Result<Progress, DeviceError> {
        let Some(socket) = &self.socket else {
            return Ok(Progress::Done);
        };
        match request.header.kind {
            REQ_DATA => self.write(context, rings, request),
            REQ_SHUTDOWN => {
                let flags = request.header.flags;
                let how = match (flags & FLAG_READ != 0, flags & FLAG_WRITE != 0) {
                    (true, true) => Shutdown::Both,
                    (true, false) => Shutdown::Read,
                    (false, true) => Shutdown::Write,
                    (false, false) => return Ok(Progress::Done),
                };
                // A connection that is over already is what was wanted.
                let _ = socket.shutdown(how);
                if how != Shutdown::Read {
                    self.trace_end(Side::Guest);
                }
                Ok(Progress::Done)
            }
            _ => {
                self.trace_end(Side::Guest);
                Ok(Progress::Gone)
            }
        }
    }

    fn write(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        request: &mut Request,
    ) -> Result<Progress, DeviceError> {
        let length = request.header.length as usize;
        let more = request.header.flags & FLAG_MORE != 0;
        while let Some(socket) = &self.socket
            && self.broken.is_none()
            && request.done < length
        {
            let pieces = request.rest(rings.memory, 0)?;
            match sys::send(socket, pieces, more) {
                Ok(sent) => {
                    context.counters.bytes_out.add(sent as u64);
                    if let Some(trace) = &mut self.trace {
                        trace.data(Side::Guest, &request.copy(rings.memory, 0, sent)?);
                    }
                    request.done += sent;
                }
                Err(e) if sys::would_block(&e) => {
                    self.blocked = true;
                    return Ok(Progress::Blocked);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.broken = Some(sys::errno(&e));
                    self.readable = !self.ended;
                    if self.ended {
                        self.failed = self.failed.or(self.broken);
                    }
                    context.queue(self.name, &mut self.queued);
                }
            }
        }
        Ok(Progress::Done)
    }

    /// Ends the connection with a reset.
    fn abort(&mut self, context: &mut Context, rings: &mut Rings<'_>) -> Result<Next, DeviceError> {
        context.finish_all(rings, &mut self.out)?;
        if let Some(socket) = &self.socket {
            let _ = socket.set_linger(Some(Duration::ZERO));
            if let Some(trace) = &mut self.trace {
                trace.reset(Side::Guest);
            }
        }
        Ok(Next::Gone)
    }

    pub fn add_credit(&mut self, context: &mut Context, bytes: u32) {
        self.credit = self.credit.saturating_add(bytes).min(WINDOW);
        if self.readable {
            context.queue(self.name, &mut self.queued);
        }
    }

    pub fn set_options(&self, options: impl Iterator<Item = (u16, u32)>) {
        if let Some(socket) = &self.socket {
            for (number, value) in options {
                options::set(socket, self.ipv6, number, value);
            }
        }
    }

    pub fn ask_info(&mut self, context: &mut Context) {
        self.tell_info = true;
        context.queue(self.name, &mut self.queued);
    }

    /// Tells the driver what there is to tell.
    pub fn take_turn(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
    ) -> Result<Next, DeviceError> {
        if self.closing {
            return Ok(Next::Rest);
        }
        if self.tell_connected {
            if !self.send_connected(context, rings)? {
                return Ok(Next::Starved);
            }
            self.tell_connected = false;
            if self.flush(context, rings)? == Next::Gone {
                return Ok(Next::Gone);
            }
        }
        if self.tell_info {
            let info = self.socket.as_ref().map(sys::tcp_info).unwrap_or_default();
            if !context.events.tell(rings, EV_INFO, self.name, &info)? {
                return Ok(Next::Starved);
            }
            self.tell_info = false;
        }
        let next = self.read(context, rings)?;
        if next == Next::Starved {
            return Ok(next);
        }
        let Some(errno) = self.failed else {
            return Ok(next);
        };
        if !context
            .events
            .tell(rings, EV_FAILED, self.name, &errno.to_le_bytes())?
        {
            return Ok(Next::Starved);
        }
        if let Some(trace) = &mut self.trace {
            trace.failed(errno);
        }
        context.finish_all(rings, &mut self.out)?;
        Ok(Next::Gone)
    }

    fn trace_end(&mut self, side: Side) {
        if let Some(trace) = &mut self.trace {
            trace.end(side);
        }
    }

    fn send_connected(
        &self,
        context: &mut Context,
        rings: &mut Rings<'_>,
    ) -> Result<bool, DeviceError> {
        let local = self.socket.as_ref().and_then(|s| s.local_addr().ok());
        let local = local.and_then(|address| address.as_socket());
        // Cannot be asked for when the connection has broken meanwhile; that will be told next.
        let local = local.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into());
        let address = encode_address(local);
        context
            .events
            .tell(rings, EV_CONNECTED, self.name, &address)
    }

    /// One read into an event buffer. Under edge triggering a short one needs no second: what comes later is a new edge.
    fn read(&mut self, context: &mut Context, rings: &mut Rings<'_>) -> Result<Next, DeviceError> {
        let Some(socket) = &self.socket else {
            return Ok(Next::Rest);
        };
        if !self.readable || self.credit == 0 || self.failed.is_some() || self.connecting {
            return Ok(Next::Rest);
        }
        let Some(room) = context.events.room(rings, LEAST_READ)? else {
            return Ok(Next::Starved);
        };
        let room = room.min(self.credit as usize);
        let pieces = context.events.space(rings.memory, 0, room)?;
        match sys::receive(socket, pieces) {
            Ok(0) => {
                self.readable = false;
                match self.broken {
                    Some(errno) => self.failed = Some(errno),
                    None => {
                        self.ended = true;
                        if let Some(trace) = &mut self.trace {
                            trace.end(Side::Peer);
                        }
                        context.events.tell(rings, EV_END, self.name, &[])?;
                        self.failed = self.socket_error();
                    }
                }
                Ok(Next::Rest)
            }
            Ok(got) => {
                if let Some(trace) = &mut self.trace {
                    trace.data(Side::Peer, &context.events.copy(rings.memory, 0, got)?);
                }
                let header = Header::new(EV_DATA, self.name, got);
                context.events.commit(rings.memory, header)?;
                context.counters.bytes_in.add(got as u64);
                self.credit -= got as u32;
                self.readable = got == room || self.ending || self.broken.is_some();
                Ok(if self.readable && self.credit != 0 {
                    Next::Again
                } else {
                    Next::Rest
                })
            }
            Err(e) if sys::would_block(&e) => {
                self.readable = false;
                self.ending = false;
                // A write that failed, and nothing will come any more.
                self.failed = self.broken;
                Ok(Next::Rest)
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => Ok(Next::Again),
            Err(e) => {
                self.failed = Some(sys::errno(&e));
                Ok(Next::Rest)
            }
        }
    }
}
