//! The way out: finishes IP packets, finds whom they go to first, and gives them to the card.
use super::addresses::{Addresses, Hop};
use super::checksum;
use super::link::{Link, Offload, Segmentation};
use super::neighbours::{self, Answer, Neighbours, Waiting};
use super::packet::{self, ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Header, TCP};
use super::path::Path;
use super::path_mtu::PathMtus;
use super::tap::Taps;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Since boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    pub received_packets: u64,
    pub received_bytes: u64,
    /// Damaged, or not understood.
    pub received_errors: u64,
    /// For nobody here.
    pub received_dropped: u64,
    pub sent_packets: u64,
    pub sent_bytes: u64,
    pub sent_errors: u64,
    /// The card had no room, or too many waited for a neighbour.
    pub sent_dropped: u64,
    /// TCP segments that were sent again.
    pub retransmitted: u64,
    /// How often a socket of smoltcp was polled.
    pub socket_polls: u64,
}

pub struct Output {
    pub link: Box<dyn Link>,
    pub hardware: [u8; 6],
    pub addresses: Addresses,
    pub neighbours: Neighbours,
    pub counters: Counters,
    pub taps: Taps,
    pub path_mtus: PathMtus,
    /// Monotonic time in nanoseconds, of this turn.
    pub now: u64,
    /// IP packets whose neighbour does not answer.
    pub undeliverable: Vec<Vec<u8>>,
    frame: Vec<u8>,
}

impl Output {
    pub fn new(link: Box<dyn Link>) -> Self {
        Self {
            hardware: link.hardware_address(),
            link,
            addresses: Addresses::default(),
            neighbours: Neighbours::default(),
            counters: Counters::default(),
            taps: Taps::default(),
            path_mtus: PathMtus::default(),
            now: 0,
            undeliverable: Vec::new(),
            frame: Vec::new(),
        }
    }

    /// Lets `fill` write an IP packet of `length` bytes, all but the transport's checksum, and sends it. `segment`: the size into which
    /// the card is to cut its payload. `path`: the TCP connection's, if it is of one.
    pub fn build<R>(
        &mut self,
        length: usize,
        segment: Option<u16>,
        path: Option<&mut Path>,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let mut frame = core::mem::take(&mut self.frame);
        frame.clear();
        frame.resize(ETHERNET_HEADER + length, 0);
        let ip = frame.get_mut(ETHERNET_HEADER..).unwrap_or_default();
        let result = fill(ip);
        if let Some(header) = Header::parse(ip) {
            if let Some(path) = path {
                let again = path.outgoing(ip, &header, self.now);
                self.counters.retransmitted += u64::from(again);
            }
            let limit = self.segment_limit(ip, &header);
            match limit.filter(|_| !self.cuts(&header)) {
                Some(size) => self.send_cut(&frame, &header, size),
                None => {
                    let offload = self.finish(ip, &header, limit.or(segment));
                    self.route(&mut frame, &header, offload);
                }
            }
        } else {
            self.counters.sent_errors += 1;
        }
        self.frame = frame;
        result
    }

    /// Whether the card cuts segments of this version.
    fn cuts(&self, header: &Header) -> bool {
        let features = self.link.features();
        if header.is_v6() {
            features.segment_v6
        } else {
            features.segment_v4
        }
    }

    /// Completes the checksum, or leaves it to the card.
    pub fn finish(&self, ip: &mut [u8], header: &Header, segment: Option<u16>) -> Offload {
        let Some(at) = checksum::offset(header.protocol).filter(|_| header.fragment.is_none())
        else {
            return Offload::default();
        };
        // Cards know TCP and UDP only.
        if !self.link.features().checksum || header.protocol == packet::ICMPV6 {
            checksum::fill(ip, header);
            return Offload::default();
        }
        checksum::fill_partly(ip, header);
        let start = (ETHERNET_HEADER + header.start) as u16;
        let tcp_header = ip.get(header.start + 12).map_or(0, |byte| byte >> 4) * 4;
        Offload {
            checksum: Some((start, at as u16)),
            segmentation: segment
                .filter(|_| header.protocol == TCP)
                .map(|size| Segmentation {
                    size,
                    header: start + u16::from(tcp_header),
                    v6: header.is_v6(),
                }),
        }
    }

    /// Sends a frame with a finished IP packet in it, or keeps it until its neighbour is known.
    pub fn route(&mut self, frame: &mut [u8], header: &Header, offload: Offload) {
        let ethertype = if header.is_v6() {
            ETHERTYPE_IPV6
        } else {
            ETHERTYPE_IPV4
        };
        packet::write(frame, 6, &self.hardware);
        packet::write(frame, 12, &ethertype.to_be_bytes());
        let hardware = match self.addresses.next_hop(header.destination) {
            Some(Hop::Hardware(hardware)) => hardware,
            Some(Hop::Neighbour(neighbour)) => match self.look_up(neighbour) {
                Answer::Known(hardware) => hardware,
                Answer::Unknown => {
                    let frame = frame.to_vec();
                    if !self.neighbours.wait(neighbour, Waiting { frame, offload }) {
                        self.counters.sent_dropped += 1;
                    }
                    return;
                }
            },
            None => {
                self.counters.sent_errors += 1;
                return;
            }
        };
        packet::write(frame, 0, &hardware);
        self.transmit(frame, offload);
    }

    fn look_up(&mut self, neighbour: IpAddr) -> Answer {
        let (answer, ask) = self.neighbours.find(neighbour, self.now);
        if ask {
            self.ask(neighbour);
        }
        answer
    }

    fn ask(&mut self, neighbour: IpAddr) {
        let source = self.addresses.source_for(neighbour);
        let frame = neighbours::question(neighbour, source, self.hardware);
        self.transmit(&frame, Offload::default());
    }

    /// Sends a whole frame.
    pub fn transmit(&mut self, frame: &[u8], offload: Offload) {
        self.taps.see(frame, true);
        if self.link.send(frame, offload) {
            self.counters.sent_packets += 1;
            self.counters.sent_bytes += frame.len() as u64;
        } else {
            self.counters.sent_dropped += 1;
        }
    }

    /// `address` has told its hardware address: frames that waited for that leave.
    /// `asks`: because it wants to talk to us.
    pub fn learn(&mut self, address: IpAddr, hardware: [u8; 6], asks: bool) {
        for mut waiting in self.neighbours.learn(address, hardware, asks, self.now) {
            packet::write(&mut waiting.frame, 0, &hardware);
            self.transmit(&waiting.frame, waiting.offload);
        }
    }

    /// Asks again for neighbours that have not answered, and gives up on some.
    pub fn ask_again(&mut self) {
        let (ask, absent) = self.neighbours.due(self.now);
        ask.into_iter().for_each(|neighbour| self.ask(neighbour));
        let packets = absent.into_iter().map(|mut waiting| {
            waiting
                .frame
                .drain(..ETHERNET_HEADER.min(waiting.frame.len()));
            waiting.frame
        });
        self.undeliverable.extend(packets);
    }
}
