use super::double::{datagram, sockaddr, stream, unix};
use crate::mock::Mock;
use crate::state::Identity;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, Stat};

const NO_SOCKET: [&str; 5] = ["bind", "listen", "getsockname", "getpeername", "shutdown"];

#[test]
fn what_is_no_socket_is_refused() {
    let k = Mock::new();
    let file = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    let path = k.open("/f", raw::O_PATH) as u64;
    for call in NO_SOCKET {
        assert_eq!(k.call(call, [file, 0, 0]), Err(Errno::ENOTSOCK), "{call}");
        assert_eq!(k.call(call, [99, 0, 0]), Err(Errno::EBADF), "{call}");
        assert_eq!(k.call(call, [path, 0, 0]), Err(Errno::EBADF), "{call}");
    }
}

#[test]
fn bind_takes_the_lengths_that_linux_takes() {
    let k = Mock::new();
    let (state, fd) = stream(&k);
    let addr = sockaddr(&k);
    let bind = |addr: u64, len: i32| k.call("bind", [fd, addr, len as u64]);
    assert_eq!(bind(addr, 16), Ok(0));
    assert_eq!(*state.calls.lock(), ["bind Inet(127.0.0.1:7)"]);
    assert_eq!(bind(addr, -1), Err(Errno::EINVAL));
    assert_eq!(bind(addr, 129), Err(Errno::EINVAL));
    assert_eq!(bind(1, 16), Err(Errno::EFAULT));
    assert_eq!(bind(1, 0), Err(Errno::EINVAL));
    assert_eq!(bind(addr, 15), Err(Errno::EINVAL));
    let strange = k.bytes(&[77; 16]);
    assert_eq!(bind(strange, 16), Err(Errno::EAFNOSUPPORT));
    let (_, local) = unix(&k);
    assert_eq!(k.call("bind", [local, strange, 16]), Err(Errno::EINVAL));
}

fn path(k: &Mock, path: &str) -> (u64, u64) {
    let bytes = [&[1, 0], path.as_bytes(), b"\0"].concat();
    (k.bytes(&bytes), bytes.len() as u64)
}

#[test]
fn a_bound_path_is_a_socket_that_others_find() {
    let k = Mock::with_identity(Identity::new(1000, 1000));
    // The root directory belongs to root.
    k.state
        .change_identity(|id| {
            id.fsuid = 0;
            Ok(())
        })
        .unwrap();
    let (_, fd) = unix(&k);
    let (name, len) = path(&k, "/sock");
    assert_eq!(k.call("connect", [fd, name, len]), Err(Errno::ENOENT));
    assert_eq!(k.call("bind", [fd, name, len]), Ok(0));
    assert_eq!(k.call("bind", [fd, name, len]), Err(Errno::EADDRINUSE));
    let stat = k.alloc(144);
    k.call("stat", [k.text("/sock"), stat]).unwrap();
    assert_eq!(k.load::<Stat>(stat).mode, raw::S_IFSOCK | 0o755);
    assert_eq!(k.call("connect", [fd, name, len]), Ok(0));
    k.call("symlink", [k.text("/sock"), k.text("/link")])
        .unwrap();
    let (link, link_len) = path(&k, "/link");
    assert_eq!(k.call("connect", [fd, link, link_len]), Ok(0));
    k.open("/file", raw::O_CREAT);
    let (file, file_len) = path(&k, "/file");
    assert_eq!(
        k.call("connect", [fd, file, file_len]),
        Err(Errno::ECONNREFUSED)
    );
    k.state
        .change_identity(|id| {
            id.fsuid = 1000;
            Ok(())
        })
        .unwrap();
    assert_eq!(k.call("connect", [fd, name, len]), Err(Errno::EACCES));
}

#[test]
fn names_are_cut_to_the_room_there_is() {
    let k = Mock::new();
    let (_, fd) = stream(&k);
    let place = k.alloc(16);
    let len = k.value(&6_i32);
    assert_eq!(k.call("getsockname", [fd, place, len]), Ok(0));
    assert_eq!(k.load::<i32>(len), 16);
    assert_eq!(
        k.load_bytes(place, 8),
        [2, 0, 0, 7, 127, 0, 0, 0],
        "six bytes were wanted"
    );
    let empty = k.value(&0_i32);
    assert_eq!(k.call("getsockname", [fd, 0, empty]), Ok(0));
    assert_eq!(k.load::<i32>(empty), 16);
    let negative = k.value(&-5_i32);
    assert_eq!(
        k.call("getsockname", [fd, place, negative]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("getsockname", [fd, place, 0]), Err(Errno::EFAULT));
    assert_eq!(k.call("getsockname", [fd, 0, len]), Err(Errno::EFAULT));
    assert_eq!(k.call("getpeername", [fd, 1, 1]), Err(Errno::ENOTCONN));
}

#[test]
fn listen_and_shutdown_are_passed_on() {
    let k = Mock::new();
    let (state, fd) = datagram(&k);
    assert_eq!(k.call("listen", [fd, u64::MAX]), Ok(0));
    assert_eq!(k.call("shutdown", [fd, 3]), Err(Errno::EINVAL));
    for how in 0..3 {
        assert_eq!(k.call("shutdown", [fd, how]), Ok(0));
    }
    assert_eq!(
        *state.calls.lock(),
        [
            "listen -1",
            "shutdown true false",
            "shutdown false true",
            "shutdown true true"
        ]
    );
}

#[test]
fn a_socket_looks_like_one_in_the_file_tree() {
    let k = Mock::new();
    let (_, fd) = stream(&k);
    let stat = k.alloc(144);
    k.call("fstat", [fd, stat]).unwrap();
    let stat = k.load::<Stat>(stat);
    assert_eq!((stat.mode, stat.nlink), (raw::S_IFSOCK | 0o777, 1));
    let file = crate::kernel::Files::files(&k).get(fd as i32).unwrap();
    let root = crate::kernel::Files::fs(&k).root();
    let text = alloc::format!("socket:[{}]", stat.ino).into_bytes();
    assert_eq!(file.place().path(&root).into_link_text(), text);
    let left = k.alloc(4);
    let fionread = u64::from(linux_abi::raw::ioctl::FIONREAD);
    assert_eq!(k.call("ioctl", [fd, fionread, left]), Ok(0));
    assert_eq!(k.load::<i32>(left), 7);
    assert_eq!(k.call("lseek", [fd, 0, 0]), Err(Errno::ESPIPE));
}
