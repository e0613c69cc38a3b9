//! TCP segments that the stack makes itself.
use super::connection::Pair;
use super::flight::Again;
use super::output::Output;
use super::packet::{self, HOP_LIMIT, TCP, header_length};
use super::path::{ACK, FIN, PSH, Path, SYN, Segment, SynOptions};

/// A header without options.
const FIXED: usize = 20;

/// What differs from header to header.
struct Head {
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    window: u16,
    /// Bytes of options, a multiple of four.
    options: usize,
}

/// Sends a segment. `fill` gets the whole packet, and where options and payload begin in it.
fn emit(
    output: &mut Output,
    pair: &Pair,
    head: &Head,
    payload: usize,
    fill: impl FnOnce(&mut [u8], usize),
) {
    let start = header_length(pair.local.0);
    let header = FIXED + head.options;
    let length = header + payload;
    output.build(start + length, None, None, |ip| {
        packet::write_header(ip, pair.local.0, pair.remote.0, TCP, length, HOP_LIMIT);
        packet::write(ip, start, &pair.local.1.to_be_bytes());
        packet::write(ip, start + 2, &pair.remote.1.to_be_bytes());
        packet::write(ip, start + 4, &head.sequence.to_be_bytes());
        packet::write(ip, start + 8, &head.acknowledged.to_be_bytes());
        packet::write(ip, start + 12, &[(header as u8 / 4) << 4, head.flags]);
        packet::write(ip, start + 14, &head.window.to_be_bytes());
        fill(ip, start + FIXED);
    });
}

/// Sends an acknowledgement without payload.
pub fn send(output: &mut Output, pair: &Pair, sequence: u32, acknowledged: u32, window: u16) {
    let head = Head {
        sequence,
        acknowledged,
        flags: ACK,
        window,
        options: 0,
    };
    emit(output, pair, &head, 0, |_, _| ());
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
    let head = Head {
        sequence,
        acknowledged,
        flags: SYN | ACK,
        window,
        options: 4 + sack + if options.scale.is_some() { 4 } else { 0 },
    };
    emit(output, pair, &head, 0, |ip, at| {
        packet::write(ip, at, &MSS);
        packet::write(ip, at + 2, &options.mss.unwrap_or(0).to_be_bytes());
        if options.sack {
            packet::write(ip, at + 4, &SACK);
        }
        if let Some(scale) = options.scale {
            packet::write(ip, at + 4 + sack, &SCALE);
            packet::write(ip, at + 7 + sack, &[scale]);
        }
    });
}

/// Sends a part of the stream again.
pub fn send_again(output: &mut Output, pair: &Pair, path: &mut Path, part: &Again) {
    path.sends_again();
    output.counters.retransmitted += 1;
    let head = Head {
        sequence: part.start,
        acknowledged: path.acknowledged,
        flags: ACK | PSH | if part.fin { FIN } else { 0 },
        window: path.window,
        options: 0,
    };
    emit(output, pair, &head, part.bytes().len(), |ip, at| {
        packet::write(ip, at, part.bytes());
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
    // Two of padding, then the option with one block.
    const OPTION: [u8; 4] = [1, 1, 5, 10];
    let head = Head {
        sequence: path.next,
        acknowledged: expected,
        flags: ACK,
        window: path.window_from(expected),
        options: 12,
    };
    emit(output, pair, &head, 0, |ip, at| {
        packet::write(ip, at, &OPTION);
        packet::write(ip, at + 4, &segment.sequence.to_be_bytes());
        packet::write(ip, at + 8, &segment.end().to_be_bytes());
        path.mark(ip);
    });
}
