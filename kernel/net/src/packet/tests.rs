use super::filter::View;
use super::made_up;
use crate::bpf::{EXTENSIONS, Program};
use crate::stack::{Tap, checksum, packet};
use crate::tests::{Root, TestHost};
use crate::{Address, LinkAddress, Network, Result, Socket, receive_vec};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use linux_abi::Errno;
use linux_abi::raw::if_arp::*;
use linux_abi::raw::net::*;
use vfs::{PageRef, SliceSink, poll};

const EVERYTHING: u32 = (ETH_P_ALL as u16).to_be() as u32;

fn program(instructions: &[(u16, u8, u8, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, yes, no, k) in instructions {
        bytes.extend(code.to_ne_bytes());
        bytes.extend([*yes, *no]);
        bytes.extend(k.to_ne_bytes());
    }
    bytes
}

fn view(frame: &[u8]) -> View<'_> {
    View {
        frame,
        start: 0,
        network: 14,
        protocol: 0x0800,
        packet_type: 4,
        hardware_type: 772,
        interface: 1,
    }
}

fn run(instructions: &[(u16, u8, u8, u32)], frame: &[u8]) -> u32 {
    Program::parse(&program(instructions))
        .unwrap()
        .run(&view(frame))
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What `tcpdump -ddd 'udp port 53'` says.
const UDP_53: [(u16, u8, u8, u32); 20] = [
    (40, 0, 0, 12),
    (21, 0, 6, 0x86dd),
    (48, 0, 0, 20),
    (21, 0, 15, 17),
    (40, 0, 0, 54),
    (21, 12, 0, 53),
    (40, 0, 0, 56),
    (21, 10, 11, 53),
    (21, 0, 10, 2048),
    (48, 0, 0, 23),
    (21, 0, 8, 17),
    (40, 0, 0, 20),
    (69, 6, 0, 8191),
    (177, 0, 0, 14),
    (72, 0, 0, 14),
    (21, 2, 0, 53),
    (72, 0, 0, 16),
    (21, 0, 1, 53),
    (6, 0, 0, 262_144),
    (6, 0, 0, 0),
];

#[test]
fn a_filter_of_libpcap_tells_packets_apart() {
    for (from, to, wanted) in [
        ("10.0.0.1:53", "10.0.0.2:9", 262_144),
        ("10.0.0.1:9", "10.0.0.2:53", 262_144),
        ("10.0.0.1:9", "10.0.0.2:54", 0),
        ("[::1]:9", "[::1]:53", 262_144),
        ("[::1]:9", "[::1]:5", 0),
    ] {
        let frame = made_up::udp(address(from), address(to), 64, b"x");
        assert_eq!(run(&UDP_53, &frame), wanted, "{from} {to}");
        let segment = made_up::Segment {
            sequence: 1,
            acknowledged: 2,
            flags: 0,
        };
        let frame = made_up::tcp(address(from), address(to), segment, b"x");
        assert_eq!(run(&UDP_53, &frame), 0, "{from} {to}");
    }
    assert_eq!(run(&UDP_53, &[0; 13]), 0);
}

#[test]
fn instructions_do_what_they_say() {
    let arithmetic = |code, a, k| run(&[(0, 0, 0, a), (code, 0, 0, k), (0x16, 0, 0, 0)], b"");
    assert_eq!(arithmetic(0x04, u32::MAX, 2), 1);
    assert_eq!(arithmetic(0x14, 1, 2), u32::MAX);
    assert_eq!(arithmetic(0x24, 7, 6), 42);
    assert_eq!(arithmetic(0x34, 43, 6), 7);
    assert_eq!(arithmetic(0x44, 5, 2), 7);
    assert_eq!(arithmetic(0x54, 7, 2), 2);
    assert_eq!(arithmetic(0x64, 1, 31), 1 << 31);
    assert_eq!(arithmetic(0x74, 1 << 31, 31), 1);
    assert_eq!(arithmetic(0x84, 1, 0), u32::MAX);
    assert_eq!(arithmetic(0x94, 43, 6), 1);
    assert_eq!(arithmetic(0xa4, 5, 6), 3);
    // X, memory, and back; then 9 / 0, which ends it.
    let moves = [
        (0, 0, 0, 9),
        (0x02, 0, 0, 15),
        (0x61, 0, 0, 15),
        (0x03, 0, 0, 3),
        (0x60, 0, 0, 3),
        (0x07, 0, 0, 0),
        (0x87, 0, 0, 0),
        (0x16, 0, 0, 0),
    ];
    assert_eq!(run(&moves, b""), 9);
    assert_eq!(
        run(&[(0x01, 0, 0, 0), (0x3c, 0, 0, 0), (0x06, 0, 0, 7)], b""),
        0
    );
    let load = |code, k| run(&[(code, 0, 0, k), (0x16, 0, 0, 0)], b"0123456789abcdefgh");
    assert_eq!(load(0x20, 1), u32::from_be_bytes(*b"1234"));
    assert_eq!(load(0x80, 0), 18);
    assert_eq!(load(0x20, 15), 0);
    assert_eq!(load(0x30, 0xfff0_0000), u32::from(b"e"[0]));
    assert_eq!(load(0x30, 0xffe0_0001), u32::from(b'1'));
    let ancillary = |offset: u32| load(0x20, 0xffff_f000 + offset);
    assert_eq!([0, 4, 8, 28, 48].map(ancillary), [0x0800, 4, 1, 772, 0]);
}

#[test]
fn unsound_programs_are_refused() {
    for bad in [
        &[][..],
        // No end, a jump past it, an unknown instruction, memory that is not there, a division by 0, a shift too far.
        &[(0, 0, 0, 1)],
        &[(0x05, 0, 0, 1), (6, 0, 0, 0)],
        &[(0x15, 1, 0, 1), (6, 0, 0, 0)],
        &[(0x05, 0, 0, u32::MAX), (6, 0, 0, 0)],
        &[(0xffff, 0, 0, 0), (6, 0, 0, 0)],
        &[(0x60, 0, 0, 16), (6, 0, 0, 0)],
        &[(0x34, 0, 0, 0), (6, 0, 0, 0)],
        &[(0x64, 0, 0, 32), (6, 0, 0, 0)],
        // Netlink attributes.
        &[(0x20, 0, 0, 0xffff_f00c), (6, 0, 0, 0)],
    ] {
        let outcome = Program::parse(&program(bad));
        assert!(matches!(outcome, Err(Errno::EINVAL)), "{bad:?}");
    }
    assert!(Program::parse(&[6; 7]).is_err());
    assert!(Program::parse(&program(&[(6, 0, 0, 0); 4097])).is_err());
}

#[test]
fn no_program_and_no_packet_does_harm() {
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u32
    };
    let codes = [
        0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1, 0x15, 0x05, 0x1d, 0x0c, 0x3c, 0x6c, 0x07, 0x02,
    ];
    for _ in 0..20_000 {
        let mut instructions: Vec<(u16, u8, u8, u32)> = (0..random() % 12)
            .map(|_| {
                let k = if random() % 2 == 0 {
                    random() % 40
                } else {
                    random().wrapping_mul(0x0101_0101) | 0xf000_0000
                };
                let code = codes[random() as usize % codes.len()];
                (code, (random() % 4) as u8, (random() % 4) as u8, k)
            })
            .collect();
        instructions.push((0x16, 0, 0, 0));
        if let Ok(filter) = Program::parse(&program(&instructions)) {
            let frame = vec![random() as u8; random() as usize % 80];
            filter.run(&view(&frame));
        }
    }
}

#[test]
fn made_up_packets_are_whole() {
    for (from, to) in [
        ("127.0.0.1:5", "127.0.0.2:6"),
        ("[fd00::1]:5", "[fd00::2]:6"),
    ] {
        let (from, to) = (address(from), address(to));
        let segment = made_up::Segment {
            sequence: 7,
            acknowledged: 8,
            flags: made_up::ACK,
        };
        let datagram = made_up::udp(from, to, 9, b"odd");
        let refusal = made_up::port_unreachable(to.ip(), from.ip(), &datagram);
        for (frame, protocol) in [
            (datagram, packet::UDP),
            (made_up::tcp(from, to, segment, b"odd"), packet::TCP),
            (refusal, if from.is_ipv4() { 1 } else { 58 }),
        ] {
            let ip = &frame[14..];
            let header = packet::Header::parse(ip).unwrap();
            assert_eq!(header.protocol, protocol);
            assert_eq!(header.end, ip.len());
            assert!(checksum::is_right(ip, &header));
        }
    }
}

fn watcher(network: &Arc<Network>, kind: u32) -> Arc<Socket> {
    network.socket(AF_PACKET, kind, EVERYTHING, &Root).unwrap()
}

fn take(socket: &Socket) -> Result<(Vec<u8>, LinkAddress)> {
    let (bytes, received) = receive_vec(socket.ops(), 100_000, 0)?;
    match received.from {
        Some(Address::Link(link)) => Ok((bytes, link)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_goes_over_lo_is_seen_leaving_and_coming() {
    let network = Network::new(Arc::new(TestHost));
    let (raw, cooked) = (watcher(&network, SOCK_RAW), watcher(&network, SOCK_DGRAM));
    let frame = made_up::udp(address("127.0.0.1:5"), address("127.0.0.1:6"), 64, b"x");
    network.observers.loopback(&frame);
    for kind in [PACKET_OUTGOING, PACKET_HOST] {
        assert_eq!(raw.ops().poll() & poll::IN, poll::IN);
        let (bytes, link) = take(&raw).unwrap();
        assert_eq!((bytes, u32::from(link.packet_type)), (frame.clone(), kind));
        assert_eq!((link.index, link.hardware_type), (1, 772));
        assert_eq!(take(&cooked).unwrap().0, frame[14..]);
    }
    assert_eq!(take(&raw).unwrap_err(), Errno::EAGAIN);
    drop((raw, cooked));
    assert!(!network.observers.is_watched());
}

#[test]
fn a_queue_has_an_end_and_what_is_lost_is_counted() {
    let network = Network::new(Arc::new(TestHost));
    let socket = watcher(&network, SOCK_RAW);
    for _ in 0..10 {
        network.observers.loopback(&[0; 60_000]);
    }
    let stats = |socket: &Socket| {
        let value = socket.ops().option(SOL_PACKET, PACKET_STATISTICS, &[]);
        let value = value.unwrap();
        let number = |at| u32::from_ne_bytes(*value[at..].first_chunk().unwrap());
        (number(0), number(4))
    };
    let (packets, drops) = stats(&socket);
    assert_eq!(packets, 20);
    assert!(drops > 10 && drops < 20, "{drops}");
    assert_eq!(stats(&socket), (0, 0));
}

#[test]
fn a_card_s_frames_have_the_type_of_their_destination() {
    let network = Network::new(Arc::new(TestHost));
    let socket = watcher(&network, SOCK_RAW);
    for (first, outgoing, kind) in [
        (255, false, PACKET_BROADCAST),
        (1, false, PACKET_MULTICAST),
        (2, false, PACKET_OTHERHOST),
        (2, true, PACKET_OUTGOING),
    ] {
        let mut frame = [first; 60];
        frame[6..12].copy_from_slice(b"source");
        network.observers.frame(&frame, outgoing);
        network.observers.wake();
        let (_, link) = take(&socket).unwrap();
        assert_eq!(u32::from(link.packet_type), kind);
        assert_eq!((link.index, &link.address[..6]), (2, &b"source"[..]));
    }
    network.observers.frame(&[0; 13], false);
    assert_eq!(take(&socket).unwrap_err(), Errno::EAGAIN);
}

fn ring_request(words: [u32; 4]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[test]
fn a_ring_takes_frames_until_it_is_full_and_again_when_they_are_given_back() {
    let network = Network::new(Arc::new(TestHost));
    let socket = watcher(&network, SOCK_RAW);
    let set = |name, value: &[u8]| socket.ops().set_option(SOL_PACKET, name, value, &Root);
    let request = ring_request([4096, 2, 2048, 4]);
    // The first form of rings is not there.
    assert_eq!(set(PACKET_RX_RING, &request), Err(Errno::EINVAL));
    set(PACKET_VERSION, &1u32.to_ne_bytes()).unwrap();
    for bad in [
        [4096, 2, 2048, 5],
        [4095, 2, 2048, 4],
        [4096, 2, 40, 200],
        [4096, 2, 2050, 2],
        [4096, u32::MAX, 2048, u32::MAX],
        [0, 1, 0, 0],
        [4096, 0, 0, 1],
        [1 << 30, 1, 1 << 30, 1],
    ] {
        assert!(set(PACKET_RX_RING, &ring_request(bad)).is_err(), "{bad:?}");
    }
    assert!(socket.ops().map_inode().is_none());
    set(PACKET_RX_RING, &request).unwrap();
    assert_eq!(set(PACKET_RX_RING, &request), Err(Errno::EBUSY));
    let memory = socket.ops().map_inode().unwrap();
    let pages = [0, 1].map(|index| match memory.map_page(index, true) {
        Ok(PageRef::Memory(page)) => page,
        _ => panic!("no page {index}"),
    });
    assert!(memory.map_page(2, true).is_err() && memory.map_page(u64::MAX, true).is_err());
    let word = |frame: usize, at: usize| {
        let mut bytes = [0; 4];
        let from = frame % 2 * 2048 + at;
        pages[frame / 2]
            .read(from, 4, &mut SliceSink::new(&mut bytes))
            .unwrap();
        u32::from_ne_bytes(bytes)
    };
    assert_eq!(socket.ops().poll() & poll::IN, 0);
    // Too long a frame is cut; the fourth one and on find room only until the ring is full.
    for _ in 0..3 {
        network.observers.loopback(&[7; 5000]);
    }
    assert_eq!(socket.ops().poll() & poll::IN, poll::IN);
    for frame in 0..4 {
        assert_eq!(
            [0, 4, 8].map(|at| word(frame, at)),
            [TP_STATUS_USER, 5000, 2048 - 66]
        );
    }
    for page in &pages {
        page.clear(0, 4096);
    }
    assert_eq!(socket.ops().poll() & poll::IN, 0);
    network.observers.loopback(&[7; 60]);
    assert_eq!(word(0, 0), TP_STATUS_USER | TP_STATUS_LOSING);
    assert_eq!(word(1, 0), TP_STATUS_USER);
    set(PACKET_RX_RING, &ring_request([0; 4])).unwrap();
    assert!(socket.ops().map_inode().is_none());
}

#[test]
fn options_and_addresses_are_checked() {
    let network = Network::new(Arc::new(TestHost));
    let socket = watcher(&network, SOCK_RAW);
    let ops = socket.ops();
    let nowhere = Address::Link(LinkAddress {
        index: 3,
        ..LinkAddress::default()
    });
    assert_eq!(ops.bind(&nowhere, &Root), Err(Errno::ENODEV));
    assert_eq!(ops.bind(&Address::Unspecified, &Root), Err(Errno::EINVAL));
    assert_eq!(
        ops.option(SOL_SOCKET, SO_BPF_EXTENSIONS, &[]).unwrap(),
        EXTENSIONS.to_ne_bytes()
    );
    let length = |version: u32| ops.option(SOL_PACKET, PACKET_HDRLEN, &version.to_ne_bytes());
    assert_eq!(length(1).unwrap(), 32u32.to_ne_bytes());
    assert_eq!(length(2), Err(Errno::EINVAL));
    for name in 0..64 {
        for level in [SOL_SOCKET, SOL_PACKET, SOL_IP] {
            for value in [&[][..], &[1; 3], &[1; 4], &[0; 28]] {
                let _ = ops.set_option(level, name, value, &Root);
                let _ = ops.option(level, name, value);
            }
        }
    }
}
