use super::double::{datagram, meanwhile, stream};
use crate::mock::Mock;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, Mmsghdr, Msghdr, SysResult, Timespec};
use vfs::poll;

const MSG_WAITFORONE: u64 = 0x1_0000;
const COMPAT: u64 = 0x8000_0000;

/// `count` messages of 4 bytes each, all in one buffer.
fn messages(k: &Mock, buffer: u64, count: usize) -> u64 {
    let at = k.alloc(count * size_of::<Mmsghdr>());
    for index in 0..count {
        let iov = k.value(&[buffer + 4 * index as u64, 4]);
        let hdr = Msghdr {
            iov,
            iovlen: 1,
            ..Msghdr::default()
        };
        let message = Mmsghdr {
            hdr,
            ..Mmsghdr::default()
        };
        crate::user::UserPtr::<Mmsghdr>::new(at)
            .at(index)
            .write(k, &message)
            .unwrap();
    }
    at
}

fn length(k: &Mock, at: u64, index: usize) -> u32 {
    let message = crate::user::UserPtr::<Mmsghdr>::new(at).at(index);
    message.read(k).unwrap().len
}

fn sendmmsg(k: &Mock, fd: u64, at: u64, count: u64) -> SysResult {
    k.call("sendmmsg", [fd, at, count, 0])
}

#[test]
fn sendmmsg_sends_until_something_stops_it() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    let at = messages(&k, k.bytes(b"onestwosfour"), 3);
    assert_eq!(sendmmsg(&k, fd, at, 3), Ok(3));
    assert_eq!(state.sent_bytes(), [b"ones", b"twos", b"four"]);
    assert_eq!(length(&k, at, 2), 4);
    state.room.lock().extend([Ok(4), Err(Errno::ENOBUFS)]);
    assert_eq!(sendmmsg(&k, fd, at, 3), Ok(1));
    state.room.lock().push_back(Err(Errno::ENOBUFS));
    assert_eq!(sendmmsg(&k, fd, at, 3), Err(Errno::ENOBUFS));
    // A part that was not taken ends it.
    state.room.lock().push_back(Ok(2));
    assert_eq!(sendmmsg(&k, fd, at, 3), Ok(1));
    assert_eq!(length(&k, at, 0), 2);
    assert_eq!(sendmmsg(&k, fd, 1, 0), Ok(0));
    assert_eq!(sendmmsg(&k, fd, 1, 1), Err(Errno::EFAULT));
    assert_eq!(sendmmsg(&k, 99, 1, 0), Err(Errno::EBADF));
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    assert_eq!(sendmmsg(&k, file, 1, 0), Err(Errno::ENOTSOCK));
    assert_eq!(k.call("sendmmsg", [99, 1, 0, COMPAT]), Err(Errno::EINVAL));
}

#[test]
fn recvmmsg_receives_as_many_as_asked_for() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    let buffer = k.alloc(16);
    let at = messages(&k, buffer, 3);
    let recvmmsg = |count: u64, flags: u64| k.call("recvmmsg", [fd, at, count, flags, 0]);
    state.arrives(b"one");
    state.arrives(b"two");
    let later = state.clone();
    meanwhile(&k, move |_| later.arrives(b"3"));
    assert_eq!(recvmmsg(3, 0), Ok(3));
    assert_eq!(k.load_bytes(buffer, 9), *b"one\0two\x003");
    assert_eq!([0, 1, 2].map(|index| length(&k, at, index)), [3, 3, 1]);
    let later = state.clone();
    meanwhile(&k, move |_| later.arrives(b"x"));
    assert_eq!(recvmmsg(3, MSG_WAITFORONE), Ok(1));
    assert_eq!(recvmmsg(0, 0), Ok(0));
    assert_eq!(recvmmsg(1, COMPAT), Err(Errno::EINVAL));
    state.incoming.lock().push_back(Err(Errno::ECONNREFUSED));
    assert_eq!(recvmmsg(3, 0), Err(Errno::ECONNREFUSED));
    // An error that is pending is left for the next call.
    state.arrives(b"x");
    state.incoming.lock().push_back(Err(Errno::ECONNREFUSED));
    *state.events.lock() = poll::ERR;
    assert_eq!(recvmmsg(3, 0), Ok(1));
    assert_eq!(recvmmsg(3, 0), Err(Errno::ECONNREFUSED));
}

#[test]
fn the_timeout_of_recvmmsg_is_looked_at_after_each_message() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    let at = messages(&k, k.alloc(16), 3);
    let recvmmsg = |timeout: u64| k.call("recvmmsg", [fd, at, 3, 0, timeout]);
    let second = k.value(&Timespec { sec: 1, nsec: 0 });
    state.arrives(b"a");
    let later = state.clone();
    meanwhile(&k, move |k| {
        later.arrives(b"b");
        later.arrives(b"c");
        k.host.advance_to(k.host.now() + 3_000_000_000);
    });
    assert_eq!(recvmmsg(second), Ok(2));
    assert_eq!(k.load::<Timespec>(second), Timespec::default());
    let five = k.value(&Timespec { sec: 5, nsec: 0 });
    let later = state.clone();
    meanwhile(&k, move |k| {
        k.host.advance_to(k.host.now() + 2_000_000_000);
        later.arrives(b"d");
        later.arrives(b"e");
    });
    assert_eq!(recvmmsg(five), Ok(3));
    assert_eq!(k.load::<Timespec>(five), Timespec { sec: 3, nsec: 0 });
    let bad = k.value(&Timespec { sec: -1, nsec: 0 });
    assert_eq!(k.call("recvmmsg", [99, at, 1, 0, bad]), Err(Errno::EINVAL));
    assert_eq!(k.call("recvmmsg", [99, at, 1, 0, 1]), Err(Errno::EFAULT));
    assert_eq!(k.call("recvmmsg", [99, at, 1, 0, 0]), Err(Errno::EBADF));
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    let answer = k.call("recvmmsg", [file, at, 1, 0, 0]);
    assert_eq!(answer, Err(Errno::ENOTSOCK));
}

#[test]
fn streams_may_receive_many_as_well() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let at = messages(&k, k.alloc(16), 2);
    state.arrives(b"abcd");
    state.arrives(b"");
    assert_eq!(k.call("recvmmsg", [fd, at, 2, 0, 0]), Ok(2));
    assert_eq!(length(&k, at, 1), 0);
}
