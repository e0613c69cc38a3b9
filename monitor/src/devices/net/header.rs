//! What a driver says about a frame that it sends, checked before the host acts on it.

use virtio_bindings::virtio_net::*;

use super::{HEADER, LONGEST_FRAME, SHORTEST_FRAME};

const NEEDS_CSUM: u8 = VIRTIO_NET_HDR_F_NEEDS_CSUM as u8;
const GSO_NONE: u8 = VIRTIO_NET_HDR_GSO_NONE as u8;
const GSO_TCPV4: u8 = VIRTIO_NET_HDR_GSO_TCPV4 as u8;
const GSO_TCPV6: u8 = VIRTIO_NET_HDR_GSO_TCPV6 as u8;
const GSO_ECN: u8 = VIRTIO_NET_HDR_GSO_ECN as u8;

pub const fn has(features: u64, bit: u32) -> bool {
    features & (1 << bit) != 0
}

/// The header for the host, if a frame of `len` bytes may go out with it: it asks only for what was agreed on, and
/// points into the frame. Bits and fields without a meaning for the host are cleared.
pub fn checked(header: [u8; HEADER], len: usize, features: u64) -> Option<[u8; HEADER]> {
    if !(SHORTEST_FRAME..=LONGEST_FRAME).contains(&len) {
        return None;
    }
    let [flags, gso, h0, h1, s0, s1, c0, c1, o0, o1, ..] = header;
    let flags = flags & NEEDS_CSUM;
    let sums = flags != 0;
    let [start, offset] = [[c0, c1], [o0, o1]].map(|raw| usize::from(u16::from_le_bytes(raw)));
    if sums && !(has(features, VIRTIO_NET_F_CSUM) && start + offset + 2 <= len) {
        return None;
    }
    let clean = if sums { [c0, c1, o0, o1] } else { [0; 4] };
    let [c0, c1, o0, o1] = clean;
    if gso == GSO_NONE {
        return Some([flags, gso, 0, 0, 0, 0, c0, c1, o0, o1, 0, 0]);
    }
    let agreed = match gso & !GSO_ECN {
        GSO_TCPV4 => has(features, VIRTIO_NET_F_HOST_TSO4),
        GSO_TCPV6 => has(features, VIRTIO_NET_F_HOST_TSO6),
        _ => false,
    };
    let ecn = gso & GSO_ECN == 0 || has(features, VIRTIO_NET_F_HOST_ECN);
    let fits = usize::from(u16::from_le_bytes([h0, h1])) <= len && [s0, s1] != [0; 2];
    (agreed && ecn && fits && sums).then_some([flags, gso, h0, h1, s0, s1, c0, c1, o0, o1, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 =
        1 << VIRTIO_NET_F_CSUM | 1 << VIRTIO_NET_F_HOST_TSO4 | 1 << VIRTIO_NET_F_HOST_ECN;

    fn segments(gso: u8) -> [u8; HEADER] {
        [NEEDS_CSUM, gso, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0]
    }

    #[test]
    fn plain_frames_pass_without_leftovers() {
        let mut raw = [0xff; HEADER];
        raw[..2].fill(0);
        assert_eq!(checked(raw, 60, 0), Some([0; HEADER]));
        assert_eq!(checked([0; HEADER], SHORTEST_FRAME - 1, ALL), None);
        assert_eq!(checked([0; HEADER], LONGEST_FRAME + 1, ALL), None);
    }

    #[test]
    fn sums_and_segments_need_their_feature() {
        let raw = segments(GSO_TCPV4);
        assert_eq!(checked(raw, 4000, ALL), Some(raw));
        assert_eq!(checked(raw, 4000, 1 << VIRTIO_NET_F_CSUM), None);
        assert_eq!(checked(segments(GSO_NONE), 4000, 0), None);
        assert_eq!(checked(segments(GSO_TCPV6), 4000, ALL), None);
        assert_eq!(checked(segments(3), 4000, ALL), None);
        let ecn = segments(GSO_TCPV4 | GSO_ECN);
        assert_eq!(checked(ecn, 4000, ALL), Some(ecn));
        assert_eq!(
            checked(ecn, 4000, ALL & !(1 << VIRTIO_NET_F_HOST_ECN)),
            None
        );
    }

    #[test]
    fn offsets_lie_in_the_frame() {
        let mut raw = segments(GSO_TCPV4);
        assert_eq!(checked(raw, 51, ALL), None);
        raw[2..4].copy_from_slice(&4001u16.to_le_bytes());
        assert_eq!(checked(raw, 4000, ALL), None);
        let mut none = segments(GSO_TCPV4);
        none[4..6].fill(0);
        assert_eq!(checked(none, 4000, ALL), None);
        let mut far = segments(GSO_NONE);
        far[6..10].fill(0xff);
        assert_eq!(checked(far, 4000, ALL), None);
    }
}
