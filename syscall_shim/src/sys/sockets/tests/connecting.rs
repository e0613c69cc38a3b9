use super::double::{State, datagram, meanwhile, open, sockaddr, stream, unix};
use crate::mock::{Mock, MockHost};
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::general as raw;
use linux_abi::raw::net::{AF_INET, AF_UNIX, SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET};
use linux_abi::{Errno, Timeval};
use net::SocketType;

/// Half a second.
fn set_timeout(k: &Mock, fd: u64, name: u32) {
    let time = k.value(&Timeval {
        sec: 0,
        usec: 500_000,
    });
    let args = [fd, u64::from(SOL_SOCKET), u64::from(name), time, 16];
    assert_eq!(k.call("setsockopt", args), Ok(0));
}

fn elapsed(k: &Mock) -> u64 {
    k.host.now() - MockHost::default().now()
}

fn has(state: &Arc<State>, family: u32) {
    let new = State::new(family, SocketType::Stream);
    state.accepts.lock().push_back(Ok(new));
}

#[test]
fn accept_answers_a_descriptor_and_the_peer() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    has(&state, AF_INET);
    has(&state, AF_INET);
    let (addr, len) = (k.alloc(16), k.value(&16_i32));
    let new = k.call("accept", [fd, addr, len]).unwrap() as u64;
    assert_eq!(k.load_bytes(addr, 8), [2, 0, 0, 7, 127, 0, 0, 1]);
    assert_eq!(k.call("fcntl", [new, 1]), Ok(0));
    let flags = u64::from(raw::O_CLOEXEC | raw::O_NONBLOCK);
    let new = k.call("accept4", [fd, 0, 0, flags]).unwrap() as u64;
    assert_eq!(k.call("fcntl", [new, 1]), Ok(1));
    let expected = (raw::O_RDWR | raw::O_NONBLOCK) as usize;
    assert_eq!(k.call("fcntl", [new, 3]), Ok(expected));
}

#[test]
fn accept_checks_in_linux_s_order() {
    let k = Mock::new();
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    assert_eq!(k.call("accept4", [99, 0, 0, 1]), Err(Errno::EBADF));
    assert_eq!(k.call("accept4", [file, 0, 0, 1]), Err(Errno::EINVAL));
    assert_eq!(k.call("accept", [file, 0, 0]), Err(Errno::ENOTSOCK));
    let (state, fd) = stream(&k);
    has(&state, AF_INET);
    assert_eq!(k.call("accept", [fd, 1, 1]), Err(Errno::EFAULT));
    assert_eq!(k.call("fcntl", [fd + 1, 1]), Err(Errno::EBADF));
}

#[test]
fn accept_takes_no_connection_without_a_descriptor() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    has(&state, AF_INET);
    let files = crate::kernel::Files::files(&k);
    files.set_limit(fd as usize + 1);
    assert_eq!(k.call("accept", [fd, 0, 0]), Err(Errno::EMFILE));
    assert_eq!(state.accepts.lock().len(), 1);
}

#[test]
fn accept_waits_for_as_long_as_it_may() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let later = state.clone();
    meanwhile(&k, move |_| has(&later, AF_INET));
    assert_eq!(k.call("accept", [fd, 0, 0]), Ok(fd as usize + 1));
    set_timeout(&k, fd, SO_RCVTIMEO);
    assert_eq!(k.call("accept", [fd, 0, 0]), Err(Errno::EAGAIN));
    assert_eq!(elapsed(&k), 500_000_000);
    let (_, fd) = open(&k, AF_INET, SocketType::Stream, true);
    assert_eq!(k.call("accept", [fd, 0, 0]), Err(Errno::EAGAIN));
    assert_eq!(elapsed(&k), 500_000_000);
}

#[test]
fn a_tcp_connection_has_the_timeouts_of_its_listener() {
    let k = Mock::new();
    for (family, usec) in [(AF_INET, 500_000), (AF_UNIX, 0)] {
        let (state, fd) = open(&k, family, SocketType::Stream, false);
        set_timeout(&k, fd, SO_SNDTIMEO);
        has(&state, family);
        let new = k.call("accept", [fd, 0, 0]).unwrap() as u64;
        let (time, len) = (k.alloc(16), k.value(&16_i32));
        let args = [new, u64::from(SOL_SOCKET), SO_SNDTIMEO.into(), time, len];
        assert_eq!(k.call("getsockopt", args), Ok(0));
        assert_eq!(k.load::<Timeval>(time), Timeval { sec: 0, usec });
    }
}

#[test]
fn connect_checks_the_address_before_the_file() {
    let k = Mock::new();
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    let addr = sockaddr(&k);
    assert_eq!(k.call("connect", [99, 1, 16]), Err(Errno::EBADF));
    assert_eq!(k.call("connect", [file, 1, 16]), Err(Errno::EFAULT));
    assert_eq!(k.call("connect", [file, addr, 129]), Err(Errno::EINVAL));
    assert_eq!(k.call("connect", [file, addr, 16]), Err(Errno::ENOTSOCK));
    let (state, fd) = datagram(&k);
    let unspecified = k.bytes(&[0; 16]);
    assert_eq!(k.call("connect", [fd, addr, 16]), Ok(0));
    assert_eq!(k.call("connect", [fd, unspecified, 16]), Ok(0));
    assert_eq!(
        *state.calls.lock(),
        ["connect Inet(127.0.0.1:7)", "connect Unspecified"]
    );
}

#[test]
fn connect_waits_until_the_connection_is_there() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let connect = || k.call("connect", [fd, sockaddr(&k), 16]);
    let outcomes = [
        (Ok(()), Ok(0)),
        (Err(Errno::ECONNREFUSED), Err(Errno::ECONNREFUSED)),
    ];
    for begun in [Errno::EINPROGRESS, Errno::EALREADY] {
        for (outcome, answer) in outcomes {
            state.connects.lock().push_back(Err(begun));
            let later = state.clone();
            meanwhile(&k, move |_| later.connections.lock().push_back(outcome));
            assert_eq!(connect(), answer);
        }
    }
}

#[test]
fn connect_goes_on_by_itself_after_its_timeout() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let connect = |fd| k.call("connect", [fd, sockaddr(&k), 16]);
    set_timeout(&k, fd, SO_SNDTIMEO);
    for begun in [Errno::EINPROGRESS, Errno::EALREADY] {
        state.connects.lock().push_back(Err(begun));
        assert_eq!(connect(fd), Err(begun));
    }
    assert_eq!(elapsed(&k), 1_000_000_000);
    k.interrupted.store(true, Relaxed);
    state.connects.lock().push_back(Err(Errno::EINPROGRESS));
    assert_eq!(connect(fd), Err(Errno::EINTR));
    let (state, fd) = stream(&k);
    state.connects.lock().push_back(Err(Errno::EINPROGRESS));
    assert_eq!(connect(fd), Err(Errno::ERESTARTSYS));
    let (state, fd) = open(&k, AF_INET, SocketType::Stream, true);
    state.connects.lock().push_back(Err(Errno::EINPROGRESS));
    assert_eq!(connect(fd), Err(Errno::EINPROGRESS));
}

#[test]
fn connect_to_a_full_unix_listener_waits_for_room() {
    let k = Mock::new();
    let (state, fd) = unix(&k);
    let name = k.bytes(b"\x01\0\0abstract");
    let full = [Err(Errno::EAGAIN), Err(Errno::EAGAIN), Ok(())];
    state.connects.lock().extend(full);
    meanwhile(&k, |_| {});
    assert_eq!(k.call("connect", [fd, name, 11]), Ok(0));
    assert_eq!(state.calls.lock().len(), 3);
    let (state, fd) = open(&k, AF_UNIX, SocketType::Stream, true);
    state.connects.lock().extend(full);
    assert_eq!(k.call("connect", [fd, name, 11]), Err(Errno::EAGAIN));
    assert!(format!("{:?}", state.calls.lock()).contains("Abstract"));
}
