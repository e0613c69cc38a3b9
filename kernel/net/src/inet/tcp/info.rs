//! `struct tcp_info` of a connection that has no network.
use alloc::vec::Vec;

/// What is known of a loopback connection.
pub(crate) struct LoopInfo {
    pub state: u8,
    pub received: u64,
    pub sent: u64,
}

/// Of `lo`.
pub(crate) const LOOPBACK_MTU: u32 = 65536;
/// Half of the window that a new connection there has, which Linux makes the segments.
pub(crate) const MSS: u32 = 32741;
/// Microseconds: the least that Linux shows in practice.
const RTT: u32 = 20;
const RTO: u32 = 200_000;

impl LoopInfo {
    /// The fields in the order of the structure; those that would say something about loss are zero.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let segments = |bytes: u64| bytes.div_ceil(u64::from(MSS)) as u32;
        let mut info = Vec::with_capacity(248);
        // State, congestion state, retransmits, probes, backoff, options (timestamps, SACK, window scale), two window scales, flags.
        info.extend_from_slice(&[self.state, 0, 0, 0, 0, 7, 0x77, 0]);
        let mut words = |words: &[u32]| {
            for word in words {
                info.extend_from_slice(&word.to_ne_bytes());
            }
        };
        // rto, ato, snd_mss, rcv_mss
        words(&[RTO, 40_000, MSS, MSS]);
        // unacked, sacked, lost, retrans, fackets, last_data_sent, last_ack_sent, last_data_recv, last_ack_recv
        words(&[0; 9]);
        // pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering
        words(&[LOOPBACK_MTU, MSS, RTT, RTT / 2, 0x7fff_ffff, 10, MSS, 3]);
        // rcv_rtt, rcv_space, total_retrans
        words(&[RTT, MSS, 0]);
        let mut longs = |longs: &[u64]| {
            for long in longs {
                info.extend_from_slice(&long.to_ne_bytes());
            }
        };
        // pacing_rate, max_pacing_rate, bytes_acked, bytes_received
        longs(&[u64::MAX, u64::MAX, self.sent, self.received]);
        let (out, into) = (segments(self.sent), segments(self.received));
        // segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out
        for word in [out, into, 0, RTT, into, out] {
            info.extend_from_slice(&word.to_ne_bytes());
        }
        // delivery_rate, busy_time, rwnd_limited, sndbuf_limited
        info.extend_from_slice(&[0; 32]);
        // delivered, delivered_ce
        info.extend_from_slice(&out.to_ne_bytes());
        info.extend_from_slice(&[0; 4]);
        // bytes_sent, bytes_retrans
        info.extend_from_slice(&self.sent.to_ne_bytes());
        info.extend_from_slice(&[0; 8]);
        // dsack_dups, reord_seen, rcv_ooopack, snd_wnd, rcv_wnd, rehash
        for word in [0, 0, 0, MSS, MSS, 0] {
            info.extend_from_slice(&word.to_ne_bytes());
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;
    use linux_abi::raw::net::tcp_info;

    #[test]
    fn fields_lie_where_the_structure_has_them() {
        let info = LoopInfo {
            state: 1,
            received: 0x1122_3344_5566,
            sent: 77,
        }
        .encode();
        let word = |at: usize| u32::from_ne_bytes(info[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(info[at..at + 8].try_into().unwrap());
        assert_eq!(info[0], 1);
        assert_eq!(word(offset_of!(tcp_info, tcpi_rto)), RTO);
        assert_eq!(word(offset_of!(tcp_info, tcpi_snd_mss)), MSS);
        assert_eq!(word(offset_of!(tcp_info, tcpi_rtt)), RTT);
        assert_eq!(word(offset_of!(tcp_info, tcpi_rcv_space)), MSS);
        assert_eq!(
            long(offset_of!(tcp_info, tcpi_bytes_received)),
            0x1122_3344_5566
        );
        assert_eq!(word(offset_of!(tcp_info, tcpi_min_rtt)), RTT);
        assert_eq!(long(offset_of!(tcp_info, tcpi_bytes_sent)), 77);
        assert_eq!(word(offset_of!(tcp_info, tcpi_rcv_wnd)), MSS);
        assert_eq!(info.len(), offset_of!(tcp_info, tcpi_total_rto));
    }
}
