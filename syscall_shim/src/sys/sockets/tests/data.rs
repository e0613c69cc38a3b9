use super::double::{State, address, datagram, meanwhile, open, sockaddr, stream, unix};
use crate::mock::{Mock, PID};
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::general as raw;
use linux_abi::raw::net::{
    AF_INET, AF_UNIX, MSG_DONTWAIT, MSG_EOR, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK,
    MSG_TRUNC, MSG_WAITALL, SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET,
};
use linux_abi::{Errno, Iovec, Signal, SysResult, Timeval};
use net::SocketType;
use vfs::poll;

fn set_timeout(k: &Mock, fd: u64, name: u32) {
    let time = k.value(&Timeval { sec: 2, usec: 0 });
    let args = [fd, u64::from(SOL_SOCKET), u64::from(name), time, 16];
    assert_eq!(k.call("setsockopt", args), Ok(0));
}

fn send(k: &Mock, fd: u64, text: &str, flags: u32) -> SysResult {
    let (at, len) = (k.bytes(text.as_bytes()), text.len() as u64);
    k.call("sendto", [fd, at, len, u64::from(flags), 0, 0])
}

fn recv(k: &Mock, fd: u64, len: u64, flags: u32) -> Result<alloc::vec::Vec<u8>, Errno> {
    let at = k.alloc(64);
    let count = k.call("recvfrom", [fd, at, len, u64::from(flags), 0, 0])?;
    Ok(k.load_bytes(at, count.min(len as usize)))
}

fn broken_pipes(k: &Mock) -> usize {
    let sent = k.signals.sent.lock();
    let is = |info: &linux_abi::Siginfo| info.signo == i32::from(Signal::SIGPIPE.number());
    sent.iter()
        .filter(|(_, info)| info.as_ref().is_some_and(is))
        .count()
}

#[test]
fn the_buffer_comes_before_the_descriptor() {
    let k = Mock::new();
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    for call in ["sendto", "recvfrom"] {
        let at = |fd: u64, buf: u64| k.call(call, [fd, buf, 1, 0, 0, 0]);
        assert_eq!(at(99, u64::MAX), Err(Errno::EFAULT));
        assert_eq!(at(99, k.alloc(1)), Err(Errno::EBADF));
        assert_eq!(at(file, k.alloc(1)), Err(Errno::ENOTSOCK));
    }
}

#[test]
fn sendto_passes_on_bytes_address_and_flags() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    let text = k.text("hello");
    let sendto = |addr, len| k.call("sendto", [fd, text, 5, MSG_DONTWAIT.into(), addr, len]);
    assert_eq!(sendto(sockaddr(&k), 16), Ok(5));
    assert_eq!(sendto(0, 16), Ok(5));
    {
        let sent = state.sent.lock();
        assert_eq!(sent[0].bytes, b"hello");
        assert_eq!(sent[0].address, Some(address()));
        assert_eq!(sent[0].flags, MSG_DONTWAIT);
        assert_eq!(sent[1].address, None);
        assert_eq!(state.calls.lock()[0], format!("from {PID}"));
    }
    assert_eq!(sendto(1, 16), Err(Errno::EFAULT));
    assert_eq!(sendto(1, 0), Err(Errno::EINVAL));
    assert_eq!(sendto(1, u64::MAX), Err(Errno::EINVAL));
    assert_eq!(sendto(k.bytes(&[77; 16]), 16), Err(Errno::EAFNOSUPPORT));
    // What is connected does not look at the address.
    let (state, fd) = stream(&k);
    let strange = k.bytes(&[77; 16]);
    assert_eq!(k.call("sendto", [fd, text, 5, 0, strange, 16]), Ok(5));
    assert_eq!(state.sent.lock()[0].address, None);
}

#[test]
fn a_stream_takes_everything_if_it_may_wait() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    state.room.lock().extend([Ok(2), Ok(0), Ok(0), Ok(1)]);
    meanwhile(&k, |_| {});
    assert_eq!(send(&k, fd, "hello", 0), Ok(5));
    assert_eq!(state.sent_bytes(), [&b"he"[..], b"l", b"lo"]);
    state.room.lock().extend([Ok(2), Ok(0)]);
    assert_eq!(send(&k, fd, "hello", MSG_DONTWAIT), Ok(2));
    assert_eq!(send(&k, fd, "hello", MSG_DONTWAIT), Err(Errno::EAGAIN));
    // A datagram is whole or not there.
    let (state, fd) = datagram(&k);
    state.room.lock().push_back(Ok(3));
    assert_eq!(send(&k, fd, "hello", 0), Ok(3));
}

#[test]
fn a_send_ends_with_its_timeout_or_a_signal() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    set_timeout(&k, fd, SO_SNDTIMEO);
    let full = |first: &[Result<usize, Errno>]| {
        let mut room = state.room.lock();
        room.clear();
        room.extend(first.iter().copied());
        room.extend([Ok(0); 8]);
    };
    full(&[]);
    let start = k.host.now();
    assert_eq!(send(&k, fd, "hello", 0), Err(Errno::EAGAIN));
    assert_eq!(k.host.now() - start, 2_000_000_000);
    full(&[Ok(3)]);
    assert_eq!(send(&k, fd, "hello", 0), Ok(3));
    full(&[]);
    let write = |text: &str| k.call("write", [fd, k.text(text), text.len() as u64]);
    assert_eq!(write("hello"), Err(Errno::EAGAIN));
    k.interrupted.store(true, Relaxed);
    full(&[]);
    assert_eq!(write("hello"), Err(Errno::EINTR));
    full(&[Ok(1)]);
    assert_eq!(write("hello"), Ok(1));
    let (other, fd) = stream(&k);
    other.room.lock().extend([Ok(0); 4]);
    assert_eq!(send(&k, fd, "hello", 0), Err(Errno::ERESTARTSYS));
}

#[test]
fn sigpipe_is_for_streams() {
    let k = Mock::new();
    let broken = |state: &Arc<State>| state.room.lock().push_back(Err(Errno::EPIPE));
    let (state, fd) = stream(&k);
    broken(&state);
    assert_eq!(send(&k, fd, "x", 0), Err(Errno::EPIPE));
    assert_eq!(broken_pipes(&k), 1);
    broken(&state);
    assert_eq!(send(&k, fd, "x", MSG_NOSIGNAL), Err(Errno::EPIPE));
    assert_eq!(broken_pipes(&k), 1);
    broken(&state);
    assert_eq!(k.call("write", [fd, k.text("x"), 1]), Err(Errno::EPIPE));
    assert_eq!(broken_pipes(&k), 2);
    // What has been taken counts.
    state.room.lock().push_back(Ok(1));
    broken(&state);
    assert_eq!(send(&k, fd, "xy", 0), Ok(1));
    assert_eq!(broken_pipes(&k), 2);
    for kind in [SocketType::Datagram, SocketType::SeqPacket] {
        let (state, fd) = open(&k, AF_UNIX, kind, false);
        broken(&state);
        assert_eq!(send(&k, fd, "x", 0), Err(Errno::EPIPE));
    }
    assert_eq!(broken_pipes(&k), 2);
    // Nobody who reads is told so.
    state.incoming.lock().push_back(Err(Errno::EPIPE));
    assert_eq!(k.call("read", [fd, k.alloc(1), 1]), Err(Errno::EPIPE));
    assert_eq!(broken_pipes(&k), 2);
}

#[test]
fn an_error_after_a_part_is_left_for_the_next_call() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    *state.events.lock() = poll::ERR;
    state.room.lock().extend([Ok(2), Err(Errno::ECONNRESET)]);
    assert_eq!(send(&k, fd, "hello", 0), Ok(2));
    assert_eq!(send(&k, fd, "hello", 0), Err(Errno::ECONNRESET));
    state.arrives(b"ab");
    state.incoming.lock().push_back(Err(Errno::ECONNRESET));
    assert_eq!(recv(&k, fd, 4, MSG_WAITALL).unwrap(), b"ab");
    assert_eq!(recv(&k, fd, 4, MSG_WAITALL), Err(Errno::ECONNRESET));
}

#[test]
fn writes_to_a_record_socket_end_records() {
    let k = Mock::new();
    for (kind, flags) in [(SocketType::SeqPacket, MSG_EOR), (SocketType::Stream, 0)] {
        let (state, fd) = open(&k, AF_UNIX, kind, false);
        let iov = k.value(
            &[
                Iovec {
                    base: k.text("ab"),
                    len: 2,
                },
                Iovec {
                    base: k.text("c"),
                    len: 1,
                },
            ]
            .map(|iov| [iov.base, iov.len]),
        );
        assert_eq!(k.call("writev", [fd, iov, 2]), Ok(3));
        assert_eq!(state.sent.lock()[0].flags, flags);
        assert_eq!(state.sent_bytes(), [b"abc"]);
        assert_eq!(state.calls.lock()[0], format!("from {PID}"));
        assert_eq!(k.call("write", [fd, k.alloc(1), 0]), Ok(0));
        assert_eq!(state.sent.lock().len(), 2);
        assert_eq!(k.call("writev", [fd, 0, 0]), Ok(0));
        assert_eq!(state.sent.lock().len(), 2, "no buffers, no message");
    }
}

#[test]
fn recvfrom_answers_bytes_and_sender() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    state.arrives_with(super::double::Message {
        bytes: b"hello".to_vec(),
        address: Some(address()),
        ..Default::default()
    });
    let (at, addr, len) = (k.alloc(8), k.alloc(16), k.value(&16_i32));
    let flags = u64::from(MSG_PEEK | MSG_DONTWAIT);
    assert_eq!(k.call("recvfrom", [fd, at, 3, flags, addr, len]), Ok(3));
    assert_eq!(k.load_bytes(addr, 8), [2, 0, 0, 7, 127, 0, 0, 1]);
    let flags = u64::from(MSG_PEEK | MSG_TRUNC);
    assert_eq!(k.call("recvfrom", [fd, at, 3, flags, 0, 0]), Ok(5));
    // The flags that are none of the family's business do not reach it.
    assert_eq!(
        *state.calls.lock(),
        [
            format!("receive {MSG_PEEK:#x}"),
            format!("receive {:#x}", MSG_PEEK | MSG_TRUNC)
        ]
    );
    assert_eq!(
        k.call("recvfrom", [fd, at, 3, 0, addr, 0]),
        Err(Errno::EFAULT)
    );
    // A connected socket has no sender to tell.
    state.arrives(b"x");
    assert_eq!(k.call("recvfrom", [fd, at, 3, 0, addr, len]), Ok(1));
    assert_eq!(k.load::<i32>(len), 0);
}

#[test]
fn a_receipt_waits_for_as_long_as_it_may() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let later = state.clone();
    meanwhile(&k, move |_| later.arrives(b"abc"));
    assert_eq!(recv(&k, fd, 8, 0).unwrap(), b"abc");
    for flags in [MSG_DONTWAIT, MSG_OOB, MSG_ERRQUEUE] {
        assert_eq!(recv(&k, fd, 8, flags), Err(Errno::EAGAIN));
    }
    set_timeout(&k, fd, SO_RCVTIMEO);
    let start = k.host.now();
    assert_eq!(recv(&k, fd, 8, 0), Err(Errno::EAGAIN));
    assert_eq!(k.host.now() - start, 2_000_000_000);
    let iov = k.value(&[k.alloc(8), 8]);
    assert_eq!(k.call("read", [fd, k.alloc(8), 8]), Err(Errno::EAGAIN));
    assert_eq!(k.call("readv", [fd, iov, 1]), Err(Errno::EAGAIN));
    assert_eq!(k.host.now() - start, 6_000_000_000);
    k.interrupted.store(true, Relaxed);
    assert_eq!(recv(&k, fd, 8, 0), Err(Errno::EINTR));
    assert_eq!(k.call("read", [fd, k.alloc(8), 8]), Err(Errno::EINTR));
    let (_, fd) = stream(&k);
    assert_eq!(recv(&k, fd, 8, 0), Err(Errno::ERESTARTSYS));
    assert_eq!(k.call("read", [fd, k.alloc(8), 8]), Err(Errno::ERESTARTSYS));
    let (_, fd) = open(&k, AF_INET, SocketType::Stream, true);
    assert_eq!(recv(&k, fd, 8, 0), Err(Errno::EAGAIN));
    assert_eq!(k.call("read", [fd, k.alloc(8), 0]), Ok(0));
}

#[test]
fn waitall_waits_for_all_of_it() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    state.arrives(b"ab");
    let (second, third) = (state.clone(), state.clone());
    meanwhile(&k, move |_| third.arrives(b"de"));
    meanwhile(&k, move |_| second.arrives(b"c"));
    assert_eq!(recv(&k, fd, 5, MSG_WAITALL).unwrap(), b"abcde");
    // The end of the stream.
    state.arrives(b"ab");
    state.arrives(b"");
    assert_eq!(recv(&k, fd, 5, MSG_WAITALL).unwrap(), b"ab");
    state.arrives(b"ab");
    assert_eq!(recv(&k, fd, 5, MSG_WAITALL | MSG_DONTWAIT).unwrap(), b"ab");
    set_timeout(&k, fd, SO_RCVTIMEO);
    state.arrives(b"ab");
    assert_eq!(recv(&k, fd, 5, MSG_WAITALL).unwrap(), b"ab");
    k.interrupted.store(true, Relaxed);
    state.arrives(b"ab");
    assert_eq!(recv(&k, fd, 5, MSG_WAITALL).unwrap(), b"ab");
    let (state, fd) = datagram(&k);
    state.arrives(b"ab");
    assert_eq!(recv(&k, fd, 5, MSG_WAITALL).unwrap(), b"ab");
}

#[test]
fn waitall_with_peek_takes_nothing() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    state.arrives(b"ab");
    let later = state.clone();
    meanwhile(&k, move |_| {
        later.incoming.lock().clear();
        later.arrives(b"abcd");
    });
    assert_eq!(recv(&k, fd, 4, MSG_WAITALL | MSG_PEEK).unwrap(), b"abcd");
    *state.events.lock() = poll::RDHUP;
    assert_eq!(recv(&k, fd, 8, MSG_WAITALL | MSG_PEEK).unwrap(), b"abcd");
    assert_eq!(state.incoming.lock().len(), 1);
}

#[test]
fn buffers_that_are_not_there_are_efault() {
    let k = Mock::new();
    let (state, fd) = unix(&k);
    state.arrives(b"x");
    let flags = u64::from(MSG_DONTWAIT);
    assert_eq!(
        k.call("recvfrom", [fd, 1, 4, flags, 0, 0]),
        Err(Errno::EFAULT)
    );
    assert_eq!(
        k.call("sendto", [fd, 1, 4, flags, 0, 0]),
        Err(Errno::EFAULT)
    );
    assert_eq!(k.call("write", [fd, 1, 4]), Err(Errno::EFAULT));
}

#[test]
fn sendfile_sends_what_the_socket_takes() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    k.call("write", [file, k.text("0123456789"), 10]).unwrap();
    let offset = k.value(&2_i64);
    state.room.lock().extend([Ok(3), Ok(0)]);
    meanwhile(&k, |_| {});
    assert_eq!(k.call("sendfile", [fd, file, offset, 100]), Ok(8));
    assert_eq!(state.sent_bytes(), [&b"234"[..], b"56789"]);
    assert_eq!(k.load::<i64>(offset), 10);
    assert_eq!(k.call("sendfile", [fd, file, offset, 100]), Ok(0));
    k.call("fcntl", [fd, 4, u64::from(raw::O_NONBLOCK)])
        .unwrap();
    state.room.lock().extend([Ok(4), Ok(0)]);
    k.call("lseek", [file, 0, 0]).unwrap();
    assert_eq!(k.call("sendfile", [fd, file, 0, 10]), Ok(4));
    assert_eq!(k.call("sendfile", [fd, file, 0, 10]), Err(Errno::EAGAIN));
    assert_eq!(k.call("lseek", [file, 0, 1]), Ok(4));
    assert_eq!(k.call("sendfile", [file, fd, 0, 10]), Err(Errno::EINVAL));
    let (state, fd) = datagram(&k);
    assert_eq!(k.call("sendfile", [fd, file, 0, 10]), Ok(6));
    assert_eq!(state.sent_bytes(), [b"456789"]);
}

#[test]
fn splice_moves_between_pipes_and_sockets() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    let [r, w] = k.load::<[u32; 2]>(fds).map(u64::from);
    state.arrives(b"hello");
    assert_eq!(k.call("splice", [fd, 0, w, 0, 100, 0]), Ok(5));
    k.call("fcntl", [fd, 4, u64::from(raw::O_NONBLOCK)])
        .unwrap();
    state.room.lock().extend([Ok(0), Ok(2)]);
    // What the socket does not take stays in the pipe.
    assert_eq!(k.call("splice", [r, 0, fd, 0, 100, 0]), Err(Errno::EAGAIN));
    assert_eq!(k.call("splice", [r, 0, fd, 0, 100, 0]), Ok(2));
    assert_eq!(k.call("splice", [r, 0, fd, 0, 100, 0]), Ok(3));
    assert_eq!(state.sent_bytes(), [&b"he"[..], b"llo"]);
    let nonblock = 2;
    assert_eq!(
        k.call("splice", [r, 0, fd, 0, 100, nonblock]),
        Err(Errno::EAGAIN)
    );
    let offset = k.value(&0_i64);
    assert_eq!(
        k.call("splice", [r, 0, fd, offset, 9, 0]),
        Err(Errno::EINVAL)
    );
    k.call("close", [w]).unwrap();
    assert_eq!(k.call("splice", [r, 0, fd, 0, 100, 0]), Ok(0));
}

#[test]
fn fast_open_is_off() {
    const MSG_FASTOPEN: u32 = 0x2000_0000;
    let k = Mock::new();
    let (state, fd) = stream(&k);
    assert_eq!(send(&k, fd, "x", MSG_FASTOPEN), Err(Errno::EOPNOTSUPP));
    assert!(state.sent.lock().is_empty());
    assert_eq!(k.complaints.lock().len(), 1);
    let (_, fd) = datagram(&k);
    assert_eq!(send(&k, fd, "x", MSG_FASTOPEN), Ok(1));
}
