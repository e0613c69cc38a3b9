//! The way in: looks at each frame once and hands it to whom it is for.
use super::addresses::is_link_local;
use super::checksum;
use super::connection::{Owner, Pair};
use super::link::Arrival;
use super::neighbours::{arp_ends, discovered};
use super::packet::{
    self, ETHERNET_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Header, ICMP, ICMPV6,
    IGMP, TCP, UDP,
};
use super::path::{RST, SYN, Segment};
use super::segment;
use super::state::State;
use core::net::IpAddr;
use linux_abi::Errno;
use smoltcp::socket::tcp::State as TcpState;

/// The port of DHCP clients.
const DHCP_CLIENT: u16 = 68;

impl State {
    /// A frame has come.
    pub fn receive(&mut self, frame: &mut [u8], arrival: Arrival) {
        self.output.taps.see(frame, false);
        self.output.counters.received_packets += 1;
        self.output.counters.received_bytes += frame.len() as u64;
        let is_for_us = frame
            .first_chunk::<6>()
            .is_some_and(|to| to[0] & 1 != 0 || *to == self.output.hardware);
        if !is_for_us {
            self.output.counters.received_dropped += 1;
            return;
        }
        match packet::read_u16(frame, 12) {
            Some(ETHERTYPE_ARP) => self.receive_arp(frame),
            Some(ETHERTYPE_IPV4 | ETHERTYPE_IPV6) => self.receive_ip(frame, arrival),
            _ => self.output.counters.received_dropped += 1,
        }
    }

    fn receive_arp(&mut self, frame: &[u8]) {
        let ends = frame.get(ETHERNET_HEADER..).and_then(arp_ends);
        if let Some((address, hardware, target)) = ends
            && self.may_learn(address)
        {
            let asks = self.output.addresses.is_own(target);
            self.output.learn(address, hardware, asks);
        }
        self.ether.receive(frame, &mut self.output);
    }

    fn receive_ip(&mut self, frame: &mut [u8], arrival: Arrival) {
        let Some(ip) = frame.get_mut(ETHERNET_HEADER..) else {
            return;
        };
        let Some(header) = Header::parse(ip) else {
            self.output.counters.received_errors += 1;
            return;
        };
        let is_v6 = packet::read_u16(frame, 12) == Some(ETHERTYPE_IPV6);
        let source = header.source;
        // Nobody else may send from our own addresses.
        if header.is_v6() != is_v6
            || source.is_multicast()
            || source.is_loopback()
            || self.output.addresses.is_broadcast(source)
            || self.output.addresses.is_own(source)
        {
            self.output.counters.received_errors += 1;
            return;
        }
        if self.is_for_ether(frame, &header) {
            self.learn_from(frame, &header);
            self.ether.receive(frame, &mut self.output);
            return;
        }
        if !self.is_to_us(&header) {
            self.output.counters.received_dropped += 1;
            return;
        }
        let ip = frame.get_mut(ETHERNET_HEADER..).unwrap_or_default();
        if header.fragment.is_none() {
            return self.receive_datagram(ip, &header, arrival.checked);
        }
        if let Some(mut whole) = self.reassembly.add(ip, &header, self.output.now)
            && let Some(header) = Header::parse(&whole)
        {
            self.receive_datagram(&mut whole, &header, false);
        }
    }

    fn is_to_us(&self, header: &Header) -> bool {
        let to = header.destination;
        self.output.addresses.is_own(to)
            || self.output.addresses.is_broadcast(to)
            || to.is_multicast() && self.ether.is_member(to)
    }

    /// Neighbour discovery, multicast management, and DHCP while it runs.
    fn is_for_ether(&self, frame: &[u8], header: &Header) -> bool {
        let at = ETHERNET_HEADER + header.start;
        match header.protocol {
            ICMPV6 => matches!(frame.get(at), Some(130..=137 | 143)),
            IGMP => true,
            UDP => {
                self.ether.wants_dhcp()
                    && header.fragment.is_none()
                    && packet::read_u16(frame, at + 2) == Some(DHCP_CLIENT)
            }
            _ => false,
        }
    }

    fn learn_from(&mut self, frame: &[u8], header: &Header) {
        let ip = frame.get(ETHERNET_HEADER..).unwrap_or(&[]);
        if header.protocol != ICMPV6 || !checksum::is_right(ip, header) {
            return;
        }
        if let Some((address, hardware, asked)) = discovered(ip, header)
            && self.may_learn(address)
        {
            let asks = asked.is_some_and(|target| self.output.addresses.is_own(target));
            self.output.learn(address, hardware, asks);
        }
    }

    /// Whether `address` can be a neighbour's.
    fn may_learn(&self, address: IpAddr) -> bool {
        let own = &self.output.addresses;
        (own.is_on_link(address) || is_link_local(address))
            && !own.is_own(address)
            && !own.is_broadcast(address)
            && !address.is_unspecified()
            && !address.is_multicast()
    }

    /// A whole datagram for us.
    fn receive_datagram(&mut self, ip: &mut [u8], header: &Header, checked: bool) {
        if !checked && !checksum::is_right(ip, header) {
            self.output.counters.received_errors += 1;
            return;
        }
        let raw = self.deliver_raw(ip, header);
        match header.protocol {
            TCP => self.receive_tcp(ip, header),
            UDP => self.receive_udp(ip, header),
            ICMP | ICMPV6 => self.receive_icmp(ip, header),
            _ if raw => {}
            _ => {
                self.feed_nobody(ip);
            }
        }
    }

    fn receive_tcp(&mut self, ip: &mut [u8], header: &Header) {
        let Some(segment) = Segment::parse(ip, header) else {
            self.output.counters.received_errors += 1;
            return;
        };
        let pair = Pair {
            local: (header.destination, segment.destination),
            remote: (header.source, segment.source),
        };
        // Nobody talks TCP to many at once.
        if !self.output.addresses.is_own(pair.local.0) || pair.remote.0.is_unspecified() {
            self.output.counters.received_dropped += 1;
            return;
        }
        if let Some(id) = self.by_pair.get(&pair).copied()
            && !(segment.is_syn() && self.gives_way(id))
        {
            return self.receive_segment(id, ip, header, &segment);
        }
        if self.time_waits.contains(&pair)
            && !self.time_waits.receive(&pair, &segment, &mut self.output)
        {
            return;
        }
        let is_dealt_with = if segment.is_syn() {
            self.begin(pair, ip, header, &segment)
        } else {
            self.admit(pair, ip, header, &segment)
        };
        if !is_dealt_with {
            self.feed_nobody(ip);
        }
    }

    pub fn receive_segment(&mut self, id: u64, ip: &mut [u8], header: &Header, segment: &Segment) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if segment.has(SYN) && connection.is_synchronized(segment) {
            return self.challenge(id, segment);
        }
        let before = connection.state();
        let is_duplicate = connection.has_already(segment);
        let is_news = connection
            .path
            .incoming(ip, header, segment, self.output.now);
        // Before smoltcp winds its clock up by what it was told when the peer was silent.
        connection.pace_keep_alive(self.output.now);
        if is_duplicate {
            let (pair, expected) = (connection.pair, connection.expected());
            segment::send_duplicate(&mut self.output, &pair, &connection.path, expected, segment);
            self.touch(id);
        } else if is_news {
            self.feed(id, ip);
        } else {
            self.touch(id);
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if segment.payload > 0 {
            connection.came(segment.payload, self.output.link.mtu(), self.output.now);
        }
        let after = connection.state();
        if after == TcpState::Closed && before != after && segment.has(RST) {
            let errno = match before {
                TcpState::SynSent => Errno::ECONNREFUSED,
                TcpState::CloseWait => Errno::EPIPE,
                _ => Errno::ECONNRESET,
            };
            // After the own end a reset is no news to the program.
            if before != TcpState::TimeWait && before != TcpState::LastAck {
                connection.error = Some(errno);
            }
        }
    }

    /// A SYN in the middle of a connection (RFC 5961, 4.2). A peer that has lost the connection and begins anew resets it
    /// when it hears where this end is; who forged the SYN does not hear it. smoltcp would say nothing.
    fn challenge(&mut self, id: u64, segment: &Segment) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        // Nobody answers a reset.
        if !segment.has(RST) {
            let (path, expected) = (&connection.path, connection.expected());
            let window = path.window_from(expected);
            segment::send(
                &mut self.output,
                &connection.pair,
                path.next,
                expected,
                window,
            );
        }
    }

    /// Whether the addresses of a connection are free for another: it is over, and only the program still holds it.
    fn gives_way(&mut self, id: u64) -> bool {
        let Some(connection) = self.connections.get(&id) else {
            return false;
        };
        let is_over = connection.is_over();
        if is_over {
            self.by_pair.remove(&connection.pair);
        }
        is_over
    }

    /// A SYN for somebody who may listen. False: nobody does.
    fn begin(&mut self, pair: Pair, ip: &mut [u8], header: &Header, segment: &Segment) -> bool {
        let Some(listener) = self.listeners.find(&pair) else {
            return false;
        };
        let number = listener.id;
        if !listener.has_room() {
            // As Linux: the peer tries again.
            self.output.counters.received_dropped += 1;
            return true;
        }
        if listener.is_crowded() {
            self.answer_by_cookie(&pair, ip, header, segment);
            return true;
        }
        let id = self.add_connection(pair, Owner::HalfOpen(number));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection
                .path
                .incoming(ip, header, segment, self.output.now);
            // The port is not 0: somebody listens there.
            let _ = connection.tcp().listen(pair.local_address());
        }
        self.feed(id, ip);
        true
    }

    /// An error about a segment that was sent: `errno` for the connection, if it is one of ours and not yet established.
    pub fn segment_error(&mut self, pair: &Pair, errno: Errno) {
        let Some(id) = self.by_pair.get(pair).copied() else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(&id)
            && matches!(
                connection.state(),
                TcpState::SynSent | TcpState::SynReceived
            )
        {
            connection.fail(errno);
            // Nobody is there to be reset.
            connection.forget_peer();
            self.touch(id);
        }
        // An established connection goes on trying, as RFC 1122 wants.
    }
}
