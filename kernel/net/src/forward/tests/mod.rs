//! `Forward` against a device that does what a test tells it to.
#![allow(clippy::unwrap_used)]

mod connections;
mod datagrams;
mod hostile;
mod kept;
mod listeners;
mod sending;

use super::{EventBuffer, Forward, Request, Transport};
use crate::netconf::NetConfig;
use crate::uplink::{ConnectRequest, Stream, StreamOption, Uplink};
use crate::{Errno, Result};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use boot_abi::hostnet::{
    EV_CONNECTED, EV_DATA, EV_FAILED, FIRST_WINDOW, Header, REQ_CREDIT, WINDOW, encode_address,
};
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use spin::Mutex;
use vfs::{SliceSink, SliceSource, WaitList, Wake};

const BUFFERS: usize = 16;
const NETWORK: &str = "ip=10.0.2.15/24 ip=fd00:c0::15/64 gateway=10.0.2.2";
const HEAP: usize = 1 << 20;
/// Enough for a few of the widest windows.
const LARGE_HEAP: usize = 4 << 20;

/// The queue, and what the device has seen of it.
#[derive(Default)]
struct Ring {
    size: usize,
    requests: VecDeque<Request>,
    held: Arc<AtomicUsize>,
    broken: bool,
    /// The device may not know of all requests yet.
    unannounced: bool,
}

/// The driver's side of the queue.
struct Driver(Arc<Mutex<Ring>>);

impl Transport for Driver {
    fn start(&self) -> Result<()> {
        if self.0.lock().broken {
            Err(Errno::ENETDOWN)
        } else {
            Ok(())
        }
    }

    fn submit(&self, request: Request, announce: bool) -> core::result::Result<(), Request> {
        let mut ring = self.0.lock();
        if ring.requests.len() >= ring.size {
            return Err(request);
        }
        ring.requests.push_back(request);
        ring.unannounced = !announce;
        Ok(())
    }

    fn kick(&self) {
        self.0.lock().unannounced = false;
    }

    fn room(&self) -> usize {
        let ring = self.0.lock();
        ring.size - ring.requests.len().min(ring.size)
    }

    fn held_buffers(&self) -> (usize, usize) {
        (self.0.lock().held.load(Relaxed), BUFFERS)
    }
}

struct Buffer {
    bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl EventBuffer for Buffer {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Relaxed);
    }
}

/// A request as the device sees it.
type Seen = (Header, Vec<u8>);

fn seen(request: &Request) -> Seen {
    let (header, payload) = request.bytes().split_first_chunk().unwrap();
    let header = Header::from_bytes(*header);
    assert_eq!(header.length as usize, payload.len());
    (header, payload.to_vec())
}

fn message(kind: u16, socket: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Header::new(kind, socket, payload.len()).to_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// A guest with its device.
struct World {
    forward: Forward,
    ring: Arc<Mutex<Ring>>,
}

impl World {
    fn new() -> Self {
        Self::with(NETWORK, 256, HEAP)
    }

    fn roomy() -> Self {
        Self::with(NETWORK, 256, LARGE_HEAP)
    }

    fn with(network: &str, size: usize, heap: usize) -> Self {
        let ring = Arc::new(Mutex::new(Ring {
            size,
            ..Ring::default()
        }));
        let config = NetConfig::parse(&alloc::format!("mode=forward {network}")).unwrap();
        let driver = Box::new(Driver(ring.clone()));
        Self {
            forward: Forward::new(driver, config, heap),
            ring,
        }
    }

    /// The next request; the device has not carried it out yet.
    fn pop(&self) -> Option<(Seen, Request)> {
        let request = self.ring.lock().requests.pop_front()?;
        Some((seen(&request), request))
    }

    /// The device carries out one request.
    fn serve(&self) -> Seen {
        let (seen, request) = self.pop().unwrap();
        self.forward.completed(request);
        seen
    }

    /// The device carries out everything.
    fn serve_all(&self) -> Vec<Seen> {
        core::iter::from_fn(|| self.pop())
            .map(|(seen, request)| {
                self.forward.completed(request);
                seen
            })
            .collect()
    }

    /// The kinds of everything in the queue, all of which the device carries out.
    fn kinds(&self) -> Vec<u16> {
        self.serve_all().iter().map(|seen| seen.0.kind).collect()
    }

    /// The device fills a buffer.
    fn say(&self, bytes: Vec<u8>) {
        let held = self.ring.lock().held.clone();
        held.fetch_add(1, Relaxed);
        let buffer: Arc<dyn EventBuffer> = Arc::new(Buffer { bytes, held });
        self.forward.receive(&buffer);
    }

    fn event(&self, kind: u16, socket: u64, payload: &[u8]) {
        self.say(message(kind, socket, payload));
    }

    fn data(&self, socket: u64, bytes: &[u8]) {
        self.event(EV_DATA, socket, bytes);
    }

    fn held(&self) -> usize {
        self.ring.lock().held.load(Relaxed)
    }

    fn errors(&self) -> u64 {
        self.forward.interfaces()[0].received[2]
    }

    fn connect(&self, remote: &str, options: &[StreamOption]) -> Result<Arc<dyn Stream>> {
        self.forward.connect(ConnectRequest {
            local: address("0.0.0.0:0"),
            remote: address(remote),
            options,
            events: Arc::new(WaitList::new()),
        })
    }

    /// A connected stream and its name.
    fn connected(&self) -> (Arc<dyn Stream>, u64) {
        self.connected_after(0)
    }

    /// The same, when `waiting` requests were in the queue before.
    fn connected_after(&self, waiting: usize) -> (Arc<dyn Stream>, u64) {
        let stream = self.connect("192.0.2.1:80", &[]).unwrap();
        let request = self.ring.lock().requests.remove(waiting).unwrap();
        let name = seen(&request).0.socket;
        self.forward.completed(request);
        let host = encode_address(address("192.168.7.7:40000"));
        self.event(EV_CONNECTED, name, &host);
        (stream, name)
    }

    /// Sends what fills half the window, and has the program read it, until the window is the largest.
    fn widen(&self, stream: &dyn Stream, name: u64) {
        let mut window = FIRST_WINDOW;
        let mut granted = FIRST_WINDOW;
        while window < WINDOW {
            let bytes = alloc::vec![1; (granted - window / 2) as usize];
            self.data(name, &bytes);
            receive(stream, bytes.len()).unwrap();
            window *= 2;
            let (header, payload) = self.serve();
            assert_eq!((header.kind, header.socket), (REQ_CREDIT, name));
            assert_eq!(payload, (window - window / 4).to_le_bytes());
            granted = window;
        }
    }

    fn fail(&self, name: u64, errno: Errno) {
        let errno = u32::from(errno.raw());
        self.event(EV_FAILED, name, &errno.to_le_bytes());
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn send(stream: &dyn Stream, bytes: &[u8]) -> Result<usize> {
    stream.send(&mut SliceSource::new(bytes), false)
}

fn receive(stream: &dyn Stream, room: usize) -> Result<Vec<u8>> {
    let mut bytes = alloc::vec![0; room];
    let count = stream.receive(&mut SliceSink::new(&mut bytes), false)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Counts and gathers wake-ups.
#[derive(Default)]
struct Waker {
    events: Mutex<Vec<u32>>,
}

impl Waker {
    fn on(list: &WaitList) -> (Arc<Self>, Arc<dyn Wake>) {
        let waker = Arc::new(Self::default());
        let held: Arc<dyn Wake> = waker.clone();
        list.add(&held);
        (waker, held)
    }

    fn take(&self) -> Vec<u32> {
        core::mem::take(&mut self.events.lock())
    }
}

impl Wake for Waker {
    fn wake(&self, events: u32) {
        self.events.lock().push(events);
    }
}
