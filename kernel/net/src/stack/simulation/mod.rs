//! A simulated world for tests: time, two cards, the wire between them, which loses, delays, doubles and reorders frames.
#![allow(clippy::unwrap_used)]
mod card;

use crate::stack::{Arrival, Features, Link, Offload, Setup, Stack};
use crate::uplink::{Acceptor, ConnectRequest, DatagramReceiver, Stream, Uplink};
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;
use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::vec::Vec;
use vfs::{Host, SliceSink, SliceSource, Timestamp, WaitList, Wake};

pub const MILLISECOND: u64 = 1_000_000;
pub const SECOND: u64 = 1000 * MILLISECOND;

/// The machine: its clock stands still until the test moves it.
#[derive(Default)]
pub struct Clock {
    now: AtomicU64,
    timers: Mutex<BTreeMap<(u64, u64), Weak<dyn Wake>>>,
    count: AtomicU64,
    random: AtomicU64,
}

impl Host for Clock {
    fn wall_time(&self) -> Timestamp {
        Timestamp::default()
    }

    fn clock(&self, _: u32) -> u64 {
        self.now.load(Relaxed)
    }

    fn wake_at(&self, _: u32, deadline: u64, whom: Weak<dyn Wake>) {
        let number = self.count.fetch_add(1, Relaxed);
        self.timers.lock().unwrap().insert((deadline, number), whom);
    }

    fn random(&self, into: &mut [u8]) {
        for byte in into {
            let value = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
            *byte = (value.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u8;
        }
    }
}

impl Clock {
    fn due(&self) -> Option<u64> {
        let timers = self.timers.lock().unwrap();
        timers.first_key_value().map(|((at, _), _)| *at)
    }

    fn run(&self) {
        loop {
            let mut timers = self.timers.lock().unwrap();
            let Some(entry) = timers.first_entry() else {
                return;
            };
            if entry.key().0 > self.now.load(Relaxed) {
                return;
            }
            let whom = entry.remove();
            drop(timers);
            if let Some(whom) = whom.upgrade() {
                whom.wake(0);
            }
        }
    }
}

/// What the wire does to frames, in thousandths.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub loss: u64,
    pub duplication: u64,
    pub reordering: u64,
    pub damage: u64,
    /// Nanoseconds from one end to the other.
    pub delay: u64,
    /// Every frame for which this is so is lost.
    pub drop: Option<fn(&[u8]) -> bool>,
}

#[derive(Default)]
pub struct Queue {
    /// By time of arrival.
    frames: BTreeMap<(u64, u64), Vec<u8>>,
    arrived: VecDeque<Vec<u8>>,
    count: u64,
    random: u64,
    pub faults: Faults,
    pub sent: u64,
}

impl Queue {
    fn chance(&mut self, thousandths: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1000 < thousandths
    }

    pub fn put(&mut self, mut frame: Vec<u8>, now: u64) {
        let faults = self.faults;
        self.sent += 1;
        if faults.drop.is_some_and(|drop| drop(&frame)) || self.chance(faults.loss) {
            return;
        }
        if self.chance(faults.damage) {
            let at = self.random as usize / 1000 % frame.len();
            frame[at] ^= 1 << (self.random % 8);
        }
        let copies = 1 + u64::from(self.chance(faults.duplication));
        for _ in 0..copies {
            let late = if self.chance(faults.reordering) { 3 } else { 1 };
            self.count += 1;
            self.frames
                .insert((now + faults.delay * late, self.count), frame.clone());
        }
    }

    /// Changes the next frame under way.
    pub fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(mut entry) = self.frames.first_entry() {
            change(entry.get_mut());
        }
    }

    pub fn drop_next(&mut self) {
        self.frames.pop_first();
    }

    fn arrive(&mut self, now: u64) {
        while let Some(entry) = self.frames.first_entry()
            && entry.key().0 <= now
        {
            let frame = entry.remove();
            self.arrived.push_back(frame);
        }
    }
}

pub struct Card {
    pub hardware: [u8; 6],
    pub mtu: usize,
    pub features: Features,
    pub clock: Arc<Clock>,
    pub incoming: Arc<Mutex<Queue>>,
    pub outgoing: Arc<Mutex<Queue>>,
}

impl Link for Card {
    fn hardware_address(&self) -> [u8; 6] {
        self.hardware
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn features(&self) -> Features {
        self.features
    }

    fn has_room(&mut self) -> bool {
        true
    }

    fn send(&mut self, frame: &[u8], offload: Offload) -> bool {
        let now = self.clock.now.load(Relaxed);
        let mut queue = self.outgoing.lock().unwrap();
        for frame in card::carry_out(frame, offload) {
            assert!(frame.len() <= self.mtu + 14, "frame of {}", frame.len());
            queue.put(frame, now);
        }
        true
    }

    fn has_news(&mut self) -> bool {
        let mut queue = self.incoming.lock().unwrap();
        queue.arrive(self.clock.now.load(Relaxed));
        !queue.arrived.is_empty()
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> Option<Arrival> {
        let mut queue = self.incoming.lock().unwrap();
        queue.arrive(self.clock.now.load(Relaxed));
        frame.extend(queue.arrived.pop_front()?);
        Some(Arrival::default())
    }

    fn interrupt(&mut self, _: bool) {}

    fn kick(&mut self) {}
}

pub struct World {
    pub clock: Arc<Clock>,
    pub ends: [Arc<Stack>; 2],
    /// Towards each end.
    pub wires: [Arc<Mutex<Queue>>; 2],
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn setup(number: u8) -> Setup {
    Setup {
        addresses: std::vec![
            (ip(&std::format!("10.0.0.{number}")), 24),
            (ip(&std::format!("fd00::{number}")), 64),
        ],
        ..Setup::default()
    }
}

impl World {
    pub fn new(faults: Faults) -> Self {
        Self::with(faults, Features::default(), 1500, [setup(1), setup(2)])
    }

    pub fn with(faults: Faults, features: Features, mtu: usize, setups: [Setup; 2]) -> Self {
        let clock = Arc::new(Clock::default());
        clock.now.store(SECOND, Relaxed);
        let wires = [1, 2].map(|seed| {
            Arc::new(Mutex::new(Queue {
                random: 0x1234_5678_9abc_def1 * seed,
                faults,
                ..Queue::default()
            }))
        });
        let mut number = 0;
        let ends = setups.map(|setup| {
            let card = Card {
                hardware: [2, 0, 0, 0, 0, number as u8 + 1],
                mtu,
                features,
                clock: clock.clone(),
                incoming: wires[number].clone(),
                outgoing: wires[1 - number].clone(),
            };
            number += 1;
            let host: Arc<dyn Host> = clock.clone();
            Stack::new(host, Box::new(card), setup)
        });
        Self { clock, ends, wires }
    }

    pub fn now(&self) -> u64 {
        self.clock.now.load(Relaxed)
    }

    /// Lets everything happen that is due.
    fn settle(&self) {
        self.ends.iter().for_each(|end| {
            end.poll();
        });
        self.clock.run();
    }

    /// Moves the clock to what comes next, but not beyond `until`, and lets it happen. False: nothing comes before.
    pub fn step(&self, until: u64) -> bool {
        self.settle();
        let frames = self.wires.iter().filter_map(|wire| {
            let wire = wire.lock().unwrap();
            wire.frames.first_key_value().map(|((at, _), _)| *at)
        });
        let next = frames.chain(self.clock.due()).min();
        let next = next.filter(|next| *next <= until);
        let now = next.unwrap_or(until).max(self.now());
        self.clock.now.store(now, Relaxed);
        self.settle();
        next.is_some()
    }

    pub fn run(&self, nanos: u64) {
        let until = self.now() + nanos;
        while self.step(until) {}
    }

    pub fn run_until(&self, nanos: u64, is_done: impl Fn() -> bool) {
        let until = self.now() + nanos;
        while !is_done() {
            assert!(self.step(until), "it does not come to an end");
        }
    }

    pub fn connect(&self, from: usize, to: &str) -> Result<Arc<dyn Stream>, Errno> {
        let remote = at(to);
        let local = SocketAddr::new(
            if remote.is_ipv4() {
                ip("0.0.0.0")
            } else {
                ip("::")
            },
            0,
        );
        self.ends[from].connect(ConnectRequest {
            local,
            remote,
            options: &[],
            events: Arc::new(WaitList::new()),
        })
    }

    /// A connection from end 0 to end 1.
    pub fn pair(&self) -> (Arc<dyn Stream>, Arc<dyn Stream>) {
        self.pair_at("0.0.0.0:80", "10.0.0.2:80")
    }

    pub fn pair_at(&self, listen: &str, connect: &str) -> (Arc<dyn Stream>, Arc<dyn Stream>) {
        let queue = Backlog::new(8);
        let _listening = queue.listen(&self.ends[1], listen, 8);
        let client = self.connect(0, connect).unwrap();
        self.run_until(30 * SECOND, || !queue.taken.lock().unwrap().is_empty());
        let server = queue.take();
        // The listener goes; the connection stays.
        (client, server)
    }
}

/// A listening socket.
pub struct Backlog {
    pub taken: Mutex<VecDeque<Arc<dyn Stream>>>,
    room: usize,
}

impl Backlog {
    pub fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
            room,
        })
    }

    pub fn listen(
        self: &Arc<Self>,
        stack: &Arc<Stack>,
        local: &str,
        backlog: usize,
    ) -> Box<dyn crate::uplink::Listening> {
        let me: Weak<dyn Acceptor> = Arc::downgrade(self) as _;
        stack.listen(at(local), backlog, me).unwrap()
    }

    pub fn take(&self) -> Arc<dyn Stream> {
        self.taken.lock().unwrap().pop_front().unwrap()
    }
}

impl Acceptor for Backlog {
    fn room(&self) -> usize {
        self.room - self.taken.lock().unwrap().len()
    }

    fn offer(&self, stream: Arc<dyn Stream>) -> Result<(), Arc<dyn Stream>> {
        let mut taken = self.taken.lock().unwrap();
        if taken.len() >= self.room {
            return Err(stream);
        }
        taken.push_back(stream);
        Ok(())
    }
}

pub fn send(stream: &Arc<dyn Stream>, bytes: &[u8]) -> Result<usize, Errno> {
    stream.send(&mut SliceSource::new(bytes), false)
}

pub fn receive(stream: &Arc<dyn Stream>, room: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = std::vec![0; room];
    let count = stream.receive(&mut SliceSink::new(&mut bytes), false)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// A datagram socket.
#[derive(Default)]
pub struct Mailbox {
    pub got: Mutex<Vec<(SocketAddr, IpAddr, u8, Vec<u8>)>>,
    pub errors: Mutex<Vec<(Errno, SocketAddr)>>,
}

impl DatagramReceiver for Mailbox {
    fn deliver(&self, from: SocketAddr, to: IpAddr, hop_limit: u8, bytes: &[u8]) {
        let mut got = self.got.lock().unwrap();
        got.push((from, to, hop_limit, bytes.to_vec()));
    }

    fn error(&self, errno: Errno, remote: SocketAddr) {
        self.errors.lock().unwrap().push((errno, remote));
    }

    fn writable(&self) {}
}

/// A SYN to port 80 of end 1, of somebody who does not exist for the rest.
pub fn syn(number: u32) -> Vec<u8> {
    let mut frame = std::vec![0; 54];
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[8, 0]);
    let ip = &mut frame[14..];
    let source = 0x0a00_0100 | number >> 16;
    crate::stack::packet::write_header(
        ip,
        core::net::Ipv4Addr::from(source | 0x80).into(),
        core::net::Ipv4Addr::new(10, 0, 0, 2).into(),
        6,
        20,
        64,
    );
    ip[20..22].copy_from_slice(&(number as u16).to_be_bytes());
    ip[22..24].copy_from_slice(&80u16.to_be_bytes());
    ip[32..34].copy_from_slice(&[0x50, 2]);
    let header = crate::stack::packet::Header::parse(ip).unwrap();
    crate::stack::checksum::fill(ip, &header);
    frame
}
