use super::double::{Message, State, address, datagram, open, sockaddr, stream, unix};
use crate::kernel::Files;
use crate::mock::{Mock, PID};
use crate::state::Identity;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use linux_abi::raw::general as raw;
use linux_abi::raw::net::{AF_INET, AF_INET6, AF_NETLINK, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_TRUNC};
use linux_abi::{Errno, Msghdr, SysResult};
use net::{Control, SocketType, Ucred};

const COMPAT: u64 = 0x8000_0000;

/// `struct cmsghdr` and data, padded.
fn cmsg(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
    let len = 16 + data.len() as u64;
    let mut bytes = [
        &len.to_ne_bytes()[..],
        &level.to_ne_bytes(),
        &kind.to_ne_bytes(),
        data,
    ]
    .concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn ints(values: &[i32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}

fn header(k: &Mock, change: impl FnOnce(&mut Msghdr)) -> u64 {
    let mut hdr = Msghdr {
        iov: k.value(&[k.text("hello"), 5]),
        iovlen: 1,
        ..Msghdr::default()
    };
    change(&mut hdr);
    k.value(&hdr)
}

fn with_control(k: &Mock, control: &[u8]) -> u64 {
    header(k, |hdr| {
        (hdr.control, hdr.controllen) = (k.bytes(control), control.len() as u64);
    })
}

fn send(k: &Mock, fd: u64, control: &[u8]) -> SysResult {
    k.call("sendmsg", [fd, with_control(k, control), 0])
}

#[test]
fn the_header_is_checked_in_linux_s_order() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    state.arrives(b"x");
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    for call in ["sendmsg", "recvmsg"] {
        let at = |msg: u64| k.call(call, [fd, msg, 0]);
        assert_eq!(k.call(call, [99, 1, COMPAT]), Err(Errno::EINVAL));
        assert_eq!(k.call(call, [99, 1, 0]), Err(Errno::EBADF));
        assert_eq!(k.call(call, [file, 1, 0]), Err(Errno::ENOTSOCK));
        assert_eq!(at(1), Err(Errno::EFAULT));
        let negative = header(&k, |hdr| {
            (hdr.name, hdr.namelen, hdr.iovlen) = (1, -1, 1025)
        });
        assert_eq!(at(negative), Err(Errno::EINVAL));
        let many = header(&k, |hdr| hdr.iovlen = 1025);
        assert_eq!(at(many), Err(Errno::EMSGSIZE));
        let nowhere = header(&k, |hdr| hdr.iov = 1);
        assert_eq!(at(nowhere), Err(Errno::EFAULT));
        let huge = header(&k, |hdr| hdr.iov = k.value(&[0, u64::MAX]));
        assert!(matches!(at(huge), Err(Errno::EINVAL | Errno::EFAULT)));
    }
    assert_eq!(state.incoming.lock().len(), 1, "nothing was taken");
}

#[test]
fn sendmsg_takes_the_address_from_the_header() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    let to = |name: u64, namelen: i32| {
        let msg = header(&k, |hdr| (hdr.name, hdr.namelen) = (name, namelen));
        k.call("sendmsg", [fd, msg, 0x40])
    };
    let long = k.alloc(256);
    vfs::UserMemory::write(&k, long, &k.load_bytes(sockaddr(&k), 16)).unwrap();
    for (name, len) in [(sockaddr(&k), 16), (long, 256), (0, 16), (1, 0)] {
        assert_eq!(to(name, len), Ok(5));
    }
    let sent: Vec<_> = state
        .sent
        .lock()
        .iter()
        .map(|message| (message.address.clone(), message.flags))
        .collect();
    let known = Some(address());
    assert_eq!(
        sent,
        [
            (known.clone(), 0x40),
            (known, 0x40),
            (None, 0x40),
            (None, 0x40)
        ]
    );
    assert_eq!(to(1, 16), Err(Errno::EFAULT));
}

#[test]
fn control_buffers_have_a_limit() {
    let k = Mock::new();
    let (_, fd) = unix(&k);
    let len = |len: u64| {
        let msg = header(&k, |hdr| (hdr.control, hdr.controllen) = (1, len));
        k.call("sendmsg", [fd, msg, 0])
    };
    assert_eq!(len(20481), Err(Errno::ENOBUFS));
    assert_eq!(len(u64::MAX), Err(Errno::ENOBUFS));
    assert_eq!(len(20480), Err(Errno::EFAULT));
    assert_eq!(len(16), Err(Errno::EFAULT));
    assert_eq!(
        send(&k, fd, &[0; 15]),
        Ok(5),
        "less than a header is nothing"
    );
    for wrong in [0_u64, 15, 17, u64::MAX] {
        let mut control = cmsg(1, 1, &[]);
        control[..8].copy_from_slice(&wrong.to_ne_bytes());
        assert_eq!(send(&k, fd, &control), Err(Errno::EINVAL), "{wrong}");
    }
}

#[test]
fn open_files_are_sent() {
    let k = Mock::new();
    let (state, fd) = unix(&k);
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT);
    let path = k.open("/f", raw::O_PATH);
    let two = [cmsg(1, 1, &ints(&[file])), cmsg(1, 1, &ints(&[path, file]))].concat();
    assert_eq!(send(&k, fd, &two), Ok(5));
    assert_eq!(send(&k, fd, &cmsg(1, 1, &[])), Ok(5));
    {
        let sent = state.sent.lock();
        let [Control::Rights(files)] = &sent[0].control[..] else {
            panic!("one message of files");
        };
        let expected = [file, path, file].map(|fd| k.files().get(fd).unwrap());
        assert!(files.iter().zip(&expected).all(|(a, b)| Arc::ptr_eq(a, b)));
        assert_eq!(files.len(), 3);
        assert!(sent[1].control.is_empty());
    }
    assert_eq!(
        send(&k, fd, &cmsg(1, 1, &ints(&[file, 99]))),
        Err(Errno::EBADF)
    );
    let many = cmsg(1, 1, &ints(&[file; 254]));
    assert_eq!(send(&k, fd, &many), Err(Errno::EINVAL));
    let both = [
        cmsg(1, 1, &ints(&[file; 200])),
        cmsg(1, 1, &ints(&[file; 54])),
    ]
    .concat();
    assert_eq!(send(&k, fd, &both), Err(Errno::EINVAL));
    assert_eq!(send(&k, fd, &cmsg(1, 77, &[])), Err(Errno::EINVAL));
    assert_eq!(
        send(&k, fd, &cmsg(77, 1, &[])),
        Ok(5),
        "not for this family"
    );
    let (_, netlink) = open(&k, AF_NETLINK, SocketType::Raw, false);
    let rights = cmsg(1, 1, &ints(&[file]));
    assert_eq!(send(&k, netlink, &rights), Err(Errno::EINVAL));
    let (state, tcp) = stream(&k);
    assert_eq!(send(&k, tcp, &rights), Ok(5));
    assert!(state.sent.lock()[0].control.is_empty());
}

#[test]
fn a_message_waits_with_what_it_carries() {
    let k = Mock::new();
    let (state, fd) = unix(&k);
    state.room.lock().extend([Ok(0), Ok(0), Ok(2), Ok(0)]);
    super::double::meanwhile(&k, |_| {});
    super::double::meanwhile(&k, |_| {});
    assert_eq!(send(&k, fd, &cmsg(1, 1, &ints(&[fd as i32]))), Ok(5));
    let sent = state.sent.lock();
    assert_eq!(sent[0].control.len(), 1);
    assert!(sent[1].control.is_empty(), "it goes with the first bytes");
}

#[test]
fn only_the_privileged_claim_to_be_others() {
    let claim = |k: &Mock, pid: i32, uid: i32, gid: i32| {
        let (state, fd) = unix(k);
        send(k, fd, &cmsg(1, 2, &ints(&[pid, uid, gid])))?;
        let sent = state.sent.lock();
        match sent[0].control[..] {
            [Control::Credentials(who)] => Ok(who),
            _ => panic!("credentials"),
        }
    };
    let root = Mock::new();
    let who = |pid, uid, gid| Ucred { pid, uid, gid };
    assert_eq!(claim(&root, PID, 5, 6), Ok(who(PID, 5, 6)));
    assert_eq!(claim(&root, PID + 1, 0, 0), Err(Errno::ESRCH));
    let user = Mock::with_identity(Identity::new(1000, 100));
    assert_eq!(claim(&user, PID, 1000, 100), Ok(who(PID, 1000, 100)));
    assert_eq!(claim(&user, PID + 1, 1000, 100), Err(Errno::EPERM));
    assert_eq!(claim(&user, PID, 0, 100), Err(Errno::EPERM));
    assert_eq!(claim(&user, PID, 1000, 0), Err(Errno::EPERM));
    let (_, fd) = unix(&root);
    assert_eq!(send(&root, fd, &cmsg(1, 2, &[0; 8])), Err(Errno::EINVAL));
}

#[test]
fn datagrams_say_how_they_are_to_travel() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    let one = |control: &[u8]| -> Result<_, Errno> {
        send(&k, fd, control)?;
        Ok(state
            .sent
            .lock()
            .pop()
            .and_then(|sent| sent.control.into_iter().next()))
    };
    let info = [ints(&[3]), vec_of(&[10, 0, 2, 15]), vec_of(&[1, 2, 3, 4])].concat();
    let Ok(Some(Control::PacketInfo {
        index: 3,
        address,
        local,
    })) = one(&cmsg(0, 8, &info))
    else {
        panic!("packet information");
    };
    assert_eq!(local, Ipv4Addr::new(10, 0, 2, 15));
    assert_eq!(address, IpAddr::from([1, 2, 3, 4]));
    let is = |control: &[u8], wanted: (bool, bool, i32)| match one(control).unwrap() {
        Some(Control::HopLimit { v6, value }) => assert_eq!((true, v6, value), wanted),
        Some(Control::TrafficClass { v6, value }) => assert_eq!((false, v6, value), wanted),
        _ => panic!("hop limit or traffic class"),
    };
    is(&cmsg(0, 2, &ints(&[64])), (true, false, 64));
    is(&cmsg(0, 1, &ints(&[8])), (false, false, 8));
    is(&cmsg(0, 1, &[9]), (false, false, 9));
    is(&cmsg(41, 52, &ints(&[64])), (true, true, 64));
    is(&cmsg(41, 67, &ints(&[8])), (false, true, 8));
    assert!(one(&cmsg(41, 52, &ints(&[-1]))).unwrap().is_none());
    let wrong = [
        cmsg(0, 2, &ints(&[0])),
        cmsg(0, 2, &ints(&[256])),
        cmsg(0, 2, &[1]),
        cmsg(0, 8, &[1; 11]),
        cmsg(41, 50, &[1; 12]),
        cmsg(41, 67, &ints(&[256])),
    ];
    for control in wrong {
        assert_eq!(send(&k, fd, &control), Err(Errno::EINVAL));
    }
    let (state, tcp) = stream(&k);
    assert_eq!(send(&k, tcp, &cmsg(0, 2, &ints(&[0]))), Ok(5));
    assert!(state.sent.lock()[0].control.is_empty());
}

fn vec_of(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

#[test]
fn what_is_missing_says_so() {
    let k = Mock::new();
    let (_, fd) = datagram(&k);
    let unknown = [
        cmsg(17, 103, &[0, 1]),
        cmsg(1, 36, &ints(&[1])),
        cmsg(0, 7, &[]),
    ];
    for control in &unknown {
        assert_eq!(send(&k, fd, control), Err(Errno::EINVAL));
    }
    let complaints = k.complaints.lock();
    assert_eq!(complaints.len(), unknown.len());
    assert_eq!(complaints[0], "sendmsg: UDP_SEGMENT");
}

/// Receives with a control buffer of `len` bytes: the answer, the header afterwards, the buffer.
fn receive(k: &Mock, fd: u64, len: u64, flags: u32) -> (SysResult, Msghdr, Vec<u8>) {
    let control = k.alloc(len as usize);
    let msg = header(k, |hdr| {
        hdr.iov = k.value(&[k.alloc(8), 8]);
        (hdr.control, hdr.controllen) = (if len == 0 { 0 } else { control }, len);
        hdr.flags = u32::MAX;
    });
    let answer = k.call("recvmsg", [fd, msg, flags.into()]);
    (answer, k.load(msg), k.load_bytes(control, len as usize))
}

fn arrives(state: &State, control: Vec<Control>) {
    state.arrives_with(Message {
        bytes: b"x".to_vec(),
        control,
        ..Message::default()
    });
}

#[test]
fn recvmsg_fills_the_header_in() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    state.arrives_with(Message {
        bytes: b"hello".to_vec(),
        address: Some(address()),
        flags: MSG_TRUNC,
        ..Message::default()
    });
    let (first, second, name) = (k.alloc(2), k.alloc(2), k.alloc(16));
    let msg = header(&k, |hdr| {
        (hdr.iov, hdr.iovlen) = (k.value(&[first, 2, second, 2]), 2);
        (hdr.name, hdr.namelen) = (name, 4);
        (hdr.control, hdr.controllen) = (k.alloc(32), 32);
        hdr.flags = u32::MAX;
    });
    assert_eq!(k.call("recvmsg", [fd, msg, 0]), Ok(4));
    assert_eq!(k.load_bytes(first, 2), b"he");
    assert_eq!(k.load_bytes(second, 2), b"ll");
    let after = k.load::<Msghdr>(msg);
    assert_eq!(
        (after.namelen, after.controllen, after.flags),
        (16, 0, MSG_TRUNC)
    );
    assert_eq!(k.load_bytes(name, 5), [2, 0, 0, 7, 0]);
    state.arrives(b"x");
    let (answer, after, _) = receive(&k, fd, 0, MSG_CMSG_CLOEXEC);
    assert_eq!((answer, after.flags), (Ok(1), MSG_CMSG_CLOEXEC));
}

#[test]
fn received_files_get_descriptors() {
    let k = Mock::new();
    let (state, fd) = unix(&k);
    let file = k
        .files()
        .get(k.open("/f", raw::O_RDWR | raw::O_CREAT))
        .unwrap();
    let rights = |count| alloc::vec![Control::Rights(alloc::vec![file.clone(); count])];
    let before = Arc::strong_count(&file);
    arrives(&state, rights(2));
    let (answer, after, bytes) = receive(&k, fd, 32, MSG_CMSG_CLOEXEC);
    assert_eq!((answer, after.controllen), (Ok(1), 24));
    assert_eq!(after.flags, MSG_CMSG_CLOEXEC);
    let new = fd as i32 + 2;
    assert_eq!(bytes[..24], cmsg(1, 1, &ints(&[new, new + 1])));
    for fd in [new, new + 1] {
        assert!(Arc::ptr_eq(&k.files().get(fd).unwrap(), &file));
        assert_eq!(k.files().cloexec(fd), Ok(true));
    }
    // Room for one of two.
    arrives(&state, rights(2));
    let (_, after, bytes) = receive(&k, fd, 20, 0);
    assert_eq!((after.controllen, after.flags), (20, MSG_CTRUNC));
    assert_eq!(bytes[..20], cmsg(1, 1, &ints(&[new + 2]))[..20]);
    assert_eq!(k.files().cloexec(new + 2), Ok(false));
    // Room for none.
    for len in [0, 8, 16, 19] {
        arrives(&state, rights(1));
        let (answer, after, _) = receive(&k, fd, len, 0);
        assert_eq!(
            (answer, after.controllen, after.flags),
            (Ok(1), 0, MSG_CTRUNC)
        );
    }
    // No descriptor left.
    k.files().set_limit(new as usize + 4);
    arrives(&state, rights(3));
    let (_, after, bytes) = receive(&k, fd, 64, 0);
    assert_eq!((after.controllen, after.flags), (24, MSG_CTRUNC));
    assert_eq!(bytes[..20], cmsg(1, 1, &ints(&[new + 3]))[..20]);
    // recv(2) has no place for them.
    arrives(&state, rights(5));
    k.call("recvfrom", [fd, k.alloc(8), 8, 0, 0, 0]).unwrap();
    state.incoming.lock().clear();
    assert_eq!(Arc::strong_count(&file), before + 4, "the rest is closed");
}

#[test]
fn files_are_closed_if_they_cannot_be_told() {
    let k = Mock::new();
    let (state, fd) = unix(&k);
    let file = k
        .files()
        .get(k.open("/f", raw::O_RDWR | raw::O_CREAT))
        .unwrap();
    let before = Arc::strong_count(&file);
    arrives(
        &state,
        alloc::vec![Control::Rights(alloc::vec![file.clone(); 2])],
    );
    let msg = header(&k, |hdr| (hdr.control, hdr.controllen) = (1, 64));
    assert_eq!(k.call("recvmsg", [fd, msg, 0]), Ok(1));
    let after = k.load::<Msghdr>(msg);
    assert_eq!((after.controllen, after.flags), (0, MSG_CTRUNC));
    assert_eq!(Arc::strong_count(&file), before);
}

/// What one control message looks like to the program.
fn shown(control: Control) -> Vec<u8> {
    let k = Mock::new();
    let (state, fd) = open(&k, AF_INET, SocketType::Datagram, false);
    arrives(&state, alloc::vec![control]);
    let (answer, after, bytes) = receive(&k, fd, 128, 0);
    assert_eq!((answer, after.flags), (Ok(1), 0));
    bytes[..after.controllen as usize].to_vec()
}

#[test]
fn control_messages_look_as_on_linux() {
    let who = Ucred {
        pid: 1,
        uid: 2,
        gid: 3,
    };
    assert_eq!(
        shown(Control::Credentials(who)),
        cmsg(1, 2, &ints(&[1, 2, 3]))
    );
    let time = |nanoseconds| Control::Timestamp {
        nanoseconds,
        at: 5_000_007_000,
    };
    let two = |a: i64, b: i64| [a.to_ne_bytes(), b.to_ne_bytes()].concat();
    assert_eq!(shown(time(true)), cmsg(1, 35, &two(5, 7000)));
    assert_eq!(shown(time(false)), cmsg(1, 29, &two(5, 7)));
    assert_eq!(shown(Control::Dropped(9)), cmsg(1, 40, &ints(&[9])));
    let info = |address: IpAddr| Control::PacketInfo {
        index: 2,
        address,
        local: Ipv4Addr::new(10, 0, 2, 15),
    };
    let expected = [ints(&[2]), vec_of(&[10, 0, 2, 15, 1, 2, 3, 4])].concat();
    assert_eq!(shown(info([1, 2, 3, 4].into())), cmsg(0, 8, &expected));
    let six = Ipv6Addr::LOCALHOST;
    let expected = [vec_of(&six.octets()), ints(&[2])].concat();
    assert_eq!(shown(info(six.into())), cmsg(41, 50, &expected));
    let hops = |v6| Control::HopLimit { v6, value: 64 };
    assert_eq!(shown(hops(false)), cmsg(0, 2, &ints(&[64])));
    assert_eq!(shown(hops(true)), cmsg(41, 52, &ints(&[64])));
    let class = |v6| Control::TrafficClass { v6, value: 8 };
    assert_eq!(shown(class(false)), cmsg(0, 1, &[8]));
    assert_eq!(shown(class(true)), cmsg(41, 67, &ints(&[8])));
}

#[test]
fn errors_name_the_offender() {
    let error = |v6, offender: Option<IpAddr>| Control::Error {
        v6,
        errno: 111,
        origin: 2,
        kind: 3,
        code: 4,
        offender,
    };
    let head = [ints(&[111]), vec_of(&[2, 3, 4, 0]), ints(&[0, 0])].concat();
    let four = [2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let v4 = Some(IpAddr::from([127, 0, 0, 1]));
    assert_eq!(
        shown(error(false, v4)),
        cmsg(0, 11, &[&head[..], &four].concat())
    );
    assert_eq!(
        shown(error(false, None)),
        cmsg(0, 11, &[&head[..], &[0; 16]].concat())
    );
    let mapped = [
        &[10, 0, 0, 0, 0, 0, 0, 0][..],
        &Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets(),
        &[0; 4],
    ]
    .concat();
    assert_eq!(
        shown(error(true, v4)),
        cmsg(41, 25, &[&head[..], &mapped].concat())
    );
    assert_eq!(
        shown(error(true, None)),
        cmsg(41, 25, &[&head[..], &[0; 28]].concat())
    );
}

#[test]
fn control_messages_are_cut_to_the_room_there_is() {
    let k = Mock::new();
    let (state, fd) = open(&k, AF_INET6, SocketType::Datagram, false);
    let two = || {
        let one = Control::Dropped(9);
        let other = Control::Timestamp {
            nanoseconds: true,
            at: 5_000_000_007,
        };
        alloc::vec![one, other]
    };
    arrives(&state, two());
    let (_, after, bytes) = receive(&k, fd, 48, 0);
    // The second has 24 bytes, of which 8 are data.
    assert_eq!((after.controllen, after.flags), (48, MSG_CTRUNC));
    assert_eq!(bytes[24..32], 24_u64.to_ne_bytes());
    assert_eq!(bytes[40..48], 5_i64.to_ne_bytes());
    arrives(&state, two());
    let (_, after, _) = receive(&k, fd, 32, 0);
    assert_eq!((after.controllen, after.flags), (24, MSG_CTRUNC));
    assert!(format!("{:?}", state.calls.lock()).contains("receive 0x0"));
}
