//! The Internet checksum, RFC 1071.
use super::packet::{Header, IPV4_HEADER, TCP, UDP, write};
use core::net::IpAddr;

fn fold(mut total: u64) -> u16 {
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// The sum of `bytes`, not complemented.
pub fn sum(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<8>();
    // Halves are added up apart, so that nothing is carried out.
    let total = words.iter().fold(0, |total: u64, word| {
        let word = u64::from_ne_bytes(*word);
        total + (word >> 32) + (word & 0xffff_ffff)
    });
    let mut last = [0; 8];
    write(&mut last, 0, rest);
    let last = u64::from_ne_bytes(last);
    fold(total + (last >> 32) + (last & 0xffff_ffff)).to_be()
}

fn combine(sums: &[u16]) -> u16 {
    fold(sums.iter().map(|sum| u64::from(*sum)).sum())
}

pub fn fill_ipv4(packet: &mut [u8]) {
    write(packet, 10, &[0; 2]);
    let value = !sum(packet.get(..IPV4_HEADER).unwrap_or(&[]));
    write(packet, 10, &value.to_be_bytes());
}

/// Where in its header a protocol has the checksum that covers the pseudo header.
pub fn offset(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        UDP => Some(6),
        super::packet::ICMPV6 => Some(2),
        _ => None,
    }
}

fn pseudo(header: &Header) -> u16 {
    let address = |address| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    combine(&[
        address(header.source),
        address(header.destination),
        header.protocol.into(),
        (header.end - header.start) as u16,
    ])
}

/// Whether the checksum of a TCP, UDP or ICMPv6 packet is right. Others have none that is known here.
pub fn is_right(packet: &[u8], header: &Header) -> bool {
    let Some(at) = offset(header.protocol) else {
        return true;
    };
    let Some(payload) = packet.get(header.start..header.end) else {
        return false;
    };
    let is_absent = super::packet::read_u16(payload, at) == Some(0);
    if is_absent && header.protocol == UDP && !header.is_v6() {
        return true;
    }
    combine(&[pseudo(header), sum(payload)]) == 0xffff
}

/// Writes the checksum of a packet that is complete but for it.
pub fn fill(packet: &mut [u8], header: &Header) {
    let Some(at) = offset(header.protocol) else {
        return;
    };
    write(packet, header.start + at, &[0; 2]);
    let payload = packet.get(header.start..header.end).unwrap_or(&[]);
    let value = !combine(&[pseudo(header), sum(payload)]);
    // A UDP checksum of 0 would mean that there is none.
    let value = if value == 0 && header.protocol == UDP {
        0xffff
    } else {
        value
    };
    write(packet, header.start + at, &value.to_be_bytes());
}

/// Leaves the rest to the card: writes the pseudo header's sum. Who cuts a segment corrects it for the parts' lengths.
pub fn fill_partly(packet: &mut [u8], header: &Header) {
    if let Some(at) = offset(header.protocol) {
        write(packet, header.start + at, &pseudo(header).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_rfc_1071() {
        assert_eq!(
            sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            0xddf2
        );
        assert_eq!(sum(&[0x12]), 0x1200);
        assert_eq!(sum(&[0xff; 70_000]), 0xffff);
        let bytes: alloc::vec::Vec<u8> = (0..1501).map(|i| (i * 7) as u8).collect();
        let slow = bytes.chunks(2).fold(0u32, |total, pair| {
            let word = u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            let total = total + word;
            (total & 0xffff) + (total >> 16)
        });
        assert_eq!(u32::from(sum(&bytes)), slow);
    }
}
