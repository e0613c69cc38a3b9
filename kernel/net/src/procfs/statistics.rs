//! The files that count: what happened since boot, and how many sockets there are.
use super::Text;
use super::sockets::is_listening;
use crate::inet::{InetProtocol, SocketEntry, TcpState};
use crate::network::Network;
use core::fmt::Write as _;

/// What nobody counts: it does not happen here, or happens in the host's kernel.
const NONE: u64 = 0;

/// TCP sockets by what they are doing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TcpSockets {
    pub listening: usize,
    pub connecting: usize,
    pub established: usize,
    /// Connections for which accept(2) has not been called, which have no socket yet.
    pub waiting: usize,
    /// One side has sent all, or both have.
    pub closing: usize,
    /// Not connected.
    pub idle: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct UnixSockets {
    pub listening: usize,
    pub connected: usize,
    /// Neither.
    pub other: usize,
}

/// The sockets that there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct SocketCounts {
    pub tcp: TcpSockets,
    pub udp: usize,
    /// Those for pings.
    pub icmp: usize,
    pub raw: usize,
    pub unix: UnixSockets,
    pub netlink: usize,
}

impl SocketCounts {
    fn add(&mut self, entry: &SocketEntry) {
        let tcp = &mut self.tcp;
        if is_listening(entry) {
            tcp.waiting += entry.receive_queue;
        }
        let count = match entry.protocol {
            InetProtocol::Udp => &mut self.udp,
            InetProtocol::Icmp => &mut self.icmp,
            InetProtocol::Raw => &mut self.raw,
            InetProtocol::Tcp => match entry.state {
                _ if is_listening(entry) => &mut tcp.listening,
                state if state == TcpState::SynSent as u8 => &mut tcp.connecting,
                state if state == TcpState::Established as u8 => &mut tcp.established,
                state if state == TcpState::Close as u8 => &mut tcp.idle,
                _ => &mut tcp.closing,
            },
        };
        *count += 1;
    }
}

impl Network {
    #[must_use]
    pub fn socket_counts(&self) -> SocketCounts {
        let mut counts = SocketCounts {
            netlink: self.netlink_ports.count(),
            ..SocketCounts::default()
        };
        self.inet_sockets()
            .iter()
            .for_each(|entry| counts.add(entry));
        for entry in self.unix_sockets() {
            *match (entry.is_listening, entry.is_connected) {
                (true, _) => &mut counts.unix.listening,
                (_, true) => &mut counts.unix.connected,
                _ => &mut counts.unix.other,
            } += 1;
        }
        counts
    }

    /// Packets and bytes received and sent, over all interfaces.
    fn traffic(&self) -> [[u64; 2]; 2] {
        let mut sums = [[0; 2]; 2];
        for one in self.interfaces() {
            for (sum, counts) in sums.iter_mut().zip([one.received, one.sent]) {
                for (sum, count) in sum.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        }
        sums
    }

    pub(super) fn show_snmp(&self, out: &mut Text<'_>) {
        let counters = self.inet_counters();
        let [received, sent] = self.traffic().map(|[packets, _]| packets);
        let tcp = self.socket_counts().tcp;
        let established = tcp.established + tcp.closing + tcp.waiting;
        group(out, "Ip", IP, |name| match name {
            "Forwarding" => 2,
            "DefaultTTL" => 64,
            "InReceives" | "InDelivers" => received,
            "OutRequests" | "OutTransmits" => sent,
            _ => NONE,
        });
        group(out, "Icmp", ICMP, |name| match name {
            "InMsgs" => counters.icmp_received.get(),
            "OutMsgs" => counters.icmp_sent.get(),
            _ => NONE,
        });
        group(out, "Tcp", TCP, |name| match name {
            "RtoAlgorithm" => 1,
            "RtoMin" => 200,
            "RtoMax" => 120_000,
            "ActiveOpens" => counters.tcp_active_opens.get(),
            "PassiveOpens" => counters.tcp_passive_opens.get(),
            "AttemptFails" => counters.tcp_attempt_fails.get(),
            "CurrEstab" => established as u64,
            "OutRsts" => counters.tcp_resets.get(),
            _ => NONE,
        });
        group(out, "Udp", UDP, |name| match name {
            "InDatagrams" => counters.udp_received.get(),
            "NoPorts" => counters.udp_no_ports.get(),
            "InErrors" | "RcvbufErrors" => counters.udp_dropped.get(),
            "OutDatagrams" => counters.udp_sent.get(),
            _ => NONE,
        });
        group(out, "UdpLite", UDP, |_| NONE);
    }

    pub(super) fn show_netstat(&self, out: &mut Text<'_>) {
        let overflows = self.inet_counters().tcp_listen_overflows.get();
        let [[_, received], [_, sent]] = self.traffic();
        let cookies = self.uplink().map(|uplink| uplink.syn_cookies());
        let cookies = cookies.unwrap_or_default();
        group(out, "TcpExt", TCP_EXT, |name| match name {
            "ListenOverflows" | "ListenDrops" => overflows,
            "SyncookiesSent" | "TCPReqQFullDoCookies" => cookies.sent,
            "SyncookiesRecv" => cookies.received,
            "SyncookiesFailed" => cookies.failed,
            _ => NONE,
        });
        group(out, "IpExt", IP_EXT, |name| match name {
            "InOctets" => received,
            "OutOctets" => sent,
            _ => NONE,
        });
    }

    /// Sockets of one protocol and family.
    fn count_of(&self, protocol: InetProtocol, v6: bool) -> usize {
        let all = self.inet_sockets();
        let is_one = |entry: &&SocketEntry| {
            // "In use" are those that others can reach.
            let in_use = protocol != InetProtocol::Tcp || entry.state != TcpState::Close as u8;
            entry.protocol == protocol && entry.v6 == v6 && in_use
        };
        all.iter().filter(is_one).count()
    }

    pub(super) fn show_sockstat(&self, out: &mut Text<'_>) {
        let counts = self.socket_counts();
        let TcpSockets {
            listening,
            connecting,
            established,
            waiting,
            closing,
            idle,
        } = counts.tcp;
        let tcp = listening + connecting + established + waiting + closing + idle;
        let unix = counts.unix.listening + counts.unix.connected + counts.unix.other;
        let used = tcp + counts.udp + counts.icmp + counts.raw + unix + counts.netlink;
        put!(
            out,
            "sockets: used {used}\nTCP: inuse {} orphan 0 tw 0 alloc {tcp} mem 0\nUDP: inuse {} mem 0\nUDPLITE: inuse 0\n\
             RAW: inuse {}\nFRAG: inuse 0 memory 0\n",
            self.count_of(InetProtocol::Tcp, false),
            self.count_of(InetProtocol::Udp, false),
            self.count_of(InetProtocol::Raw, false)
        );
    }

    pub(super) fn show_sockstat6(&self, out: &mut Text<'_>) {
        put!(
            out,
            "TCP6: inuse {}\nUDP6: inuse {}\nUDPLITE6: inuse 0\nRAW6: inuse {}\nFRAG6: inuse 0 memory 0\n",
            self.count_of(InetProtocol::Tcp, true),
            self.count_of(InetProtocol::Udp, true),
            self.count_of(InetProtocol::Raw, true)
        );
    }
}

/// A line of names, and one of values.
fn group(out: &mut Text<'_>, title: &str, names: &str, value: impl Fn(&str) -> u64) {
    put!(out, "{title}: {names}\n{title}:");
    for name in names.split(' ') {
        match name {
            // There is no limit.
            "MaxConn" => put!(out, " -1"),
            _ => put!(out, " {}", value(name)),
        }
    }
    put!(out, "\n");
}

const IP: &str = "\
    Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers \
    OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates \
    OutTransmits";
const ICMP: &str = "\
    InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps \
    InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost \
    OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps \
    OutTimestampReps OutAddrMasks OutAddrMaskReps";
const TCP: &str = "\
    RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs \
    RetransSegs InErrs OutRsts InCsumErrors";
const UDP: &str = "\
    InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors";
const TCP_EXT: &str = "\
    SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled RcvPruned OfoPruned OutOfWindowIcmps \
    LockDroppedIcmps ArpFilter TW TWRecycled TWKilled PAWSActive PAWSEstab BeyondWindow TSEcrRejected PAWSOldAck \
    PAWSTimewait DelayedACKs DelayedACKLocked DelayedACKLost ListenOverflows ListenDrops TCPHPHits TCPPureAcks \
    TCPHPAcks TCPRenoRecovery TCPSackRecovery TCPSACKReneging TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo \
    TCPPartialUndo TCPDSACKUndo TCPLossUndo TCPLostRetransmit TCPRenoFailures TCPSackFailures TCPLossFailures \
    TCPFastRetrans TCPSlowStartRetrans TCPTimeouts TCPLossProbes TCPLossProbeRecovery TCPRenoRecoveryFail \
    TCPSackRecoveryFail TCPRcvCollapsed TCPBacklogCoalesce TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv \
    TCPDSACKOfoRecv TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger TCPAbortFailed \
    TCPMemoryPressures TCPMemoryPressuresChrono TCPSACKDiscard TCPDSACKIgnoredOld TCPDSACKIgnoredNoUndo \
    TCPSpuriousRTOs TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure TCPSackShifted TCPSackMerged TCPSackShiftFallback \
    TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop TCPDeferAcceptDrop IPReversePathFilter TCPTimeWaitOverflow \
    TCPReqQFullDoCookies TCPReqQFullDrop TCPRetransFail TCPRcvCoalesce TCPOFOQueue TCPOFODrop TCPOFOMerge \
    TCPChallengeACK TCPSYNChallenge TCPFastOpenActive TCPFastOpenActiveFail TCPFastOpenPassive TCPFastOpenPassiveFail \
    TCPFastOpenListenOverflow TCPFastOpenCookieReqd TCPFastOpenBlackhole TCPSpuriousRtxHostQueues BusyPollRxPackets \
    TCPAutoCorking TCPFromZeroWindowAdv TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPSynRetrans TCPOrigDataSent \
    TCPHystartTrainDetect TCPHystartTrainCwnd TCPHystartDelayDetect TCPHystartDelayCwnd TCPACKSkippedSynRecv \
    TCPACKSkippedPAWS TCPACKSkippedSeq TCPACKSkippedFinWait2 TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPWinProbe \
    TCPKeepAlive TCPMTUPFail TCPMTUPSuccess TCPDelivered TCPDeliveredCE TCPAckCompressed TCPZeroWindowDrop \
    TCPRcvQDrop TCPWqueueTooBig TCPFastOpenPassiveAltKey TcpTimeoutRehash TcpDuplicateDataRehash TCPDSACKRecvSegs \
    TCPDSACKIgnoredDubious TCPMigrateReqSuccess TCPMigrateReqFailure TCPPLBRehash TCPAORequired TCPAOBad \
    TCPAOKeyNotFound TCPAOGood TCPAODroppedIcmps";
const IP_EXT: &str = "\
    InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets InMcastOctets \
    OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts \
    ReasmOverlaps";
