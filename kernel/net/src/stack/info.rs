//! `TCP_INFO`, see tcp(7): what is known here; the rest is 0.
use super::connection::Connection;
use alloc::vec::Vec;
use smoltcp::socket::tcp::State;

/// `sizeof(struct tcp_info)` of Linux 6.1.
const SIZE: usize = 240;

fn state(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

pub fn bytes(connection: &Connection, mtu: usize) -> Vec<u8> {
    const OPTION_SACK: u8 = 2;
    const OPTION_WINDOW_SCALE: u8 = 4;
    let mut info = alloc::vec![0; SIZE];
    let mut put = |at: usize, value: &[u8]| super::packet::write(&mut info, at, value);
    let path = &connection.path;
    let socket = connection.peek_tcp();
    let mss = connection.segment_size(mtu) as u32;
    let scale = path.peer.scale.unwrap_or(0);
    let sack = if path.peer.sack { OPTION_SACK } else { 0 };
    let scaling = path.peer.scale.map_or(0, |_| OPTION_WINDOW_SCALE);
    put(0, &[state(socket.state())]);
    put(5, &[sack | scaling]);
    // snd_wscale: 4 and rcv_wscale: 4
    put(6, &[scale & 15 | path.own_scale << 4]);
    let mut word = |at: usize, value: u32| put(at, &value.to_ne_bytes());
    // tcpi_rto is smoltcp's own business; its least is a second.
    word(16, mss);
    word(20, mss);
    word(60, mtu as u32);
    word(68, path.rtt);
    word(72, path.deviation);
    word(84, mss);
    word(96, socket.recv_capacity() as u32);
    word(100, path.retransmitted);
    put(120, &path.bytes_acked.to_ne_bytes());
    put(128, &path.bytes_received.to_ne_bytes());
    put(136, &path.segments_out.to_ne_bytes());
    put(140, &path.segments_in.to_ne_bytes());
    info
}
