//! What a connection's packets show that smoltcp does not tell: sequence numbers, retransmissions, round-trip times. And where
//! numbers are translated for a socket that took the place of a smaller one (see `grow`).
use super::congestion::Congestion;
use super::flight::{Again, Flight, Report, Times};
use super::packet::{Header, TCP, read_u16, read_u32, write};

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// A TCP header, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub source: u16,
    pub destination: u16,
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    pub window: u16,
    pub payload: usize,
}

impl Segment {
    pub fn parse(packet: &[u8], header: &Header) -> Option<Self> {
        let at = header.start;
        let length = usize::from(*packet.get(at + 12)? >> 4) * 4;
        if header.protocol != TCP || length < 20 || at + length > header.end {
            return None;
        }
        Some(Self {
            source: read_u16(packet, at)?,
            destination: read_u16(packet, at + 2)?,
            sequence: read_u32(packet, at + 4)?,
            acknowledged: read_u32(packet, at + 8)?,
            flags: *packet.get(at + 13)?,
            window: read_u16(packet, at + 14)?,
            payload: header.end - at - length,
        })
    }

    pub fn is_syn(&self) -> bool {
        self.flags & (SYN | ACK | RST) == SYN
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What it takes of the sequence space.
    pub fn length(&self) -> u32 {
        let flags = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.payload as u32 + flags
    }

    /// The first number behind it.
    pub fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.length())
    }
}

/// Whether `a` comes before `b`, in numbers that wrap around.
pub fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Options of a SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SynOptions {
    pub mss: Option<u16>,
    pub scale: Option<u8>,
    pub sack: bool,
}

impl SynOptions {
    pub fn parse(packet: &[u8], header: &Header) -> Self {
        let mut found = Self::default();
        let length = packet
            .get(header.start + 12)
            .map_or(0, |byte| usize::from(byte >> 4) * 4);
        let mut options = packet
            .get(header.start + 20..header.start + length)
            .unwrap_or(&[]);
        while let [kind, rest @ ..] = options {
            let size = match kind {
                0 => break,
                1 => 1,
                _ => usize::from(rest.first().copied().unwrap_or(0)).max(2),
            };
            match (kind, size) {
                (2, 4) => found.mss = read_u16(options, 2),
                (3, 3) => found.scale = options.get(2).copied(),
                (4, 2) => found.sack = true,
                _ => {}
            }
            options = options.get(size..).unwrap_or(&[]);
        }
        found
    }
}

#[derive(Default)]
pub struct Path {
    /// What the peer said in its SYN, and its last window in bytes.
    pub peer: SynOptions,
    pub peer_window: u32,
    /// What the socket was told of it.
    told: u16,
    pub flight: Flight,
    /// The segment size of the own SYN, and the window field of the last segment.
    own_mss: Option<u16>,
    pub window: u16,
    /// The first of the peer's numbers that it may not send yet; and where this stays until the receive buffer has grown.
    edge: u32,
    held_edge: Option<u32>,
    /// The scale of windows that the peer was told.
    pub own_scale: u8,
    /// By how much the socket shifts its windows, and how far its numbers lie behind those on the wire.
    pub socket_scale: u8,
    pub shift: u32,
    /// The last segment that left: what comes next, and what was acknowledged.
    pub next: u32,
    pub acknowledged: u32,
    pub has_sent: bool,
    pub segments_out: u32,
    pub segments_in: u32,
    pub retransmitted: u32,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    /// Round-trip time and its deviation, as RFC 6298 smooths them, in microseconds.
    pub rtt: u32,
    pub deviation: u32,
    /// What is acknowledged by when, for the next measurement.
    sample: Option<(u32, u64)>,
    pub unacknowledged: u32,
    /// The peer's first sequence number behind its SYN, and the first behind all that it has sent.
    pub first: u32,
    pub heard_up_to: u32,
    /// When the peer was heard last.
    pub heard: u64,
    /// `IP_TOS`, `IPV6_TCLASS`
    pub traffic_class: u8,
    /// `TCP_MAXSEG`: what the peer is told, unless 0.
    pub max_segment: u16,
}

impl Path {
    /// A packet of the socket is about to leave. Answers whether it was sent before.
    pub fn outgoing(&mut self, ip: &mut [u8], header: &Header, now: u64) -> bool {
        let Some(segment) = Segment::parse(ip, header) else {
            return false;
        };
        self.translate_outgoing(ip, header, &segment);
        self.mark(ip);
        if !header.is_v6() {
            // Many routers that drop large packets never say so; over IPv4 they may cut them instead.
            write(ip, 6, &[0, 0]);
            write(
                ip,
                4,
                &(self.segments_out as u16 ^ segment.source).to_be_bytes(),
            );
            super::checksum::fill_ipv4(ip);
        }
        let start = segment.sequence.wrapping_add(self.shift);
        let end = segment.end().wrapping_add(self.shift);
        self.note_window(ip, header, segment.has(SYN));
        if segment.has(SYN) {
            self.own_mss = SynOptions::parse(ip, header).mss;
            self.begin();
        } else if segment.length() > 0 {
            let payload = ip.get(header.end - segment.payload..header.end);
            let bytes = payload.unwrap_or(&[]);
            self.flight
                .sends(start, bytes, segment.has(FIN), self.next, now);
        }
        let is_again = self.has_sent && segment.length() > 0 && !is_before(self.next, end);
        self.segments_out = self.segments_out.wrapping_add(1);
        if segment.has(ACK) {
            self.acknowledged = segment.acknowledged;
        }
        if !self.has_sent || is_before(self.next, end) {
            self.next = end;
        }
        if !self.has_sent {
            self.has_sent = true;
            self.unacknowledged = start;
        }
        if is_again {
            self.retransmitted = self.retransmitted.wrapping_add(1);
            // Karn: it would not be known which of the two was acknowledged.
            self.sample = None;
        } else if segment.length() > 0 && self.sample.is_none() {
            self.sample = Some((end, now));
        }
        is_again
    }

    fn translate_outgoing(&self, ip: &mut [u8], header: &Header, segment: &Segment) {
        let at = header.start;
        if self.shift != 0 {
            let sequence = segment.sequence.wrapping_add(self.shift);
            write(ip, at + 4, &sequence.to_be_bytes());
        }
        if segment.has(SYN) {
            self.announce(ip, header);
        } else if self.own_scale > self.socket_scale {
            let window = segment.window >> (self.own_scale - self.socket_scale);
            write(ip, at + 14, &window.to_be_bytes());
        } else if self.own_scale < self.socket_scale {
            let window = u32::from(segment.window) << (self.socket_scale - self.own_scale);
            write(ip, at + 14, &(window.min(0xffff) as u16).to_be_bytes());
        }
    }

    /// Keeps the window that the peer was told as it is while the buffer is to grow, and puts down what it was told.
    fn note_window(&mut self, ip: &mut [u8], header: &Header, is_syn: bool) {
        let acknowledged = read_u32(ip, header.start + 8).unwrap_or(0);
        let mut window = read_u16(ip, header.start + 14).unwrap_or(0);
        if let Some(edge) = self.held_edge {
            let left = edge.wrapping_sub(acknowledged);
            let left = if is_before(edge, acknowledged) {
                0
            } else {
                left
            };
            window = window.min((left >> self.own_scale).min(0xffff) as u16);
            write(ip, header.start + 14, &window.to_be_bytes());
        }
        self.window = window;
        let scale = if is_syn { 0 } else { self.own_scale };
        self.edge = acknowledged.wrapping_add(u32::from(window) << scale);
    }

    /// The peer is told this outside the socket.
    pub fn told_window(&mut self, expected: u32, window: u16) {
        (self.acknowledged, self.window) = (expected, window);
        self.edge = expected.wrapping_add(u32::from(window) << self.own_scale);
    }

    /// The window that the peer was told, from `expected` on.
    pub fn window_from(&self, expected: u32) -> u16 {
        match is_before(self.edge, expected) {
            true => 0,
            false => (self.edge.wrapping_sub(expected) >> self.own_scale).min(0xffff) as u16,
        }
    }

    /// Lets the peer send what it was allowed to, and no more.
    pub fn hold_edge(&mut self) {
        self.held_edge.get_or_insert(self.edge);
    }

    /// Answers whether the peer was held.
    pub fn let_edge_go(&mut self) -> bool {
        self.held_edge.take().is_some()
    }

    /// The handshake is over, and nothing of it is known but what the peer's SYN said, and `segment`, its first acknowledgement.
    pub fn resume(&mut self, peer: SynOptions, own_mss: u16, segment: &Segment) {
        (self.peer, self.own_mss) = (peer, Some(own_mss));
        if peer.scale.is_none() {
            self.own_scale = 0;
        }
        (self.first, self.heard_up_to) = (segment.sequence, segment.sequence);
        (self.next, self.unacknowledged) = (segment.acknowledged, segment.acknowledged);
        self.has_sent = true;
        self.peer_window = u32::from(segment.window) << peer.scale.unwrap_or(0).min(14);
        self.begin();
    }

    /// Segments have their final size.
    fn begin(&mut self) {
        let size = |mss: Option<u16>| u32::from(mss.unwrap_or(536).max(48));
        let mss = size(self.own_mss).min(size(self.peer.mss));
        self.flight.congestion = Congestion::new(mss);
    }

    fn times(&self) -> Times {
        Times {
            rtt: u64::from(self.rtt) * 1000,
            deviation: u64::from(self.deviation) * 1000,
        }
    }

    /// Looks whether time is up for what is under way. Some: to be sent again.
    pub fn check_flight(&mut self, now: u64) -> Option<Again> {
        let times = self.times();
        self.flight.check(times, self.peer_window > 0, now)
    }

    /// A segment that is no one of the socket's leaves once more.
    pub fn sends_again(&mut self) {
        self.segments_out = self.segments_out.wrapping_add(1);
        self.retransmitted = self.retransmitted.wrapping_add(1);
        // Karn, as above.
        self.sample = None;
    }

    /// The window field that the socket is to see: what the peer allows, and no more than may be under way.
    pub fn allowed(&self) -> u16 {
        let scale = self.peer.scale.unwrap_or(0).min(14);
        let flight = self.next.wrapping_sub(self.unacknowledged);
        let most = (self.peer_window >> scale).min(0xffff);
        let wanted = flight.saturating_add(self.flight.room());
        wanted.div_ceil(1 << scale).min(most) as u16
    }

    pub fn mark(&self, ip: &mut [u8]) {
        if self.traffic_class == 0 {
            return;
        }
        if ip.first().is_some_and(|byte| byte >> 4 == 6) {
            let class = self.traffic_class;
            write(ip, 0, &[0x60 | class >> 4, class << 4]);
        } else {
            write(ip, 1, &[self.traffic_class]);
        }
    }

    /// Puts `own_scale` and `max_segment` into the options of a SYN.
    fn announce(&self, ip: &mut [u8], header: &Header) {
        let length = ip
            .get(header.start + 12)
            .map_or(0, |byte| usize::from(byte >> 4) * 4);
        let mut at = header.start + 20;
        while at < header.start + length {
            match ip.get(at) {
                Some(1) => {
                    at += 1;
                    continue;
                }
                Some(2) if self.max_segment != 0 => {
                    let mss = read_u16(ip, at + 2).map_or(0, |mss| mss.min(self.max_segment));
                    write(ip, at + 2, &mss.to_be_bytes());
                }
                Some(3) => write(ip, at + 2, &[self.own_scale]),
                Some(0) | None => return,
                Some(_) => {}
            }
            at += ip.get(at + 1).map_or(2, |size| usize::from(*size).max(2));
        }
    }

    /// A packet for the socket has come; its checksum is not needed any more. False: the socket need not see it.
    pub fn incoming(
        &mut self,
        ip: &mut [u8],
        header: &Header,
        segment: &Segment,
        now: u64,
    ) -> bool {
        self.heard = now;
        self.segments_in = self.segments_in.wrapping_add(1);
        self.bytes_received = self.bytes_received.wrapping_add(segment.payload as u64);
        if segment.has(SYN) {
            self.peer = SynOptions::parse(ip, header);
            self.first = segment.sequence.wrapping_add(1);
            self.heard_up_to = self.first;
            if self.peer.scale.is_none() {
                (self.own_scale, self.socket_scale) = (0, 0);
            }
            self.begin();
        }
        let is_plain = segment.payload == 0
            && !segment.has(SYN | FIN | RST)
            && segment.sequence == self.heard_up_to;
        if is_before(self.heard_up_to, segment.end()) {
            self.heard_up_to = segment.end();
        }
        let is_old = !segment.has(SYN)
            && self.has_sent
            && is_before(segment.acknowledged, self.unacknowledged);
        let window = self.peer_window;
        if !is_old {
            // A SYN's own window is not scaled.
            let scale = self.peer.scale.filter(|_| !segment.has(SYN)).unwrap_or(0);
            self.peer_window = u32::from(segment.window) << scale.min(14);
        }
        if !segment.has(ACK) {
            self.tell(ip, header, segment);
            return true;
        }
        let is_again = is_plain
            && segment.acknowledged == self.unacknowledged
            && segment.acknowledged != self.next;
        self.acknowledge(segment, now);
        let mut blocks = [(0, 0); 4];
        let report = Report {
            acknowledged: self.unacknowledged,
            blocks: sack_blocks(ip, header, &mut blocks),
            is_duplicate: is_again && window == self.peer_window,
            peer_has_sack: self.peer.sack,
            now,
        };
        let times = self.times();
        self.flight.heard(&report, times);
        if self.shift != 0 {
            let acknowledged = segment.acknowledged.wrapping_sub(self.shift);
            write(ip, header.start + 8, &acknowledged.to_be_bytes());
        }
        let told = self.told;
        self.tell(ip, header, segment);
        !(is_plain && (is_old || is_again && told == self.told))
    }

    fn acknowledge(&mut self, segment: &Segment, now: u64) {
        if self.has_sent
            && !is_before(segment.acknowledged, self.unacknowledged)
            && !is_before(self.next, segment.acknowledged)
        {
            let count = segment.acknowledged.wrapping_sub(self.unacknowledged);
            self.bytes_acked = self.bytes_acked.wrapping_add(count.into());
            self.unacknowledged = segment.acknowledged;
        }
        if let Some((end, since)) = self.sample
            && !is_before(segment.acknowledged, end)
        {
            self.measured((now.saturating_sub(since) / 1000) as u32);
            self.sample = None;
        }
    }

    /// Writes the window that the socket is to see into a segment.
    fn tell(&mut self, ip: &mut [u8], header: &Header, segment: &Segment) {
        self.told = if segment.has(SYN) {
            let room = self.flight.room().min(0xffff) as u16;
            segment.window.min(room)
        } else {
            self.allowed()
        };
        write(ip, header.start + 14, &self.told.to_be_bytes());
    }

    fn measured(&mut self, rtt: u32) {
        let rtt = rtt.max(1);
        if self.rtt == 0 {
            (self.rtt, self.deviation) = (rtt, rtt / 2);
        } else {
            let difference = self.rtt.abs_diff(rtt);
            self.deviation = ((u64::from(self.deviation) * 3 + u64::from(difference)) / 4) as u32;
            self.rtt = ((u64::from(self.rtt) * 7 + u64::from(rtt)) / 8) as u32;
        }
    }
}

/// The ranges of a selective acknowledgement (RFC 2018).
fn sack_blocks<'a>(ip: &[u8], header: &Header, into: &'a mut [(u32, u32); 4]) -> &'a [(u32, u32)] {
    let mut count = 0;
    let length = ip
        .get(header.start + 12)
        .map_or(0, |byte| usize::from(byte >> 4) * 4);
    let mut at = header.start + 20;
    while at + 2 <= header.start + length {
        let size = match ip.get(at) {
            Some(1) => {
                at += 1;
                continue;
            }
            Some(0) | None => break,
            Some(_) => ip.get(at + 1).map_or(2, |size| usize::from(*size).max(2)),
        };
        if ip.get(at) == Some(&5) {
            for (block, slot) in into.iter_mut().enumerate().take((size - 2) / 8) {
                let place = at + 2 + 8 * block;
                if let (Some(from), Some(to)) = (read_u32(ip, place), read_u32(ip, place + 4)) {
                    *slot = (from, to);
                    count = block + 1;
                }
            }
        }
        at += size;
    }
    into.get(..count).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::packet::write_header;

    /// The window field that leaves when the socket acknowledges up to `acknowledged` and offers `window`.
    fn leaves(path: &mut Path, acknowledged: u32, window: u16) -> u16 {
        let mut ip = [0; 40];
        let (from, to) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        write_header(&mut ip, from, to, TCP, 20, 64);
        write(&mut ip, 28, &acknowledged.to_be_bytes());
        write(&mut ip, 32, &[0x50, ACK]);
        write(&mut ip, 34, &window.to_be_bytes());
        let header = Header::parse(&ip).unwrap();
        path.outgoing(&mut ip, &header, 0);
        read_u16(&ip, 34).unwrap()
    }

    #[test]
    fn a_peer_that_is_held_may_send_what_it_was_allowed_to() {
        let mut path = Path {
            own_scale: 7,
            socket_scale: 7,
            ..Path::default()
        };
        assert_eq!(leaves(&mut path, 1000, 16), 16);
        path.hold_edge();
        assert_eq!(leaves(&mut path, 1000 + 128, 16), 15);
        assert_eq!(path.window_from(1000 + 1024), 8);
        path.hold_edge();
        assert_eq!(leaves(&mut path, 1000 + 2048, 16), 0);
        assert_eq!(leaves(&mut path, 1000 + 3000, 16), 0);
        assert!(path.let_edge_go() && !path.let_edge_go());
        assert_eq!(leaves(&mut path, 1000 + 3000, 16), 16);
    }
}
