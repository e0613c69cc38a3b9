//! What a fuzzer drives: two stacks, and a script that sends, closes, and does with their frames what it likes.
#![allow(clippy::unwrap_used)]
use super::simulation::{Backlog, Faults, MILLISECOND, Mailbox, Queue, World, receive, send, syn};
use super::{checksum, packet};
use crate::uplink::{DatagramKind, DatagramReceiver, Datagrams, Stream, StreamOption, Uplink};
use std::boxed::Box;
use std::sync::{Arc, Weak};
use std::vec::Vec;
use vfs::SliceSource;

struct Script<'a> {
    rest: &'a [u8],
}

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn word(&mut self) -> usize {
        usize::from(self.byte().unwrap_or(0)) << 8 | usize::from(self.byte().unwrap_or(0))
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (bytes, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        bytes.to_vec()
    }
}

/// So that a changed frame gets beyond the first checks.
fn repair(frame: &mut [u8]) {
    let Some(ip) = frame.get_mut(packet::ETHERNET_HEADER..) else {
        return;
    };
    if ip.first() == Some(&0x45) {
        checksum::fill_ipv4(ip);
    }
    if let Some(header) = packet::Header::parse(ip) {
        checksum::fill(ip, &header);
        if header.protocol == packet::ICMP && header.start + 4 <= header.end {
            packet::write(ip, header.start + 2, &[0; 2]);
            let value = !checksum::sum(&ip[header.start..header.end]);
            packet::write(ip, header.start + 2, &value.to_be_bytes());
        }
    }
}

struct Play {
    world: World,
    listening: Arc<Backlog>,
    streams: Vec<Arc<dyn Stream>>,
    datagrams: [Box<dyn Datagrams>; 2],
    _mailboxes: [Arc<Mailbox>; 2],
    /// The listeners of end 1 answer by cookies.
    is_flooded: bool,
}

impl Play {
    fn begin() -> Self {
        let world = World::new(Faults {
            delay: 10_000,
            ..Faults::default()
        });
        let mailboxes = [(); 2].map(|()| Arc::new(Mailbox::default()));
        let datagrams = [0, 1].map(|end| {
            let receiver: Weak<dyn DatagramReceiver> = Arc::downgrade(&mailboxes[end]) as _;
            let local = "0.0.0.0:53".parse().unwrap();
            world.ends[end]
                .datagrams(DatagramKind::Udp, local, receiver)
                .unwrap()
        });
        Self {
            world,
            listening: Backlog::new(16),
            streams: Vec::new(),
            datagrams,
            _mailboxes: mailboxes,
            is_flooded: false,
        }
    }

    fn wire(&self, number: u8) -> std::sync::MutexGuard<'_, Queue> {
        self.world.wires[usize::from(number & 1)].lock().unwrap()
    }

    fn flood(&mut self) {
        const MANY: u32 = 300;
        self.is_flooded = true;
        for number in 0..MANY {
            let now = self.world.now();
            self.wire(1).put(syn(number), now);
        }
    }

    /// One step of the script. None: it is over.
    fn step(&mut self, script: &mut Script<'_>) -> Option<()> {
        let op = script.byte()?;
        let which = script.byte().unwrap_or(0);
        let stream = self
            .streams
            .get(usize::from(which) % self.streams.len().max(1))
            .cloned();
        match (op % 16, stream) {
            (0 | 1, _) => {
                let count = script.word() % 2048;
                let mut frame = script.bytes(count);
                // For whom it is sent is never of interest.
                packet::write(&mut frame, 0, &[2, 0, 0, 0, 0, (which & 1) + 1]);
                if op % 16 == 1 {
                    repair(&mut frame);
                }
                let now = self.world.now();
                self.wire(which).put(frame, now);
            }
            (2..=5, _) => {
                let (at, value) = (script.word(), script.byte().unwrap_or(0));
                self.wire(which).change(|frame| {
                    let length = frame.len().max(1);
                    if let Some(byte) = frame.get_mut(at % length) {
                        *byte ^= value;
                    }
                    repair(frame);
                });
            }
            (6, _) => self.wire(which).drop_next(),
            (7, _) => {
                let nanos = (script.word() as u64 + 1) << (which % 24);
                let until = self.world.now() + nanos;
                // A bounded part of what happens until then.
                for _ in 0..64 {
                    if !self.world.step(until) {
                        break;
                    }
                }
            }
            (8, _) => {
                let to = ["10.0.0.2:80", "10.0.0.1:80", "[fd00::2]:80", "10.0.0.9:80"];
                let end = usize::from(which & 1);
                let to = to[usize::from(which >> 1) % to.len()];
                self.streams.extend(self.world.connect(end, to));
            }
            (9, Some(stream)) => {
                let _ = send(&stream, &std::vec![which; script.word()]);
            }
            (10, Some(stream)) => {
                let _ = receive(&stream, script.word());
            }
            (11, Some(stream)) => {
                let _ = stream.shutdown(which & 0x80 != 0, which & 0x40 != 0);
            }
            (12, Some(_)) => {
                let at = usize::from(which) % self.streams.len();
                self.streams.swap_remove(at);
            }
            (13, Some(stream)) => {
                let _ = stream.info();
                let _ = stream.set_option(option(which, script.word()));
            }
            (14, _) => {
                let count = script.word();
                let end = usize::from(which & 1);
                let to = if which & 2 == 0 {
                    "10.0.0.1:53"
                } else {
                    "10.0.0.2:53"
                };
                let bytes = std::vec![which; count];
                let _ = self.datagrams[end].send(
                    &mut SliceSource::new(&bytes),
                    to.parse().unwrap(),
                    which,
                );
            }
            (15, _) if !self.is_flooded => self.flood(),
            _ => {}
        }
        let until = self.world.now() + MILLISECOND / 10;
        self.world.step(until);
        self.streams
            .extend(self.listening.taken.lock().unwrap().drain(..));
        Some(())
    }
}

fn option(which: u8, value: usize) -> StreamOption {
    match which % 8 {
        0 => StreamOption::NoDelay(value & 1 != 0),
        1 => StreamOption::Cork(value & 1 != 0),
        2 => StreamOption::QuickAck(value & 1 != 0),
        3 => StreamOption::KeepAlive {
            on: value & 1 != 0,
            idle: value as u32 & 15,
            interval: 1,
            count: 3,
        },
        4 => StreamOption::UserTimeout(value as u32),
        5 => StreamOption::HopLimit(value as u8),
        6 => StreamOption::TrafficClass(value as u8),
        _ => StreamOption::MaxSegment(value as u16),
    }
}

/// Plays a script; it may be any bytes.
pub fn receive_frames(script: &[u8]) {
    let mut play = Play::begin();
    let ends = play.world.ends.clone();
    let listening = play.listening.clone();
    let _listeners = ends
        .iter()
        .flat_map(|end| ["0.0.0.0:80", "[::]:80"].map(|at| listening.listen(end, at, 16)))
        .collect::<Vec<_>>();
    let mut script = Script { rest: script };
    while play.step(&mut script).is_some() {}
    play.streams.clear();
}
