//! A guest for the tests: a driver that speaks the messages of the socket device.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_abi::hostnet::*;
use virtio_bindings::virtio_ring::VRING_DESC_F_WRITE;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::epoll::{Epoll, EpollEvent};

use super::super::addresses::Addresses;
use super::super::policy::Policy;
use super::super::{HostNet, publish};
use crate::devices::virtio::driver::{Driver, SIZE};
use crate::stats::NetCounters;

const REQUEST_SLOTS: u64 = 0x20_0000;
const REQUEST_SLOT: u64 = 80 << 10;
const EVENT_SLOTS: u64 = 0x50_0000;
const EVENT_SLOT: u64 = 72 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: u16,
    pub socket: u64,
    pub payload: Vec<u8>,
}

impl Event {
    pub fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub fn name(&self) -> u64 {
        u64::from_le_bytes(self.payload[..8].try_into().unwrap())
    }

    pub fn address(&self, at: usize) -> SocketAddr {
        decode_address(self.payload[at..at + ADDRESS_SIZE].try_into().unwrap()).unwrap()
    }
}

pub struct Guest {
    pub driver: Driver<HostNet>,
    epoll: Arc<Epoll>,
    pub counters: Arc<NetCounters>,
    events: VecDeque<Event>,
    /// Requests that the device has not given back.
    pub in_flight: usize,
    /// Messages that the device keeps.
    pub kept: usize,
    /// Buffers go back to the device.
    pub generous: bool,
    /// Event buffers that came.
    pub buffers: usize,
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The host's `address` as the guest names it.
pub fn outside(address: SocketAddr) -> SocketAddr {
    let gateway = if address.is_ipv6() {
        "[fd00:c0::2]:0"
    } else {
        "10.0.2.2:0"
    };
    SocketAddr::new(at(gateway).ip(), address.port())
}

/// Ports of the host that lead to the guest's, one per `--publish`; each is any that is free.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

impl Guest {
    pub fn new() -> Self {
        Self::with(&[], &[], Addresses::default())
    }

    pub fn publishing(ports: &[&str]) -> Self {
        Self::with(ports, &[], Addresses::default())
    }

    pub fn with(ports: &[&str], allow: &[&str], addresses: Addresses) -> Self {
        let ports: Vec<_> = ports
            .iter()
            .flat_map(|text| publish::parse(text).unwrap())
            .collect();
        let allow: Vec<String> = allow.iter().map(|rule| (*rule).to_owned()).collect();
        let counters = Arc::default();
        let net = HostNet::new(
            publish::bind_all(&ports).unwrap(),
            addresses,
            Policy::new(&allow).unwrap(),
            Arc::clone(&counters),
        );
        let driver = Driver::new(net.unwrap(), 0);
        let epoll = driver.device.with_device(|net| net.epoll());
        let mut guest = Self {
            driver,
            epoll,
            counters,
            events: VecDeque::new(),
            in_flight: 0,
            kept: 0,
            generous: true,
            buffers: 0,
        };
        guest.lend_some();
        guest
    }

    fn lend_some(&mut self) {
        for _ in 0..SIZE / 2 {
            self.lend();
        }
    }

    /// The driver starts anew.
    pub fn restart(&mut self) {
        self.driver.forget();
        self.driver.start(0);
        (self.in_flight, self.kept) = (0, 0);
        self.events.clear();
        self.lend_some();
        self.look();
    }

    /// Puts bytes where no other request lies.
    pub fn place(&mut self, bytes: &[u8]) -> u64 {
        let at = REQUEST_SLOTS - REQUEST_SLOT;
        let memory = &self.driver.memory;
        memory.write_slice(bytes, GuestAddress(at)).unwrap();
        at
    }

    /// Has the device fill all buffers that it was lent.
    pub fn use_up_buffers(&mut self) {
        self.generous = false;
        for name in 0..u64::from(SIZE / 2) {
            self.connect(1000 + name, at("127.0.0.1:1"));
            self.event(EV_FAILED, 1000 + name);
        }
    }

    pub fn lend(&mut self) {
        // One descriptor each, in order, so the slots are used in turn.
        let [_, avail, _] = crate::devices::virtio::driver::parts(1);
        let index: u16 = self
            .driver
            .memory
            .read_obj(GuestAddress(avail + 2))
            .unwrap();
        let at = EVENT_SLOTS + EVENT_SLOT * u64::from(index % SIZE);
        let head = self
            .driver
            .add(1, &[(at, EVENT_SLOT as u32, VRING_DESC_F_WRITE as u16)]);
        assert_eq!(head, index % SIZE);
    }

    /// Puts a request into the queue.
    pub fn ask(&mut self, header: Header, payload: &[u8]) {
        assert!(self.in_flight < SIZE.into());
        let [_, avail, _] = crate::devices::virtio::driver::parts(0);
        let memory = Arc::clone(&self.driver.memory);
        let index: u16 = memory.read_obj(GuestAddress(avail + 2)).unwrap();
        let at = REQUEST_SLOTS + REQUEST_SLOT * u64::from(index % SIZE);
        let bytes = [&header.to_bytes()[..], payload].concat();
        memory.write_slice(&bytes, GuestAddress(at)).unwrap();
        // In two pieces, the first of which ends inside the header.
        self.driver.add(0, &[(at, bytes.len() as u32, 0)]);
        self.in_flight += 1;
    }

    /// Sends a message that lies at `at`.
    pub fn send_from(&mut self, at: u64, bytes: &[u8]) {
        self.overwrite(at, bytes);
        self.driver.add(0, &[(at, bytes.len() as u32, 0)]);
        self.in_flight += 1;
        self.look();
    }

    pub fn overwrite(&mut self, at: u64, bytes: &[u8]) {
        let memory = &self.driver.memory;
        memory.write_slice(bytes, GuestAddress(at)).unwrap();
    }

    pub fn request(&mut self, kind: u16, socket: u64, payload: &[u8]) {
        self.flagged(kind, 0, socket, payload);
    }

    pub fn flagged(&mut self, kind: u16, flags: u16, socket: u64, payload: &[u8]) {
        let header = Header::new(kind, socket, payload.len()).with_flags(flags);
        self.ask(header, payload);
        self.look();
    }

    pub fn connect(&mut self, socket: u64, to: SocketAddr) {
        self.request(REQ_CONNECT, socket, &encode_address(to));
    }

    pub fn listen(&mut self, socket: u64, at: SocketAddr, backlog: u32) {
        let payload = [&encode_address(at)[..], &backlog.to_le_bytes()].concat();
        self.request(REQ_LISTEN, socket, &payload);
    }

    pub fn number(&mut self, kind: u16, socket: u64, value: u32) {
        self.request(kind, socket, &value.to_le_bytes());
    }

    pub fn send_to(&mut self, socket: u64, to: SocketAddr, bytes: &[u8]) {
        let payload = [&encode_address(to)[..], &[0; 8], bytes].concat();
        self.request(REQ_SEND_TO, socket, &payload);
    }

    /// One look of the device at its queues and sockets.
    pub fn look(&mut self) {
        self.look_while(|| ());
    }

    /// The same; `peer` is what the other side does once the requests are carried out.
    pub fn look_while(&mut self, peer: impl FnOnce()) {
        let mut events = [EpollEvent::default(); 64];
        let changes = || {
            peer();
            let count = loop {
                match self.epoll.wait(0, &mut events) {
                    Ok(count) => break count,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => panic!("{e}"),
                }
            };
            &events[..count]
        };
        self.driver
            .device
            .serve(|net, rings| net.serve(rings, changes));
        self.driver.device.with_device(HostNet::clean_up);
        self.collect();
    }

    /// Takes what the device has given back and said.
    pub fn collect(&mut self) {
        for (_, used) in self.driver.returned(0) {
            self.in_flight -= 1;
            match used {
                USED_DONE => {}
                USED_KEPT => self.kept += 1,
                _ => panic!("a used length of {used}"),
            }
        }
        for (head, len) in self.driver.returned(1) {
            self.buffers += 1;
            let at = EVENT_SLOTS + EVENT_SLOT * u64::from(head);
            self.read_buffer(at, len);
            if self.generous {
                self.lend();
            }
        }
    }

    fn read_buffer(&mut self, start: u64, len: u32) {
        let bytes = self.driver.bytes(start, len);
        let mut rest = &bytes[..];
        assert!(!rest.is_empty());
        while let Some((head, after)) = rest.split_first_chunk() {
            let header = Header::from_bytes(*head);
            let (payload, _) = after.split_at(header.length as usize);
            let step = (Header::SIZE + payload.len()).next_multiple_of(8);
            rest = rest.get(step..).unwrap_or_default();
            if header.kind == EV_TAKEN {
                let count = u32::from_le_bytes(payload.try_into().unwrap());
                self.kept -= count as usize;
                continue;
            }
            self.events.push_back(Event {
                kind: header.kind,
                socket: header.socket,
                payload: payload.to_vec(),
            });
        }
    }

    /// Looks until `done`.
    pub fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            self.look();
            if let Some(result) = done(self) {
                return result;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no {what}; there is {:?}",
                self.events
            );
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// One look, and all that came.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.look();
        self.events.drain(..).collect()
    }

    /// The next event, which is of this kind and about this socket.
    pub fn event(&mut self, kind: u16, socket: u64) -> Event {
        let event = self.until(&format!("event {kind}"), |guest| guest.events.pop_front());
        assert_eq!((event.kind, event.socket), (kind, socket), "{event:?}");
        event
    }

    /// All data of a stream until its end, or until there are `most` bytes. The program reads it all.
    pub fn data(&mut self, socket: u64, most: usize) -> Vec<u8> {
        let mut data = Vec::new();
        while data.len() < most {
            let event = self.until("data", |guest| guest.events.pop_front());
            assert_eq!(event.socket, socket);
            if event.kind == EV_END {
                break;
            }
            assert_eq!(event.kind, EV_DATA, "{event:?}");
            self.number(REQ_CREDIT, socket, event.payload.len() as u32);
            data.extend(event.payload);
        }
        data
    }

    /// Nothing happens for a while.
    pub fn quiet(&mut self) {
        for _ in 0..20 {
            self.look();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.events, []);
    }

    pub fn is_well(&self) -> bool {
        self.driver.device.is_running()
    }
}
