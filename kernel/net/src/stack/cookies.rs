//! SYN cookies (RFC 4987): where a listener has too many handshakes open, further ones leave nothing here until the peer has shown
//! that it hears the answer. What its SYN said travels in the sequence number of the answer, as far as it has room there.
use super::connection::{FIRST_RECEIVE, Owner, Pair};
use super::packet::{Header, header_length};
use super::path::{ACK, RST, SYN, Segment, SynOptions};
use super::segment;
use super::state::State;
use crate::uplink::SynCookies;
use core::hash::{Hash, Hasher};
use siphasher::sip::SipHasher24;

/// A cookie is good for the rest of its period and the next one, in ns.
const PERIOD: u64 = 32_000_000_000;
/// Segment sizes and window scales that fit into a cookie. What the peer said is rounded down to one of them.
const SIZES: [u16; 8] = [48, 536, 1220, 1360, 1440, 1452, 1460, 8940];
const SCALES: [u8; 7] = [0, 2, 4, 6, 7, 8, 10];
/// The value of a peer that scales no windows.
const NO_SCALE: u32 = 7;
/// What TCP assumes where the SYN does not tell (RFC 9293).
const DEFAULT_SIZE: u16 = 536;

pub struct Cookies {
    key: [u64; 2],
    /// Until when one may come back.
    good_until: u64,
    pub counters: SynCookies,
}

/// Where the greatest entry of `table` is that is not above `value`.
fn rounded_down<T: PartialOrd>(table: &[T], value: &T) -> u32 {
    let above = table.iter().position(|entry| entry > value);
    above.unwrap_or(table.len()).saturating_sub(1) as u32
}

fn pack(options: &SynOptions) -> u32 {
    let size = rounded_down(&SIZES, &options.mss.unwrap_or(DEFAULT_SIZE));
    let scale = options
        .scale
        .map_or(NO_SCALE, |scale| rounded_down(&SCALES, &scale));
    size | scale << 3 | u32::from(options.sack) << 6
}

fn unpack(bits: u32) -> SynOptions {
    SynOptions {
        mss: SIZES.get((bits & 7) as usize).copied(),
        scale: SCALES.get((bits >> 3 & 7) as usize).copied(),
        sack: bits >> 6 & 1 != 0,
    }
}

impl Cookies {
    pub fn new(key: [u64; 2]) -> Self {
        Self {
            key,
            good_until: 0,
            counters: SynCookies::default(),
        }
    }

    /// `bits` are the options and the lowest bit of the period, which are open, below a code that only this machine can make.
    fn cookie(&self, pair: &Pair, peer: u32, period: u64, options: u32) -> u32 {
        let bits = options & 0x7f | (period as u32 & 1) << 7;
        let mut hasher = SipHasher24::new_with_keys(self.key[0], self.key[1]);
        (pair, peer, period, bits).hash(&mut hasher);
        (hasher.finish() as u32) << 8 | bits
    }

    /// The sequence number that answers a SYN.
    fn bake(&mut self, pair: &Pair, syn: &Segment, options: &SynOptions, now: u64) -> u32 {
        self.counters.sent += 1;
        self.good_until = now + 2 * PERIOD;
        self.cookie(pair, syn.sequence, now / PERIOD, pack(options))
    }

    /// What the peer's SYN said, if `segment` acknowledges a cookie.
    fn taste(&mut self, pair: &Pair, segment: &Segment, now: u64) -> Option<SynOptions> {
        if now >= self.good_until || segment.flags & (SYN | RST | ACK) != ACK {
            return None;
        }
        let cookie = segment.acknowledged.wrapping_sub(1);
        let period = now / PERIOD;
        let age = period & 1 ^ u64::from(cookie >> 7 & 1);
        let options = cookie & 0x7f;
        let peer = segment.sequence.wrapping_sub(1);
        let is_ours = period
            .checked_sub(age)
            .is_some_and(|period| self.cookie(pair, peer, period, options) == cookie);
        if is_ours {
            self.counters.received += 1;
        } else {
            self.counters.failed += 1;
        }
        is_ours.then(|| unpack(options))
    }
}

impl State {
    /// Answers a SYN and forgets it.
    pub fn answer_by_cookie(&mut self, pair: &Pair, ip: &[u8], header: &Header, syn: &Segment) {
        let peer = SynOptions::parse(ip, header);
        let sequence = self.cookies.bake(pair, syn, &peer, self.output.now);
        let own = SynOptions {
            mss: Some(self.own_size(pair)),
            scale: peer.scale.map(|_| super::grow::SCALE),
            sack: peer.sack,
        };
        let expected = syn.sequence.wrapping_add(1);
        let window = FIRST_RECEIVE as u16;
        segment::send_syn_ack(&mut self.output, pair, sequence, expected, window, &own);
    }

    fn own_size(&self, pair: &Pair) -> u16 {
        let size = self.output.link.mtu() - header_length(pair.local.0) - 20;
        size.min(usize::from(u16::MAX)) as u16
    }

    /// An acknowledgement for no connection. True: it was of a cookie, and that has been dealt with.
    pub fn admit(&mut self, pair: Pair, ip: &mut [u8], header: &Header, segment: &Segment) -> bool {
        let Some(listener) = self.listeners.find(&pair) else {
            return false;
        };
        let (number, has_room) = (listener.id, listener.has_room());
        let Some(peer) = self.cookies.taste(&pair, segment, self.output.now) else {
            return false;
        };
        if !has_room {
            // As Linux: the peer believes to be connected, and sends again.
            self.output.counters.received_dropped += 1;
            return true;
        }
        let own_size = self.own_size(&pair);
        let id = self.add_connection(pair, Owner::HalfOpen(number));
        let is_made = self.connections.get_mut(&id).is_some_and(|connection| {
            connection.path.resume(peer, own_size, segment);
            self.grower.establish(connection, self.output.now)
        });
        if !is_made {
            self.remove_connection(id);
            return false;
        }
        self.receive_segment(id, ip, header, segment);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Pair = Pair {
        local: (core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 80),
        remote: (core::net::IpAddr::V4(core::net::Ipv4Addr::BROADCAST), 9),
    };

    fn segment(flags: u8, sequence: u32, acknowledged: u32) -> Segment {
        Segment {
            source: 9,
            destination: 80,
            sequence,
            acknowledged,
            flags,
            window: 100,
            payload: 0,
        }
    }

    /// What comes back of a cookie after a while.
    fn after(wait: u64, options: SynOptions) -> Option<SynOptions> {
        let mut cookies = Cookies::new([1, 2]);
        let now = 3 * PERIOD + PERIOD / 2;
        let cookie = cookies.bake(&PAIR, &segment(SYN, 7, 0), &options, now);
        let acknowledgement = segment(ACK, 8, cookie.wrapping_add(1));
        cookies.taste(&PAIR, &acknowledgement, now + wait)
    }

    #[test]
    fn options_come_back_rounded_down() {
        for (mss, scale, sack, back_mss, back_scale) in [
            (Some(1460), Some(7), true, 1460, Some(7)),
            (Some(1459), Some(14), false, 1452, Some(10)),
            (Some(9000), Some(0), true, 8940, Some(0)),
            (None, None, false, 536, None),
            (Some(1), Some(5), true, 48, Some(4)),
        ] {
            let back = SynOptions {
                mss: Some(back_mss),
                scale: back_scale,
                sack,
            };
            assert_eq!(after(0, SynOptions { mss, scale, sack }), Some(back));
        }
    }

    #[test]
    fn a_cookie_is_good_for_two_periods_at_most() {
        let options = SynOptions::default();
        assert!(after(PERIOD, options).is_some());
        assert_eq!(after(2 * PERIOD, options), None);
        // Not even if others keep cookies in use.
        let mut cookies = Cookies::new([1, 2]);
        let cookie = cookies.bake(&PAIR, &segment(SYN, 7, 0), &options, 0);
        cookies.bake(&PAIR, &segment(SYN, 9, 0), &options, 2 * PERIOD);
        let acknowledgement = segment(ACK, 8, cookie.wrapping_add(1));
        assert_eq!(cookies.taste(&PAIR, &acknowledgement, 2 * PERIOD), None);
        assert_eq!(cookies.counters.failed, 1);
    }

    #[test]
    fn a_cookie_is_good_for_one_connection_only() {
        let mut cookies = Cookies::new([1, 2]);
        let cookie = cookies.bake(&PAIR, &segment(SYN, 7, 0), &SynOptions::default(), 0);
        let good = segment(ACK, 8, cookie.wrapping_add(1));
        let other = Pair {
            remote: (PAIR.remote.0, 10),
            ..PAIR
        };
        assert_eq!(cookies.taste(&other, &good, 0), None);
        for segment in [
            segment(ACK, 9, cookie.wrapping_add(1)),
            segment(ACK, 8, cookie.wrapping_add(2)),
            segment(ACK, 8, cookie.wrapping_add(1) ^ 1 << 4),
            segment(RST | ACK, 8, cookie.wrapping_add(1)),
        ] {
            assert_eq!(cookies.taste(&PAIR, &segment, 0), None);
        }
        assert!(cookies.taste(&PAIR, &good, 0).is_some());
    }
}
