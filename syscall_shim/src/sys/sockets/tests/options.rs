use super::double::{meanwhile, stream, unix};
use crate::mock::Mock;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::general as raw;
use linux_abi::raw::net::{
    SO_BINDTODEVICE, SO_DOMAIN, SO_PEERGROUPS, SO_PROTOCOL, SO_RCVTIMEO, SO_RCVTIMEO_NEW,
    SO_REUSEADDR, SO_TYPE, SOL_SOCKET,
};
use linux_abi::{Errno, SysResult, Timeval};

const UNKNOWN: u32 = 9999;

fn set(k: &Mock, fd: u64, name: u32, value: u64, len: i32) -> SysResult {
    let args = [fd, SOL_SOCKET.into(), name.into(), value, len as u64];
    k.call("setsockopt", args)
}

fn get(k: &Mock, fd: u64, name: u32, value: u64, len: u64) -> SysResult {
    k.call(
        "getsockopt",
        [fd, SOL_SOCKET.into(), name.into(), value, len],
    )
}

#[test]
fn setsockopt_checks_in_linux_s_order() {
    let k = Mock::new();
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    let (state, fd) = stream(&k);
    let one = k.value(&1_i32);
    assert_eq!(set(&k, 99, UNKNOWN, 1, -1), Err(Errno::EBADF));
    assert_eq!(set(&k, file, UNKNOWN, 1, -1), Err(Errno::ENOTSOCK));
    assert_eq!(set(&k, fd, UNKNOWN, 1, -1), Err(Errno::EINVAL));
    assert_eq!(set(&k, fd, UNKNOWN, 1, 3), Err(Errno::EINVAL));
    assert_eq!(set(&k, fd, UNKNOWN, 1, 4), Err(Errno::EFAULT));
    assert_eq!(set(&k, fd, UNKNOWN, one, 4), Err(Errno::ENOPROTOOPT));
    assert!(state.calls.lock().is_empty());
    assert_eq!(set(&k, fd, SO_REUSEADDR, one, 4), Ok(0));
    assert_eq!(set(&k, fd, SO_BINDTODEVICE, 0, 0), Ok(0));
    assert_eq!(*state.calls.lock(), ["set 1 2 [1, 0, 0, 0]", "set 1 25 []"]);
    // Longer than the value is fine.
    assert_eq!(set(&k, fd, SO_REUSEADDR, k.alloc(2048), 1 << 30), Ok(0));
    let tcp = k.call("setsockopt", [fd, 6, 1, 0, 0]);
    assert_eq!(tcp, Ok(0), "other levels judge lengths themselves");
}

#[test]
fn timeouts_are_kept_under_both_names() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let set_to = |name, sec, usec, len| {
        let time = k.value(&Timeval { sec, usec });
        set(&k, fd, name, time, len)
    };
    let read = || {
        let (place, len) = (k.value(&[7_u64; 2]), k.value(&20_i32));
        assert_eq!(get(&k, fd, SO_RCVTIMEO_NEW, place, len), Ok(0));
        assert_eq!(k.load::<i32>(len), 16);
        let time = k.load::<Timeval>(place);
        (time.sec, time.usec)
    };
    assert_eq!(read(), (0, 0));
    assert_eq!(set_to(SO_RCVTIMEO, 3, 250_000, 16), Ok(0));
    assert_eq!(read(), (3, 250_000));
    assert_eq!(set_to(SO_RCVTIMEO_NEW, 4, 0, 100), Ok(0));
    assert_eq!(read(), (4, 0));
    assert_eq!(set_to(SO_RCVTIMEO, 1, 0, 8), Err(Errno::EINVAL));
    assert_eq!(set_to(SO_RCVTIMEO, 1, 1_000_000, 16), Err(Errno::EDOM));
    assert_eq!(set_to(SO_RCVTIMEO, 1, -1, 16), Err(Errno::EDOM));
    assert_eq!(read(), (4, 0));
    // For ever.
    assert_eq!(set_to(SO_RCVTIMEO, i64::MAX, 0, 16), Ok(0));
    assert_eq!(read(), (0, 0));
    // Not at all.
    assert_eq!(set_to(SO_RCVTIMEO, -1, 0, 16), Ok(0));
    assert_eq!(read(), (0, 0));
    let at = k.alloc(4);
    assert_eq!(k.call("recvfrom", [fd, at, 4, 0, 0, 0]), Err(Errno::EAGAIN));
    assert!(state.calls.lock().is_empty(), "no family hears of them");
}

#[test]
fn getsockopt_answers_as_much_as_there_is_room_for() {
    let k = Mock::new();
    let (state, fd) = unix(&k);
    let place = k.value(&[0x5555_5555_u32; 2]);
    let cases = [
        (SO_TYPE, 1, 4_i32, 4),
        (SO_DOMAIN, 1, 40, 4),
        (SO_PROTOCOL, 0x5506, 1, 1),
    ];
    for (name, value, room, expected) in cases {
        let len = k.value(&room);
        k.call("getsockopt", [fd, 1, u64::from(name), place, len])
            .unwrap();
        assert_eq!(k.load::<i32>(len), expected);
        assert_eq!(k.load::<u16>(place), value);
        vfs::UserMemory::write(&k, place, &[0x55; 8]).unwrap();
    }
    state.options.lock().push_back(Ok(alloc::vec![1, 2, 3]));
    let len = k.value(&2_i32);
    assert_eq!(get(&k, fd, SO_REUSEADDR, place, len), Ok(0));
    assert_eq!(k.load_bytes(place, 3), [1, 2, 0x55]);
    assert_eq!(k.load::<i32>(len), 2);
    assert_eq!(state.calls.lock()[0], "get 1 2 [85, 85]");
}

#[test]
fn getsockopt_checks_in_linux_s_order() {
    let k = Mock::new();
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    let (state, fd) = unix(&k);
    let place = k.alloc(8);
    let (four, negative) = (k.value(&4_i32), k.value(&-1_i32));
    assert_eq!(get(&k, 99, UNKNOWN, place, 1), Err(Errno::EBADF));
    assert_eq!(get(&k, file, UNKNOWN, place, 1), Err(Errno::ENOTSOCK));
    assert_eq!(get(&k, fd, UNKNOWN, place, 1), Err(Errno::EFAULT));
    assert_eq!(get(&k, fd, UNKNOWN, place, negative), Err(Errno::EINVAL));
    assert_eq!(get(&k, fd, UNKNOWN, 1, four), Err(Errno::ENOPROTOOPT));
    assert_eq!(get(&k, fd, SO_TYPE, 0, four), Err(Errno::EFAULT));
    state.options.lock().push_back(Ok(alloc::vec![0; 4]));
    assert_eq!(get(&k, fd, SO_REUSEADDR, 1, four), Err(Errno::EFAULT));
    state.options.lock().push_back(Ok(alloc::vec![0; 12]));
    assert_eq!(get(&k, fd, SO_PEERGROUPS, place, four), Err(Errno::ERANGE));
    assert_eq!(k.load::<i32>(four), 12);
}

#[test]
fn an_option_may_have_to_be_asked_for() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    k.call("fcntl", [fd, 4, u64::from(raw::O_NONBLOCK)])
        .unwrap();
    let (place, len) = (k.alloc(8), k.value(&8_i32));
    let info = || k.call("getsockopt", [fd, 6, 11, place, len]);
    state.options.lock().push_back(Err(Errno::EAGAIN));
    let later = state.clone();
    meanwhile(&k, move |_| {
        later.options.lock().push_back(Ok(alloc::vec![9; 8]));
    });
    state.options.lock().push_back(Err(Errno::EAGAIN));
    assert_eq!(info(), Ok(0));
    assert_eq!(k.load_bytes(place, 8), [9; 8]);
    let start = k.host.now();
    state
        .options
        .lock()
        .extend((0..3).map(|_| Err(Errno::EAGAIN)));
    assert_eq!(info(), Err(Errno::EAGAIN));
    assert_eq!(k.host.now() - start, 1_000_000_000);
    k.interrupted.store(true, Relaxed);
    state
        .options
        .lock()
        .extend((0..2).map(|_| Err(Errno::EAGAIN)));
    assert_eq!(info(), Err(Errno::ERESTARTNOINTR));
}
