//! TCP segments that the stack makes itself.
use super::connection::Pair;
use super::flight::Again;
use super::output::Output;
use super::packet::{self, HOP_LIMIT, TCP, header_length};
use super::path::{ACK, FIN, PSH, Path};

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
