//! Which hardware address a neighbour has: ARP (RFC 826) and neighbour discovery (RFC 4861), the asking side. The answering
//! side is smoltcp's.
use super::addresses::{link_local, solicited_node};
use super::checksum;
use super::link::Offload;
use super::packet::{self, ETHERNET_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV6, Header};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// Nanoseconds of the monotonic clock.
type Nanos = u64;

const SECOND: Nanos = 1_000_000_000;
/// How long an answer is believed without asking again; it stays in use while asked.
const FRESH: Nanos = 30 * SECOND;
/// How often is asked, a second apart, before a neighbour counts as absent.
const ATTEMPTS: u8 = 3;
/// How many frames wait for one neighbour, and how many neighbours are known.
const WAITING: usize = 32;
const KNOWN: usize = 1024;

/// A frame without a destination yet.
pub struct Waiting {
    pub frame: Vec<u8>,
    pub offload: Offload,
}

#[derive(Default)]
struct Neighbour {
    /// None: not known (yet).
    hardware: Option<[u8; 6]>,
    confirmed: Nanos,
    /// When to ask again, and how often that was done without an answer.
    ask_at: Option<Nanos>,
    asked: u8,
    waiting: Vec<Waiting>,
}

/// What there is to do for a frame.
pub enum Answer {
    Known([u8; 6]),
    /// It must wait: give it to `wait`.
    Unknown,
}

#[derive(Default)]
pub struct Neighbours {
    table: HashMap<IpAddr, Neighbour, FxBuildHasher>,
    /// Not after any neighbour's `ask_at`.
    next: Option<Nanos>,
}

impl Neighbours {
    /// Where to send frames for `address`; the second answer is whether it must be asked for now.
    pub fn find(&mut self, address: IpAddr, now: Nanos) -> (Answer, bool) {
        if !self.table.contains_key(&address) {
            self.make_room();
        }
        let neighbour = self.table.entry(address).or_default();
        let is_stale = neighbour.hardware.is_none() || now >= neighbour.confirmed + FRESH;
        let ask = is_stale && neighbour.ask_at.is_none();
        if ask {
            neighbour.ask_at = Some(now + SECOND);
            neighbour.asked = 1;
            self.next = Some(
                self.next
                    .map_or(now + SECOND, |next| next.min(now + SECOND)),
            );
        }
        let answer = neighbour.hardware.map_or(Answer::Unknown, Answer::Known);
        (answer, ask)
    }

    /// Somebody who is not needed at the moment is forgotten.
    fn make_room(&mut self) {
        if self.table.len() >= KNOWN {
            let oldest = self
                .table
                .iter()
                .min_by_key(|(_, neighbour)| neighbour.confirmed)
                .map(|(address, _)| *address);
            if let Some(address) = oldest {
                self.table.remove(&address);
            }
        }
    }

    /// Keeps a frame until `address` has answered. False: too many wait already.
    pub fn wait(&mut self, address: IpAddr, waiting: Waiting) -> bool {
        match self.table.get_mut(&address) {
            Some(neighbour) if neighbour.waiting.len() < WAITING => {
                neighbour.waiting.push(waiting);
                true
            }
            _ => false,
        }
    }

    /// `address` has said that it has `hardware`. Believed of somebody who was asked for, or who asks for us (`asks`): that one will want
    /// an answer. Answers the frames that waited.
    pub fn learn(
        &mut self,
        address: IpAddr,
        hardware: [u8; 6],
        asks: bool,
        now: Nanos,
    ) -> Vec<Waiting> {
        let is_unicast = hardware[0] & 1 == 0;
        if asks && is_unicast && !self.table.contains_key(&address) {
            self.make_room();
            self.table.insert(address, Neighbour::default());
        }
        match self.table.get_mut(&address) {
            Some(neighbour) if is_unicast => {
                neighbour.hardware = Some(hardware);
                neighbour.confirmed = now;
                neighbour.ask_at = None;
                neighbour.asked = 0;
                core::mem::take(&mut neighbour.waiting)
            }
            _ => Vec::new(),
        }
    }

    /// When `due` wants to be called.
    pub fn next(&self) -> Option<Nanos> {
        self.next
    }

    /// Whom to ask again, and the frames for those who do not answer.
    pub fn due(&mut self, now: Nanos) -> (Vec<IpAddr>, Vec<Waiting>) {
        let (mut ask, mut absent) = (Vec::new(), Vec::new());
        if self.next.is_none_or(|next| next > now) {
            return (ask, absent);
        }
        self.table.retain(|address, neighbour| {
            if neighbour.ask_at.is_none_or(|at| at > now) {
                return true;
            }
            if neighbour.asked >= ATTEMPTS {
                absent.append(&mut neighbour.waiting);
                return false;
            }
            neighbour.asked += 1;
            neighbour.ask_at = Some(now + SECOND);
            ask.push(*address);
            true
        });
        self.next = self.table.values().filter_map(|one| one.ask_at).min();
        (ask, absent)
    }
}

/// The frame that asks who has `target`.
pub fn question(target: IpAddr, source: Option<IpAddr>, hardware: [u8; 6]) -> Vec<u8> {
    match target {
        IpAddr::V4(target) => {
            let source = match source {
                Some(IpAddr::V4(source)) => source,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            arp_request(target, source, hardware)
        }
        IpAddr::V6(target) => {
            let source = match source {
                Some(IpAddr::V6(source)) => source,
                _ => link_local(hardware),
            };
            solicitation(target, source, hardware)
        }
    }
}

fn arp_request(target: Ipv4Addr, source: Ipv4Addr, hardware: [u8; 6]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET_HEADER + 28);
    frame.extend([0xff; 6]);
    frame.extend(hardware);
    frame.extend(ETHERTYPE_ARP.to_be_bytes());
    // Ethernet and IPv4, address lengths 6 and 4, a request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(hardware);
    frame.extend(source.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

fn solicitation(target: Ipv6Addr, source: Ipv6Addr, hardware: [u8; 6]) -> Vec<u8> {
    const LENGTH: usize = 32;
    let group = solicited_node(target);
    let [.., a, b, c, d] = group.octets();
    let mut frame = alloc::vec![0; ETHERNET_HEADER + packet::IPV6_HEADER + LENGTH];
    packet::write(&mut frame, 0, &[0x33, 0x33, a, b, c, d]);
    packet::write(&mut frame, 6, &hardware);
    packet::write(&mut frame, 12, &ETHERTYPE_IPV6.to_be_bytes());
    let ip = frame.get_mut(ETHERNET_HEADER..).unwrap_or_default();
    let (source, group) = (IpAddr::V6(source), IpAddr::V6(group));
    packet::write_header(ip, source, group, packet::ICMPV6, LENGTH, 255);
    let at = packet::IPV6_HEADER;
    packet::write(ip, at, &[135]);
    packet::write(ip, at + 8, &target.octets());
    // Option: source link-layer address.
    packet::write(ip, at + 24, &[1, 1]);
    packet::write(ip, at + 26, &hardware);
    if let Some(header) = Header::parse(ip) {
        checksum::fill(ip, &header);
    }
    frame
}

/// Who an ARP packet is from, and whom it asks for or answers.
pub fn arp_ends(packet: &[u8]) -> Option<(IpAddr, [u8; 6], IpAddr)> {
    if packet.get(..6)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let hardware = *packet.get(8..)?.first_chunk()?;
    let address = Ipv4Addr::from(packet::read_u32(packet, 14)?);
    let target = Ipv4Addr::from(packet::read_u32(packet, 24)?);
    Some((address.into(), hardware, target.into()))
}

/// Whom a neighbour advertisement or solicitation gives a hardware address, and whom a solicitation asks for.
pub fn discovered(packet: &[u8], header: &Header) -> Option<(IpAddr, [u8; 6], Option<IpAddr>)> {
    const SOLICITATION: u8 = 135;
    const ADVERTISEMENT: u8 = 136;
    const SOURCE: u8 = 1;
    const TARGET: u8 = 2;
    let message = packet.get(header.start..header.end)?;
    if header.hop_limit != 255 {
        return None;
    }
    let target: [u8; 16] = *message.get(8..)?.first_chunk()?;
    let target = IpAddr::V6(Ipv6Addr::from(target));
    let (address, wanted, asked) = match *message.first()? {
        SOLICITATION => (header.source, SOURCE, Some(target)),
        ADVERTISEMENT => (target, TARGET, None),
        _ => return None,
    };
    let mut options = message.get(24..)?;
    while let [kind, length, ..] = options {
        let end = usize::from(*length) * 8;
        if *kind == wanted {
            return Some((address, *options.get(2..)?.first_chunk()?, asked));
        }
        options = options.get(end.max(8)..)?;
    }
    // Answers to a unicast question may leave the option out; then the question's address was right.
    None
}
