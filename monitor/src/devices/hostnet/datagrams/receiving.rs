//! From the host's sockets to the driver: datagrams, and errors about those that were sent.

use std::io;
use std::net::{IpAddr, SocketAddr};

use boot_abi::hostnet::*;

use super::{Datagrams, Host, MOST_ERRORS};
use crate::devices::hostnet::addresses;
use crate::devices::hostnet::context::{Context, Next};
use crate::devices::hostnet::sys::{self, Pieces};
use crate::devices::virtio::{DeviceError, Rings};
use crate::pcap::Side;

/// Two addresses, hop limit and padding, before the bytes of `EV_DATAGRAM`.
const RECEIVED_FIELDS: usize = 2 * ADDRESS_SIZE + 8;
/// No datagram is longer.
const LONGEST: usize = 65_535;
/// Datagrams received before others get their turn.
const PER_TURN: usize = 16;
/// Peers that may be answered whatever the policy says; when there are more, the older ones are forgotten.
const MOST_PEERS: usize = 4096;

impl Datagrams {
    /// Tells the driver what there is to tell.
    pub fn take_turn(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
    ) -> Result<Next, DeviceError> {
        self.read_errors(context);
        while let Some((errno, to)) = self.errors.front() {
            let mut payload = [0; 8 + ADDRESS_SIZE];
            let fields = [&errno.to_le_bytes()[..], &[0; 4], &encode_address(*to)];
            for (to, from) in payload.iter_mut().zip(fields.into_iter().flatten()) {
                *to = *from;
            }
            if !context
                .events
                .tell(rings, EV_DATAGRAM_ERROR, self.name, &payload)?
            {
                return Ok(Next::Starved);
            }
            self.errors.pop_front();
        }
        for index in 0..self.hosts.len() {
            for turn in 0..=PER_TURN {
                if self.hosts.get(index).is_none_or(|host| !host.readable) {
                    break;
                }
                if turn == PER_TURN {
                    return Ok(Next::Again);
                }
                if self.receive(context, rings, index)? == Next::Starved {
                    return Ok(Next::Starved);
                }
            }
        }
        Ok(if self.hosts.iter().any(|host| host.failed) {
            Next::Again
        } else {
            Next::Rest
        })
    }

    /// One datagram of the host's socket `index`.
    fn receive(
        &mut self,
        context: &mut Context,
        rings: &mut Rings<'_>,
        index: usize,
    ) -> Result<Next, DeviceError> {
        let Some(host) = self.hosts.get_mut(index) else {
            return Ok(Next::Rest);
        };
        let Some(mut room) = context.events.room(rings, RECEIVED_FIELDS)? else {
            return Ok(Next::Starved);
        };
        if room < RECEIVED_FIELDS + LONGEST {
            // Is the rest of this buffer enough?
            let wanted = match sys::receive_from(&*host.socket, Pieces::none(), libc::MSG_PEEK) {
                Ok(datagram) => datagram.len,
                Err(e) => return Ok(host.stop(&e)),
            };
            match context
                .events
                .room(rings, RECEIVED_FIELDS + wanted.min(LONGEST))?
            {
                Some(enough) => room = enough,
                None => return Ok(Next::Starved),
            }
        }
        let space = room - RECEIVED_FIELDS;
        let pieces = context.events.space(rings.memory, RECEIVED_FIELDS, space)?;
        let datagram = match sys::receive_from(&*host.socket, pieces, 0) {
            Ok(datagram) => datagram,
            Err(e) => return Ok(host.stop(&e)),
        };
        let Some(from) = datagram.from else {
            return Ok(Next::Again);
        };
        let published = host.published.is_some();
        if published && context.policy.is_restricted() {
            self.remember(from);
        }
        let (shown, to) = self.shown(context, from, datagram.to, published);
        let len = datagram.len.min(space);
        let mut fields = [0; RECEIVED_FIELDS];
        let parts = [
            &encode_address(shown)[..],
            &encode_address(to),
            &[datagram.hop_limit],
        ];
        for (to, from) in fields.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        context.events.write(rings.memory, 0, &fields)?;
        if self.echo {
            self.restore_identifier(context, rings, len)?;
        }
        if context.capture.is_some() {
            let bytes = context.events.copy(rings.memory, RECEIVED_FIELDS, len)?;
            self.record(context, Side::Peer, to, shown, &bytes);
        }
        let header = Header::new(EV_DATAGRAM, self.name, RECEIVED_FIELDS + len);
        context.events.commit(rings.memory, header)?;
        context.counters.datagrams_in.add(1);
        Ok(Next::Again)
    }

    fn remember(&mut self, peer: SocketAddr) {
        let [new, old] = &mut self.peers;
        if new.len() >= MOST_PEERS {
            *old = std::mem::take(new);
        }
        new.insert(peer);
    }

    /// Sender and destination as the guest sees them.
    fn shown(
        &self,
        context: &Context,
        from: SocketAddr,
        to: Option<IpAddr>,
        published: bool,
    ) -> (SocketAddr, SocketAddr) {
        let ip = from.ip().to_canonical();
        let port = self.local.port();
        if published && self.local.ip().is_loopback() && ip.is_loopback() {
            return (
                from,
                SocketAddr::new(addresses::loopback(ip.is_ipv6()), port),
            );
        }
        let shown = context.addresses.shown_peer(from, self.dns);
        let to = match to {
            Some(IpAddr::V4(to)) if to.is_multicast() || to.is_broadcast() => to.into(),
            Some(IpAddr::V6(to)) if to.is_multicast() => to.into(),
            _ => addresses::guest(shown.is_ipv6()),
        };
        (shown, SocketAddr::new(to, port))
    }

    /// The host's kernel puts its own identifier into echo requests; the answer gets the guest's again, and a checksum that fits.
    fn restore_identifier(
        &self,
        context: &Context,
        rings: &Rings<'_>,
        len: usize,
    ) -> Result<(), DeviceError> {
        let mut header = [0; 8];
        if len < header.len() {
            return Ok(());
        }
        context
            .events
            .read(rings.memory, RECEIVED_FIELDS, &mut header)?;
        let [kind, code, sum0, sum1, id0, id1, rest @ ..] = header;
        let [new0, new1] = self.local.port().to_be_bytes();
        let sum = adjusted(
            u16::from_be_bytes([sum0, sum1]),
            u16::from_be_bytes([id0, id1]),
            self.local.port(),
        );
        let [sum0, sum1] = sum.to_be_bytes();
        let [seq0, seq1] = rest;
        let header = [kind, code, sum0, sum1, new0, new1, seq0, seq1];
        context.events.write(rings.memory, RECEIVED_FIELDS, &header)
    }

    /// What the network said about datagrams that were sent.
    fn read_errors(&mut self, context: &Context) {
        for host in &mut self.hosts {
            let mut failed = std::mem::take(&mut host.failed);
            while failed && self.errors.len() < MOST_ERRORS {
                match sys::receive_from(&*host.socket, Pieces::none(), libc::MSG_ERRQUEUE) {
                    Ok(error) => {
                        if let Some(to) = error.from.filter(|_| error.errno != 0) {
                            let shown = context.addresses.shown_peer(to, self.dns);
                            self.errors.push_back((error.errno, shown));
                        }
                    }
                    Err(_) => failed = false,
                }
            }
            host.failed = failed;
        }
    }
}

impl Host {
    /// Reading failed: there is nothing more, or an error to be asked for.
    fn stop(&mut self, error: &io::Error) -> Next {
        if sys::would_block(error) {
            self.readable = false;
        }
        Next::Rest
    }
}

/// A checksum after one of the words under it has changed (RFC 1624).
fn adjusted(sum: u16, old: u16, new: u16) -> u16 {
    let mut value = u32::from(!sum) + u32::from(!old) + u32::from(new);
    while value > 0xffff {
        value = (value & 0xffff) + (value >> 16);
    }
    !(value as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_word_changes_the_checksum() {
        let sum = |words: &[u16]| {
            let mut value: u32 = words.iter().map(|word| u32::from(*word)).sum();
            while value > 0xffff {
                value = (value & 0xffff) + (value >> 16);
            }
            !(value as u16)
        };
        for (old, new) in [(0, 1), (0xffff, 2), (0x1234, 0xfedc)] {
            assert_eq!(
                adjusted(sum(&[0x800, old, 77]), old, new),
                sum(&[0x800, new, 77])
            );
        }
    }
}
