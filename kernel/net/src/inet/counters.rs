//! What happened since boot, for /proc/net/snmp, /proc/net/dev and `compat stats`.
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Named as in /proc/net/snmp where it has them.
#[derive(Default, Debug)]
pub struct Counters {
    /// `lo`: what is sent there is received there.
    pub loopback_packets: Counter,
    pub loopback_bytes: Counter,
    /// `ActiveOpens`
    pub tcp_active_opens: Counter,
    /// `PassiveOpens`
    pub tcp_passive_opens: Counter,
    /// `AttemptFails`
    pub tcp_attempt_fails: Counter,
    /// `OutRsts`
    pub tcp_resets: Counter,
    /// `ListenOverflows` of /proc/net/netstat
    pub tcp_listen_overflows: Counter,
    /// `InDatagrams`, `NoPorts`, `RcvbufErrors`, `OutDatagrams` of UDP
    pub udp_received: Counter,
    pub udp_no_ports: Counter,
    pub udp_dropped: Counter,
    pub udp_sent: Counter,
    /// `InMsgs`, `OutMsgs` of ICMP
    pub icmp_received: Counter,
    pub icmp_sent: Counter,
}

impl Counters {
    /// Something of this many bytes went over `lo`.
    pub(crate) fn loopback(&self, bytes: usize) {
        self.loopback_packets.add(1);
        self.loopback_bytes.add(bytes as u64);
    }
}
