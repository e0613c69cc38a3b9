//! ICMP: echo sockets and raw ones.
use super::*;

#[test]
fn echo_sockets_inside_and_outside() {
    let world = connected();
    let ping = world.socket(ECHO4);
    assert_eq!(ping.send_to(&[0; 8], "127.0.0.1:0"), Err(Errno::EINVAL));
    let mut request = vec![8, 0, 0, 0, 0, 0, 0, 1];
    request.extend(b"payload");
    ping.set(SOL_IP, IP_RECVTTL, 1).unwrap();
    assert_eq!(ping.send_to(&request, "127.0.0.1:0"), Ok(15));
    let (bytes, received) = ping.receive_with(99, 0).unwrap();
    assert_eq!((bytes[0], &bytes[6..]), (0, &request[6..]));
    assert_eq!(from(&received), "127.0.0.1:0");
    assert!(matches!(
        received.control[..],
        [Control::HopLimit { value: 64, .. }]
    ));
    assert_eq!(ping.receive(9), Err(Errno::EAGAIN));
    ping.send_to(&request, "10.0.2.2:0").unwrap();
    let way = world.uplink.last_datagrams().unwrap();
    assert_eq!(way.kind, DatagramKind::Echo);
    let sent = way.sent.lock().unwrap()[0].0.clone();
    assert_eq!(u16::from_be_bytes([sent[4], sent[5]]), way.local.port());
    let ping6 = world.socket(ECHO6);
    let request = [128, 0, 0, 0, 0, 0, 0, 1];
    ping6.send_to(&request, "[::1]:0").unwrap();
    assert_eq!(ping6.receive(9).unwrap()[0], 129);
}

#[test]
fn raw_sockets_need_privilege_and_see_headers() {
    let mut world = connected();
    assert_eq!(world.try_socket(RAW4).err(), Some(Errno::EPERM));
    world.caller.privileged = true;
    assert_eq!(
        world.try_socket((AF_INET, SOCK_RAW, 6)).err(),
        Some(Errno::EPROTONOSUPPORT)
    );
    assert_eq!(
        world.try_socket((AF_INET, SOCK_RAW, 0)).err(),
        Some(Errno::EPROTONOSUPPORT)
    );
    let raw = world.socket(RAW4);
    let request = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    raw.send_to(&request, "127.0.0.1:0").unwrap();
    let seen = raw.receive(99).unwrap();
    assert_eq!(
        (seen.len(), seen[0], seen[9], &seen[20..]),
        (28, 0x45, 1, &request[..])
    );
    assert_eq!(seen[12..20], [127, 0, 0, 1, 127, 0, 0, 1]);
    let answer = raw.receive(99).unwrap();
    assert_eq!((answer[20], &answer[24..]), (0, &request[4..]));
    // Echo requests are not wanted.
    raw.set_bytes(SOL_RAW, 1, &(1_u32 << 8).to_ne_bytes())
        .unwrap();
    raw.send_to(&request, "127.0.0.1:0").unwrap();
    assert_eq!(raw.receive(99).unwrap()[20], 0);
    assert_eq!(raw.receive(99), Err(Errno::EAGAIN));
    let raw6 = world.socket(RAW6);
    raw6.send_to(&[128, 0, 0, 0, 0, 1, 0, 1], "[::1]:0")
        .unwrap();
    let seen = raw6.receive(99).unwrap();
    assert_eq!((seen.len(), seen[0]), (8, 128));
    assert_eq!(raw6.receive(99).unwrap()[0], 129);
}

#[test]
fn raw_echo_goes_out_as_the_uplink_can() {
    let mut world = connected();
    world.caller.privileged = true;
    world
        .uplink
        .only_echo
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let raw = world.socket(RAW4);
    let remote = "10.0.2.2:0";
    for identifier in [7, 7, 9] {
        raw.send_to(&[8, 0, 0, 0, 0, identifier, 0, 1], remote)
            .unwrap();
    }
    let way = world.uplink.last_datagrams().unwrap();
    assert_eq!((way.kind, way.local.port()), (DatagramKind::Echo, 9));
    assert_eq!(way.sent.lock().unwrap().len(), 1);
    let unreachable = raw.send_to(&[3, 0, 0, 0, 0, 0, 0, 0], remote);
    assert_eq!(unreachable, Err(Errno::EOPNOTSUPP));
    let receiver = way.receiver.upgrade().unwrap();
    receiver.deliver(
        remote.parse().unwrap(),
        "10.0.2.15".parse().unwrap(),
        63,
        &[0; 8],
    );
    let answer = raw.receive(99).unwrap();
    assert_eq!(
        (answer.len(), answer[8], &answer[12..16]),
        (28, 63, &[10, 0, 2, 2][..])
    );
}
