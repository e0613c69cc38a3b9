//! Putting IP fragments together, of both versions (RFC 791, RFC 8200).
use super::packet::{self, Header, IPV4_HEADER, IPV6_HEADER};
use alloc::vec::Vec;
use core::net::IpAddr;

/// Linux's: 30 seconds for IPv4; IPv6 wants 60.
const TIME: u64 = 30_000_000_000;
/// How many datagrams, and how many parts of one, are held.
const DATAGRAMS: usize = 16;
const PARTS: usize = 128;
const LARGEST: usize = 65535;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    id: u32,
}

struct Datagram {
    key: Key,
    until: u64,
    hop_limit: u8,
    /// Offset and bytes, in order, without overlaps.
    parts: Vec<(usize, Vec<u8>)>,
    length: Option<usize>,
}

#[derive(Default)]
pub struct Reassembly {
    /// Oldest first.
    datagrams: Vec<Datagram>,
}

impl Reassembly {
    /// Takes a fragment. Answers the datagram, with an IP header, once all of it is here.
    pub fn add(&mut self, ip: &[u8], header: &Header, now: u64) -> Option<Vec<u8>> {
        let fragment = header.fragment?;
        let payload = ip.get(header.start..header.end)?;
        let end = fragment.offset + payload.len();
        // All but the last have a multiple of 8 bytes.
        if payload.is_empty() || end > LARGEST || fragment.more && !payload.len().is_multiple_of(8)
        {
            return None;
        }
        let key = Key {
            source: header.source,
            destination: header.destination,
            // Only the first fragment of IPv6 has the protocol for sure; the identification is enough.
            protocol: if header.is_v6() { 0 } else { header.protocol },
            id: fragment.id,
        };
        let at = self.find(key, header, now);
        let datagram = self.datagrams.get_mut(at)?;
        let length = (!fragment.more).then_some(end);
        if !datagram.put(fragment.offset, payload, length) {
            // RFC 5722: overlapping fragments spoil the datagram.
            self.datagrams.remove(at);
            return None;
        }
        datagram.is_complete().then_some(())?;
        let done = self.datagrams.remove(at);
        Some(done.assemble(header))
    }

    fn find(&mut self, key: Key, header: &Header, now: u64) -> usize {
        if let Some(at) = self.datagrams.iter().position(|one| one.key == key) {
            return at;
        }
        if self.datagrams.len() >= DATAGRAMS {
            self.datagrams.remove(0);
        }
        self.datagrams.push(Datagram {
            key,
            until: now + TIME,
            hop_limit: header.hop_limit,
            parts: Vec::new(),
            length: None,
        });
        self.datagrams.len() - 1
    }

    pub fn next(&self) -> Option<u64> {
        self.datagrams.first().map(|one| one.until)
    }

    pub fn expire(&mut self, now: u64) {
        self.datagrams.retain(|one| one.until > now);
    }
}

impl Datagram {
    /// False: it does not fit the others.
    fn put(&mut self, offset: usize, bytes: &[u8], length: Option<usize>) -> bool {
        let end = offset + bytes.len();
        let is_odd = self
            .length
            .is_some_and(|known| end > known || length.is_some_and(|one| one != known));
        let last = self.parts.last().map_or(0, |(at, part)| at + part.len());
        if is_odd || length.is_some_and(|length| length < last) || self.parts.len() >= PARTS {
            return false;
        }
        let at = self.parts.partition_point(|(other, _)| *other < offset);
        let before = at.checked_sub(1).and_then(|at| self.parts.get(at));
        if before.is_some_and(|(other, part)| other + part.len() > offset) {
            return false;
        }
        if let Some((other, part)) = self.parts.get(at)
            && *other < end
        {
            // The same once more is harmless.
            return *other == offset && part == bytes;
        }
        self.parts.insert(at, (offset, bytes.to_vec()));
        self.length = self.length.or(length);
        true
    }

    fn is_complete(&self) -> bool {
        let mut end = 0;
        for (offset, part) in &self.parts {
            if *offset != end {
                return false;
            }
            end += part.len();
        }
        self.length == Some(end)
    }

    fn assemble(&self, header: &Header) -> Vec<u8> {
        let payload = self.length.unwrap_or(0);
        let start = if header.is_v6() {
            IPV6_HEADER
        } else {
            IPV4_HEADER
        };
        let mut whole = alloc::vec![0; start];
        whole.reserve(payload);
        let key = &self.key;
        packet::write_header(
            &mut whole,
            key.source,
            key.destination,
            header.protocol,
            payload,
            self.hop_limit,
        );
        for (_, part) in &self.parts {
            whole.extend_from_slice(part);
        }
        whole
    }
}
