use super::CWD;
use crate::mock::Mock;
use linux_abi::Errno;
use linux_abi::raw::general as raw;

/// The names in a directory, as getdents64(2) gives them with a buffer of `size`.
fn names(k: &Mock, path: &str, size: u64) -> std::vec::Vec<std::string::String> {
    let fd = k.open(path, raw::O_DIRECTORY) as u64;
    let buf = k.alloc(size as usize);
    let mut names = std::vec::Vec::new();
    loop {
        let filled = k.call("getdents64", [fd, buf, size]).unwrap();
        if filled == 0 {
            names.sort();
            return names;
        }
        let bytes = k.load_bytes(buf, filled);
        let mut at = 0;
        while at < filled {
            let len = u16::from_le_bytes([bytes[at + 16], bytes[at + 17]]) as usize;
            let name = bytes[at + 19..at + len]
                .split(|byte| *byte == 0)
                .next()
                .unwrap();
            names.push(std::string::String::from_utf8(name.to_vec()).unwrap());
            at += len;
        }
    }
}

#[test]
fn directories_are_made_listed_and_removed() {
    let k = Mock::new();
    assert_eq!(k.call("mkdir", [k.text("/d"), 0o755]), Ok(0));
    assert_eq!(k.call("mkdir", [k.text("/d"), 0o755]), Err(Errno::EEXIST));
    let dir = k.open("/d", raw::O_DIRECTORY) as u64;
    assert_eq!(k.call("mkdirat", [dir, k.text("sub"), 0o755]), Ok(0));
    for name in ["a", "b", "c"] {
        k.open(&std::format!("/d/{name}"), raw::O_CREAT);
    }
    let all = [".", "..", "a", "b", "c", "sub"];
    assert_eq!(names(&k, "/d", 1000), all);
    assert_eq!(names(&k, "/d", 24), all);
    let buf = k.alloc(100);
    assert_eq!(k.call("getdents64", [dir, buf, 20]), Err(Errno::EINVAL));
    assert_eq!(k.call("getdents", [dir, buf, 100]), Ok(96));
    let file = k.open("/d/a", 0) as u64;
    assert_eq!(k.call("getdents64", [file, buf, 100]), Err(Errno::ENOTDIR));
    assert_eq!(k.call("rmdir", [k.text("/d")]), Err(Errno::ENOTEMPTY));
    assert_eq!(
        k.call(
            "unlinkat",
            [dir, k.text("sub"), u64::from(raw::AT_REMOVEDIR)]
        ),
        Ok(0)
    );
    assert_eq!(
        k.call("unlinkat", [dir, k.text("a"), 1]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("unlink", [k.text("/d")]), Err(Errno::EISDIR));
}

#[test]
fn the_working_directory_moves() {
    let k = Mock::new();
    k.call("mkdir", [k.text("/d"), 0o755]).unwrap();
    let buf = k.alloc(16);
    assert_eq!(k.call("chdir", [k.text("d")]), Ok(0));
    assert_eq!(k.call("getcwd", [buf, 16]), Ok(3));
    assert_eq!(k.load_bytes(buf, 3), b"/d\0");
    assert_eq!(k.call("getcwd", [buf, 2]), Err(Errno::ERANGE));
    k.open("f", raw::O_CREAT);
    assert_eq!(k.call("access", [k.text("/d/f"), 0]), Ok(0));
    assert_eq!(k.call("chdir", [k.text("f")]), Err(Errno::ENOTDIR));
    let root = k.open("/", 0) as u64;
    assert_eq!(k.call("fchdir", [root]), Ok(0));
    assert_eq!(k.call("getcwd", [buf, 16]), Ok(2));
    let file = k.open("/d/f", 0) as u64;
    assert_eq!(k.call("fchdir", [file]), Err(Errno::ENOTDIR));
    assert_eq!(k.call("chroot", [k.text("/d")]), Ok(0));
    assert_eq!(k.call("access", [k.text("/f"), 0]), Ok(0));
    k.call("setuid", [1000]).unwrap();
    assert_eq!(k.call("chroot", [k.text("/")]), Err(Errno::EPERM));
}

#[test]
fn links_of_both_kinds() {
    let k = Mock::new();
    k.open("/f", raw::O_CREAT);
    assert_eq!(k.call("link", [k.text("/f"), k.text("/g")]), Ok(0));
    assert_eq!(k.call("symlink", [k.text("f"), k.text("/s")]), Ok(0));
    assert_eq!(
        k.call("linkat", [CWD, k.text("/s"), CWD, k.text("/t"), 0]),
        Ok(0)
    );
    let buf = k.alloc(8);
    assert_eq!(k.call("readlink", [k.text("/t"), buf, 8]), Ok(1));
    assert_eq!(
        k.call("readlinkat", [CWD, k.text("/s"), buf, 0]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("readlink", [k.text("/f"), buf, 8]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call(
            "linkat",
            [
                CWD,
                k.text("/s"),
                CWD,
                k.text("/u"),
                u64::from(raw::AT_SYMLINK_FOLLOW)
            ]
        ),
        Ok(0)
    );
    assert_eq!(
        k.call("readlink", [k.text("/u"), buf, 8]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("linkat", [CWD, k.text("/s"), CWD, k.text("/v"), 1]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("symlinkat", [k.text(""), CWD, k.text("/w")]),
        Err(Errno::ENOENT)
    );
    assert_eq!(
        k.call("symlinkat", [k.text("long-target"), CWD, k.text("/w")]),
        Ok(0)
    );
    assert_eq!(k.call("readlink", [k.text("/w"), buf, 4]), Ok(4));
    assert_eq!(k.load_bytes(buf, 4), b"long");
    assert_eq!(k.call("unlink", [k.text("/f")]), Ok(0));
    assert_eq!(k.call("unlink", [k.text("/f")]), Err(Errno::ENOENT));
}

#[test]
fn rename_and_its_flags() {
    let k = Mock::new();
    k.open("/a", raw::O_CREAT);
    k.open("/b", raw::O_CREAT);
    let rename = |old: &str, new: &str, flags: u32| {
        k.call(
            "renameat2",
            [CWD, k.text(old), CWD, k.text(new), u64::from(flags)],
        )
    };
    assert_eq!(
        rename("/a", "/b", raw::RENAME_NOREPLACE),
        Err(Errno::EEXIST)
    );
    assert_eq!(rename("/a", "/b", raw::RENAME_EXCHANGE), Ok(0));
    assert_eq!(
        rename("/a", "/b", raw::RENAME_EXCHANGE | raw::RENAME_NOREPLACE),
        Err(Errno::EINVAL)
    );
    assert_eq!(rename("/a", "/b", raw::RENAME_WHITEOUT), Err(Errno::EINVAL));
    assert_eq!(rename("/a", "/b", 8), Err(Errno::EINVAL));
    assert_eq!(k.call("rename", [k.text("/a"), k.text("/c")]), Ok(0));
    assert_eq!(
        k.call("renameat", [CWD, k.text("/a"), CWD, k.text("/c")]),
        Err(Errno::ENOENT)
    );
}

#[test]
fn nodes_of_every_kind() {
    let k = Mock::new();
    let mknod =
        |path: &str, mode: u32| k.call("mknod", [k.text(path), u64::from(mode | 0o600), 0x103]);
    assert_eq!(mknod("/p", raw::S_IFIFO), Ok(0));
    assert_eq!(mknod("/r", 0), Ok(0));
    assert_eq!(mknod("/s", raw::S_IFSOCK), Ok(0));
    assert_eq!(mknod("/d", raw::S_IFDIR), Err(Errno::EPERM));
    assert_eq!(mknod("/x", raw::S_IFMT), Err(Errno::EINVAL));
    assert_eq!(
        k.call(
            "mknodat",
            [CWD, k.text("/c"), u64::from(raw::S_IFCHR), 0x103]
        ),
        Ok(0)
    );
    // One end of a FIFO waits for the other, unless it must not.
    let nonblocking = u64::from(raw::O_NONBLOCK);
    assert_eq!(
        k.call(
            "open",
            [k.text("/p"), u64::from(raw::O_WRONLY) | nonblocking, 0]
        ),
        Err(Errno::ENXIO)
    );
    k.meanwhile.lock().push(std::boxed::Box::new(|k| {
        k.call("open", [k.text("/p"), u64::from(raw::O_WRONLY), 0])
            .unwrap();
    }));
    assert!(k.call("open", [k.text("/p"), 0, 0]).is_ok());
}
