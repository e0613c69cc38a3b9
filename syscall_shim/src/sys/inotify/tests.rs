use crate::kernel::Files;
use crate::mock::Mock;
use linux_abi::Errno;
use linux_abi::raw::general as raw;
use std::string::String;
use std::vec::Vec;

const FLAGS: u32 = raw::O_NONBLOCK | raw::O_CLOEXEC;

fn init(k: &Mock) -> u64 {
    k.call("inotify_init1", [u64::from(FLAGS)]).unwrap() as u64
}

fn watch(k: &Mock, fd: u64, path: &str, mask: u32) -> Result<usize, Errno> {
    k.call("inotify_add_watch", [fd, k.text(path), u64::from(mask)])
}

/// What there is to read: watch descriptor, mask, name.
fn events(k: &Mock, fd: u64) -> Vec<(i32, u32, String)> {
    let buffer = k.alloc(4096);
    let Ok(count) = k.call("read", [fd, buffer, 4096]) else {
        return Vec::new();
    };
    let bytes = k.load_bytes(buffer, count);
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut seen) = (0, Vec::new());
    while at < count {
        let len = word(at + 12) as usize;
        let name = String::from_utf8_lossy(&bytes[at + 16..at + 16 + len]).into_owned();
        seen.push((
            word(at) as i32,
            word(at + 4),
            name.trim_end_matches('\0').into(),
        ));
        at += 16 + len;
    }
    seen
}

#[test]
fn a_directory_tells_what_happens_to_its_entries() {
    let k = Mock::new();
    let fd = init(&k);
    assert!(k.files().cloexec(fd as i32).unwrap());
    assert_eq!(k.call("read", [fd, k.alloc(64), 64]), Err(Errno::EAGAIN));
    k.call("mkdir", [k.text("/d"), 0o755]).unwrap();
    let wd = watch(&k, fd, "/d", raw::IN_ALL_EVENTS).unwrap() as i32;
    assert_eq!(wd, 1);
    let file = k.open("/d/f", raw::O_CREAT | raw::O_WRONLY) as u64;
    let data = k.bytes(b"data");
    k.call("write", [file, data, 4]).unwrap();
    k.call("write", [file, data, 4]).unwrap();
    k.call("close", [file]).unwrap();
    k.call("unlink", [k.text("/d/f")]).unwrap();
    let said = |mask| (wd, mask, String::from("f"));
    assert_eq!(
        events(&k, fd),
        [
            said(raw::IN_CREATE),
            said(raw::IN_OPEN),
            // Two writes that nobody has read of yet are one event.
            said(raw::IN_MODIFY),
            said(raw::IN_CLOSE_WRITE),
            said(raw::IN_DELETE),
        ]
    );
    assert_eq!(k.call("inotify_rm_watch", [fd, 7]), Err(Errno::EINVAL));
    k.call("inotify_rm_watch", [fd, wd as u64]).unwrap();
    assert_eq!(events(&k, fd), [(wd, raw::IN_IGNORED, String::new())]);
    k.call("close", [fd]).unwrap();
}

#[test]
fn the_arguments_are_looked_at() {
    let k = Mock::new();
    assert_eq!(k.call("inotify_init1", [1]), Err(Errno::EINVAL));
    let fd = k.call("inotify_init", [0; 0]).unwrap() as u64;
    let plain = k.open("/plain", raw::O_CREAT) as u64;
    let open = raw::IN_OPEN;
    assert_eq!(watch(&k, fd, "/plain", 0), Err(Errno::EINVAL));
    assert_eq!(watch(&k, fd, "/plain", 1 << 20), Err(Errno::EINVAL));
    let both = open | raw::IN_MASK_ADD | raw::IN_MASK_CREATE;
    assert_eq!(watch(&k, fd, "/plain", both), Err(Errno::EINVAL));
    assert_eq!(watch(&k, 99, "/plain", open), Err(Errno::EBADF));
    assert_eq!(watch(&k, plain, "/plain", open), Err(Errno::EINVAL));
    assert_eq!(watch(&k, fd, "/none", open), Err(Errno::ENOENT));
    let only = open | raw::IN_ONLYDIR;
    assert_eq!(watch(&k, fd, "/plain", only), Err(Errno::ENOTDIR));
    assert_eq!(k.call("inotify_add_watch", [fd, 8, 1]), Err(Errno::EFAULT));
    assert_eq!(k.call("inotify_rm_watch", [plain, 1]), Err(Errno::EINVAL));
    assert_eq!(watch(&k, fd, "/plain", open), Ok(1));
    let create = open | raw::IN_MASK_CREATE;
    assert_eq!(watch(&k, fd, "/plain", create), Err(Errno::EEXIST));
    assert_eq!(watch(&k, fd, "/plain", raw::IN_MODIFY), Ok(1));
    k.open("/plain", 0);
    k.call(
        "fcntl",
        [fd, u64::from(raw::F_SETFL), u64::from(raw::O_NONBLOCK)],
    )
    .unwrap();
    assert_eq!(events(&k, fd), []);
}
