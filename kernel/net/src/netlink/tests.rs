use crate::network::{Interface, InterfaceFlags, Network};
use crate::tests::{FakeUplink, Root, TestHost};
use crate::{Address, Outgoing, SocketOps, receive_vec};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::Errno;
use vfs::SliceSource;

const DUMP: u16 = 0x301;
const REQUEST: u16 = 1;
const ACK: u16 = 4;

fn eth0() -> Interface {
    Interface {
        index: 2,
        name: String::from("eth0"),
        flags: InterfaceFlags::UP | InterfaceFlags::RUNNING,
        mtu: 1500,
        hardware_type: 1,
        hardware_address: [2, 0, 0, 0, 0, 1],
        addresses: Vec::from([
            ("10.0.2.15".parse().unwrap(), 24),
            ("fd00:c0::15".parse().unwrap(), 64),
        ]),
        gateways: Vec::from(["10.0.2.2".parse().unwrap()]),
        received: [1, 2, 3, 4],
        sent: [5, 6, 7, 8],
    }
}

fn network() -> Arc<Network> {
    let network = Network::new(Arc::new(TestHost));
    network.set_uplink(Arc::new(FakeUplink(vec![eth0()])));
    network
}

fn open(network: &Arc<Network>) -> Arc<crate::Socket> {
    network.socket(16, 3, 0, &Root).unwrap()
}

fn request(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ((16 + payload.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(7_u32.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(payload);
    bytes
}

fn send(ops: &dyn SocketOps, bytes: &[u8]) -> Result<usize, Errno> {
    let mut message = Outgoing {
        source: &mut SliceSource::new(bytes),
        to: None,
        control: Vec::new(),
        flags: 0,
    };
    ops.send(&mut message, &Root)
}

/// Kind and payload of every message that comes.
fn answers(ops: &dyn SocketOps) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while let Ok((bytes, _)) = receive_vec(ops, 65536, 0) {
        let mut rest = bytes.as_slice();
        while rest.len() >= 16 {
            let len = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
            let kind = u16::from_ne_bytes(rest[4..6].try_into().unwrap());
            assert_eq!(rest[8..12], 7_u32.to_ne_bytes());
            all.push((kind, rest[16..len].to_vec()));
            rest = &rest[len.next_multiple_of(4)..];
        }
    }
    all
}

fn attributes(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while bytes.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        all.push((
            u16::from_ne_bytes([bytes[2], bytes[3]]),
            bytes[4..len].to_vec(),
        ));
        bytes = &bytes[len.next_multiple_of(4)..];
    }
    all
}

fn value(payload: &[u8], header: usize, kind: u16) -> Option<Vec<u8>> {
    let all = attributes(&payload[header..]);
    all.into_iter()
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

#[test]
fn links_are_dumped_and_the_dump_ends() {
    let socket = open(&network());
    send(socket.ops(), &request(18, DUMP, &[0; 16])).unwrap();
    let all = answers(socket.ops());
    let kinds: Vec<u16> = all.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [16, 16, 3]);
    assert_eq!(value(&all[0].1, 16, 3).unwrap(), b"lo\0");
    assert_eq!(value(&all[1].1, 16, 3).unwrap(), b"eth0\0");
    assert_eq!(value(&all[1].1, 16, 1).unwrap(), [2, 0, 0, 0, 0, 1]);
    assert_eq!(value(&all[1].1, 16, 4).unwrap(), 1500_u32.to_ne_bytes());
    let stats = value(&all[1].1, 16, 23).unwrap();
    assert_eq!(stats[..16], [1_u64, 5].map(u64::to_ne_bytes).concat());
}

#[test]
fn one_link_by_index_or_name() {
    let socket = open(&network());
    let mut by_index = [0; 16];
    by_index[4] = 2;
    send(socket.ops(), &request(18, REQUEST, &by_index)).unwrap();
    let by_name = [
        &[0; 16][..],
        &7_u16.to_ne_bytes(),
        &3_u16.to_ne_bytes(),
        b"lo\0\0",
    ]
    .concat();
    send(socket.ops(), &request(18, REQUEST, &by_name)).unwrap();
    let names: Vec<_> = answers(socket.ops())
        .iter()
        .map(|(_, payload)| value(payload, 16, 3).unwrap())
        .collect();
    assert_eq!(names, [b"eth0\0".to_vec(), b"lo\0".to_vec()]);
    by_index[4] = 9;
    send(socket.ops(), &request(18, REQUEST, &by_index)).unwrap();
    let all = answers(socket.ops());
    assert_eq!(all[0].0, 2);
    assert_eq!(all[0].1[..4], (-19_i32).to_ne_bytes());
}

#[test]
fn addresses_by_family() {
    let socket = open(&network());
    for (family, count) in [(0, 4), (2, 2), (10, 2)] {
        let mut payload = [0; 8];
        payload[0] = family;
        send(socket.ops(), &request(22, DUMP, &payload)).unwrap();
        let all = answers(socket.ops());
        assert_eq!(all.len(), count + 1, "family {family}");
    }
    send(socket.ops(), &request(22, DUMP, &[2, 0, 0, 0, 2, 0, 0, 0])).unwrap();
    let all = answers(socket.ops());
    assert_eq!(value(&all[0].1, 8, 2).unwrap(), [10, 0, 2, 15]);
    assert_eq!(value(&all[0].1, 8, 4).unwrap(), [10, 0, 2, 255]);
    assert_eq!(all[0].1[1], 24);
}

#[test]
fn routes_and_the_route_to_an_address() {
    let socket = open(&network());
    send(socket.ops(), &request(26, DUMP, &[2; 1])).unwrap();
    let defaults = answers(socket.ops())
        .into_iter()
        .filter(|(kind, payload)| *kind == 24 && value(payload, 12, 5).is_some())
        .count();
    assert_eq!(defaults, 1);
    let mut payload = vec![2, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    payload.extend([8, 0, 1, 0, 1, 1, 1, 1]);
    send(socket.ops(), &request(26, REQUEST, &payload)).unwrap();
    let all = answers(socket.ops());
    assert_eq!(value(&all[0].1, 12, 5).unwrap(), [10, 0, 2, 2]);
    assert_eq!(value(&all[0].1, 12, 7).unwrap(), [10, 0, 2, 15]);
}

#[test]
fn changes_are_refused_and_acknowledgements_given() {
    let socket = open(&network());
    send(socket.ops(), &request(20, REQUEST | ACK, &[0; 8])).unwrap();
    let all = answers(socket.ops());
    assert_eq!((all[0].0, &all[0].1[..4]), (2, &(-1_i32).to_ne_bytes()[..]));
    // NLMSG_NOOP is acknowledged.
    send(socket.ops(), &request(1, REQUEST | ACK, &[])).unwrap();
    let all = answers(socket.ops());
    assert_eq!((all[0].0, &all[0].1[..4]), (2, &[0; 4][..]));
}

#[test]
fn ports_differ_and_come_back() {
    let network = network();
    let port = |socket: &crate::Socket| match socket.ops().local_address() {
        Ok(Address::Netlink { pid, .. }) => pid,
        other => panic!("{other:?}"),
    };
    let any = Address::Netlink { pid: 0, groups: 0 };
    let (one, two) = (open(&network), open(&network));
    one.ops().bind(&any, &Root).unwrap();
    two.ops().bind(&any, &Root).unwrap();
    assert_eq!(port(&one), 1);
    assert!(port(&two) > u32::MAX / 2);
    assert_eq!(
        open(&network)
            .ops()
            .bind(&Address::Netlink { pid: 1, groups: 0 }, &Root),
        Err(Errno::EADDRINUSE)
    );
    drop(one);
    let three = open(&network);
    three.ops().bind(&any, &Root).unwrap();
    assert_eq!(port(&three), 1);
}

#[test]
fn hostile_requests_are_harmless() {
    let socket = open(&network());
    let whole = request(18, DUMP, &[0; 16]);
    for len in 0..whole.len() {
        send(socket.ops(), &whole[..len]).unwrap();
    }
    assert!(answers(socket.ops()).is_empty());
    for len in [0_u32, 15, 17, u32::MAX] {
        let mut bytes = whole.clone();
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        send(socket.ops(), &bytes).unwrap();
    }
    for kind in 0..200 {
        for flags in [REQUEST, DUMP] {
            send(socket.ops(), &request(kind, flags, &[0xff; 3])).unwrap();
            send(socket.ops(), &request(kind, flags, &[0xff; 33])).unwrap();
            answers(socket.ops());
        }
    }
    assert_eq!(send(socket.ops(), &vec![0; 40_000]), Err(Errno::EMSGSIZE));
}
