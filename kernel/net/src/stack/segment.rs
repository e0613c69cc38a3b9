//! TCP segments that the stack makes itself.
use super::connection::Pair;
use super::flight::Again;
use super::output::Output;
use super::packet::{self, HOP_LIMIT, TCP, header_length};
use super::path::{ACK, FIN, PSH, Path, SYN, Segment, SynOptions};

/// Sends an acknowledgement without payload.
pub fn send(output: &mut Output, pair: &Pair, sequence: u32, acknowledged: u32, window: u16) {
    const LENGTH: usize = 20;
    let start = header_length(pair.local.0);
    output.build(start + LENGTH, None, None, |ip| {
        packet::write_header(ip, pair.local.0, pair.remote.0, TCP, LENGTH, HOP_LIMIT);
        packet::write(ip, start, &pair.local.1.to_be_bytes());
        packet::write(ip, start + 2, &pair.remote.1.to_be_bytes());
        packet::write(ip, start + 4, &sequence.to_be_bytes());
        packet::write(ip, start + 8, &acknowledged.to_be_bytes());
        packet::write(ip, start + 12, &[0x50, ACK]);
        packet::write(ip, start + 14, &window.to_be_bytes());
    });
}

/// Answers a SYN. `options` are one's own.
pub fn send_syn_ack(
    output: &mut Output,
    pair: &Pair,
    sequence: u32,
    acknowledged: u32,
    window: u16,
    options: &SynOptions,
) {
    const MSS: [u8; 2] = [2, 4];
    // Each with padding in front of it.
    const SACK: [u8; 4] = [1, 1, 4, 2];
    const SCALE: [u8; 3] = [1, 3, 3];
    let sack = if options.sack { 4 } else { 0 };
    let length = 24 + sack + if options.scale.is_some() { 4 } else { 0 };
    let start = header_length(pair.local.0);
    output.build(start + length, None, None, |ip| {
        packet::write_header(ip, pair.local.0, pair.remote.0, TCP, length, HOP_LIMIT);
        packet::write(ip, start, &pair.local.1.to_be_bytes());
        packet::write(ip, start + 2, &pair.remote.1.to_be_bytes());
        packet::write(ip, start + 4, &sequence.to_be_bytes());
        packet::write(ip, start + 8, &acknowledged.to_be_bytes());
        packet::write(ip, start + 12, &[(length as u8 / 4) << 4, SYN | ACK]);
        packet::write(ip, start + 14, &window.to_be_bytes());
        packet::write(ip, start + 20, &MSS);
        packet::write(ip, start + 22, &options.mss.unwrap_or(0).to_be_bytes());
        if options.sack {
            packet::write(ip, start + 24, &SACK);
        }
        if let Some(scale) = options.scale {
            packet::write(ip, start + 24 + sack, &SCALE);
            packet::write(ip, start + 27 + sack, &[scale]);
        }
    });
}

/// Sends a part of the stream again.
pub fn send_again(output: &mut Output, pair: &Pair, path: &mut Path, part: &Again) {
    const LENGTH: usize = 20;
    let start = header_length(pair.local.0);
    let length = LENGTH + part.bytes().len();
    let flags = ACK | PSH | if part.fin { FIN } else { 0 };
    path.sends_again();
    output.counters.retransmitted += 1;
    output.build(start + length, None, None, |ip| {
        packet::write_header(ip, pair.local.0, pair.remote.0, TCP, length, HOP_LIMIT);
        packet::write(ip, start, &pair.local.1.to_be_bytes());
        packet::write(ip, start + 2, &pair.remote.1.to_be_bytes());
        packet::write(ip, start + 4, &part.start.to_be_bytes());
        packet::write(ip, start + 8, &path.acknowledged.to_be_bytes());
        packet::write(ip, start + 12, &[0x50, flags]);
        packet::write(ip, start + 14, &path.window.to_be_bytes());
        packet::write(ip, start + LENGTH, part.bytes());
        path.mark(ip);
    });
}

/// Tells the peer that it has sent something twice (RFC 2883), so that it learns how late its segments may come. smoltcp would say
/// nothing, once a second.
pub fn send_duplicate(
    output: &mut Output,
    pair: &Pair,
    path: &Path,
    expected: u32,
    segment: &Segment,
) {
    const LENGTH: usize = 32;
    // Two of padding, then the option with one block.
    const OPTION: [u8; 4] = [1, 1, 5, 10];
    let start = header_length(pair.local.0);
    output.build(start + LENGTH, None, None, |ip| {
        packet::write_header(ip, pair.local.0, pair.remote.0, TCP, LENGTH, HOP_LIMIT);
        packet::write(ip, start, &pair.local.1.to_be_bytes());
        packet::write(ip, start + 2, &pair.remote.1.to_be_bytes());
        packet::write(ip, start + 4, &path.next.to_be_bytes());
        packet::write(ip, start + 8, &expected.to_be_bytes());
        packet::write(ip, start + 12, &[0x80, ACK]);
        let window = path.window_from(expected);
        packet::write(ip, start + 14, &window.to_be_bytes());
        packet::write(ip, start + 20, &OPTION);
        packet::write(ip, start + 24, &segment.sequence.to_be_bytes());
        packet::write(ip, start + 28, &segment.end().to_be_bytes());
        path.mark(ip);
    });
}
