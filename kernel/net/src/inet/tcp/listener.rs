//! Listening sockets: the queue of connections that wait for accept(2).
use super::deferred::{Deferred, MONOTONIC, SECOND};
use super::link::Link;
use crate::Result;
use crate::inet::counters::Counters;
use crate::inet::ip::Cover;
use crate::inet::loopback::LoopStream;
use crate::uplink::{Acceptor, Listening, Stream};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use hashbrown::HashMap;
use linux_abi::Errno;
use rustc_hash::FxBuildHasher;
use spin::{Mutex, Once};
use vfs::{Host, WaitList, Wake, poll};

/// /proc/sys/net/core/somaxconn
const BACKLOG_MAX: usize = 4096;

#[derive(Default)]
struct Queue {
    ready: VecDeque<Link>,
    /// Connections from inside that found no room; their connect(2) goes on.
    waiting: VecDeque<Arc<LoopStream>>,
    /// Those that have not sent anything, with `TCP_DEFER_ACCEPT`.
    deferred: Vec<Arc<Deferred>>,
    closed: bool,
}

pub(crate) struct Listener {
    this: Weak<Listener>,
    port: u16,
    cover: Cover,
    device: u32,
    backlog: AtomicUsize,
    queue: Mutex<Queue>,
    events: Arc<WaitList>,
    counters: Arc<Counters>,
    host: Arc<dyn Host>,
    /// `TCP_DEFER_ACCEPT` in seconds.
    defer: AtomicUsize,
    beyond: Once<Box<dyn Listening>>,
}

impl Listener {
    pub(crate) fn new(
        claim: &crate::inet::ports::Claim,
        backlog: i32,
        events: Arc<WaitList>,
        counters: Arc<Counters>,
        host: Arc<dyn Host>,
    ) -> Arc<Self> {
        let listener = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            port: claim.port,
            cover: claim.cover,
            device: claim.device,
            backlog: AtomicUsize::new(0),
            queue: Mutex::default(),
            events,
            counters,
            host,
            defer: AtomicUsize::new(0),
            beyond: Once::new(),
        });
        listener.set_backlog(backlog);
        listener
    }

    pub(crate) fn set_backlog(&self, backlog: i32) {
        // A negative one is enormous as an unsigned number.
        let backlog = usize::try_from(backlog).unwrap_or(BACKLOG_MAX);
        self.backlog.store(backlog.min(BACKLOG_MAX), Relaxed);
        self.let_in();
    }

    pub(crate) fn backlog(&self) -> usize {
        self.backlog.load(Relaxed)
    }

    pub(crate) fn set_defer(&self, seconds: i32) {
        self.defer
            .store(usize::try_from(seconds).unwrap_or(0), Relaxed);
    }

    pub(crate) fn set_beyond(&self, beyond: Box<dyn Listening>) {
        self.beyond.call_once(|| beyond);
    }

    /// Connections to accept.
    pub(crate) fn ready(&self) -> usize {
        self.queue.lock().ready.len()
    }

    fn room_in(&self, queue: &Queue) -> usize {
        // Linux keeps one more than the backlog.
        let used = queue.ready.len() + queue.deferred.len();
        (self.backlog() + 1).saturating_sub(used)
    }

    /// A connect(2) from inside: the server's end of its connection, and the client's to tell. `patience`: how many seconds it
    /// waits for room.
    pub(crate) fn take_local(&self, client: &LoopStream, server: Arc<LoopStream>, patience: u64) {
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                drop(queue);
                return client.fail(Errno::ECONNREFUSED);
            }
            if self.room_in(&queue) == 0 {
                self.counters.tcp_listen_overflows.add(1);
                let waker: Arc<dyn Wake> = server.clone();
                queue.waiting.push_back(server);
                drop(queue);
                let deadline = self.host.clock(MONOTONIC) + patience * SECOND;
                self.host
                    .wake_at(MONOTONIC, deadline, Arc::downgrade(&waker));
                return;
            }
        }
        client.establish();
        self.line_up(Link::Loop(server));
    }

    /// An established connection joins the queue.
    fn line_up(&self, link: Link) {
        self.counters.tcp_passive_opens.add(1);
        let defer = self.defer.load(Relaxed);
        if defer > 0 && link.poll() & poll::IN == 0 {
            let deferred = Deferred::new(self.this.clone(), link, defer, &self.host);
            self.queue.lock().deferred.push(deferred.clone());
            // Data may have come between the look and the registration.
            return deferred.look();
        }
        self.hand_over(link);
    }

    fn hand_over(&self, link: Link) {
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                drop(queue);
                return link.abort();
            }
            queue.ready.push_back(link);
        }
        self.events.notify(poll::IN | poll::RDNORM);
    }

    /// A deferred connection has something to say, or has waited long enough.
    pub(crate) fn end_deferral(&self, deferred: &Deferred) {
        let link = {
            let mut queue = self.queue.lock();
            queue
                .deferred
                .retain(|known| !core::ptr::eq(&**known, deferred));
            deferred.take()
        };
        if let Some(link) = link {
            self.hand_over(link);
        }
    }

    /// accept(2). `EAGAIN`
    pub(crate) fn accept(&self) -> Result<Link> {
        let link = self.queue.lock().ready.pop_front();
        let link = link.ok_or(Errno::EAGAIN)?;
        if let (Link::Up(_), Some(beyond)) = (&link, self.beyond.get()) {
            beyond.accepted();
        }
        self.let_in();
        Ok(link)
    }

    /// Those who wait for room get it, as far as there is some.
    fn let_in(&self) {
        loop {
            let server = {
                let mut queue = self.queue.lock();
                if queue.closed || self.room_in(&queue) == 0 {
                    return;
                }
                queue.waiting.pop_front()
            };
            let Some(server) = server else { return };
            // Who has given up meanwhile leaves nothing behind.
            if server.establish() {
                self.line_up(Link::Loop(server));
            }
        }
    }

    /// The socket is closed, or listens no more: who is in the queue is reset, who waits is refused.
    pub(crate) fn close(&self) {
        let queue = {
            let mut queue = self.queue.lock();
            let taken = core::mem::take(&mut *queue);
            queue.closed = true;
            taken
        };
        for link in queue.ready {
            link.abort();
        }
        for link in queue.deferred.iter().filter_map(|deferred| deferred.take()) {
            link.abort();
        }
        for server in queue.waiting {
            server.fail(Errno::ECONNREFUSED);
        }
    }
}

impl Acceptor for Listener {
    fn room(&self) -> usize {
        let queue = self.queue.lock();
        if queue.closed {
            0
        } else {
            self.room_in(&queue)
        }
    }

    fn offer(&self, stream: Arc<dyn Stream>) -> core::result::Result<(), Arc<dyn Stream>> {
        // An uplink that serves both families may have one that an IPv6-only listener does not.
        let foreign = self.cover == Cover::AllV6 && stream.local().is_ipv4();
        if foreign || self.room() == 0 {
            self.counters.tcp_listen_overflows.add(1);
            return Err(stream);
        }
        self.line_up(Link::Up(stream));
        Ok(())
    }
}

/// The listening sockets by port.
#[derive(Default)]
pub(crate) struct Listeners(HashMap<u16, Vec<Arc<Listener>>, FxBuildHasher>);

impl Listeners {
    pub(crate) fn add(&mut self, listener: Arc<Listener>) {
        self.0.entry(listener.port).or_default().push(listener);
    }

    pub(crate) fn remove(&mut self, listener: &Arc<Listener>) {
        if let Some(known) = self.0.get_mut(&listener.port) {
            known.retain(|other| !Arc::ptr_eq(other, listener));
            if known.is_empty() {
                self.0.remove(&listener.port);
            }
        }
    }

    /// Who gets a connection from `client` to `server` over interface `device`. Of equals (`SO_REUSEPORT`) the client's
    /// address picks one.
    pub(crate) fn find(
        &self,
        client: SocketAddr,
        server: SocketAddr,
        device: u32,
    ) -> Option<Arc<Listener>> {
        let known = self.0.get(&server.port())?;
        let fits = |ip: IpAddr, listener: &Listener| {
            listener.cover.contains(ip) && (listener.device == 0 || listener.device == device)
        };
        let rank = |listener: &Listener| (listener.cover.rank(), listener.device);
        let fitting = known.iter().filter(|listener| fits(server.ip(), listener));
        let best = fitting.clone().map(|listener| rank(listener)).max()?;
        let mut equals = fitting.filter(|listener| rank(listener) == best);
        let count = equals.clone().count();
        let choice = if count > 1 { spread(client, count) } else { 0 };
        equals.nth(choice).cloned()
    }
}

/// A number below `count` that depends on the peer's address.
pub(crate) fn spread(peer: SocketAddr, count: usize) -> usize {
    // The high bits of this hash are its good ones.
    ((FxBuildHasher.hash_one(peer) >> 32) as usize) % count.max(1)
}
