//! Descriptors, permissions, walks, listings and devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use vfs::{
    At, Credentials, Errno, FdTable, File, LookupFlags, NewNode, OpenHow, SeekKind, Terminals,
    access, devfs,
};

#[test]
fn descriptors_are_the_lowest_free() {
    let process = Process::empty();
    let open = || process.open("/", 0).unwrap();
    let table = FdTable::new(8);
    assert_eq!(
        [
            table.insert(open(), false),
            table.insert(open(), true),
            table.insert(open(), false)
        ],
        [Ok(0), Ok(1), Ok(2)]
    );
    drop(table.close(1));
    assert_eq!(table.get(1).err(), Some(Errno::EBADF));
    assert_eq!(table.get(-1).err(), Some(Errno::EBADF));
    assert_eq!(table.insert_from(5, open(), false), Ok(5));
    assert_eq!(table.insert(open(), false), Ok(1));
    assert_eq!(table.insert(open(), false), Ok(3));
    assert_eq!(table.insert_from(8, open(), false), Err(Errno::EINVAL));
    assert!(table.replace(7, open(), true).unwrap().is_none());
    assert!(table.replace(7, open(), true).unwrap().is_some());
    assert_eq!(table.replace(8, open(), true).err(), Some(Errno::EBADF));
    assert_eq!(
        [table.insert(open(), false), table.insert(open(), false)],
        [Ok(4), Ok(6)]
    );
    assert_eq!(table.insert(open(), false), Err(Errno::EMFILE));
    assert_eq!(table.cloexec(7), Ok(true));
    table.set_cloexec(2, true).unwrap();
    let copy = table.duplicate();
    drop(table.close_on_exec());
    assert_eq!((table.next_open(2), copy.next_open(2)), (Some(3), Some(2)));
    table.close_range(3, u32::MAX, false).unwrap();
    assert_eq!(
        (table.next_open(2), table.insert(open(), false)),
        (None, Ok(2))
    );
    assert_eq!(table.close_range(2, 1, false), Err(Errno::EINVAL));
    copy.close_range(0, 100, true).unwrap();
    drop(copy.close_on_exec());
    assert_eq!(copy.next_open(0), None);
}

#[test]
fn permissions_are_the_owners_groups_and_others() {
    let process = Process::empty();
    process.write_file("/file", b"x");
    process.at().mkdir(b"/closed", 0o700).unwrap();
    process.at().mkdir(b"/sticky", 0o755).unwrap();
    let root = Credentials::default();
    process
        .find("/sticky")
        .unwrap()
        .chmod(&root, 0o1777)
        .unwrap();
    process.write_file("/sticky/roots", b"");
    let user = Credentials {
        uid: 1000,
        gid: 1000,
        groups: vec![50],
        capabilities: linux_abi::CapSet::EMPTY,
    };
    let at = At::cwd(&process.fs, &user);
    let open = |path: &str, flags| {
        at.open(
            path.as_bytes(),
            &OpenHow {
                flags,
                mode: 0o600,
                resolve: None,
            },
        )
        .map(drop)
    };
    assert_eq!(open("/file", 0), Ok(()));
    assert_eq!(open("/file", O_WRONLY), Err(Errno::EACCES));
    assert_eq!(open("/file", O_TRUNC), Err(Errno::EACCES));
    assert_eq!(open("/new", O_CREAT | O_WRONLY), Err(Errno::EACCES));
    assert_eq!(
        err(at.metadata(b"/closed/x", LookupFlags::FOLLOW)),
        Errno::EACCES
    );
    assert_eq!(at.unlink(b"/file"), Err(Errno::EACCES));
    assert_eq!(open("/sticky/mine", O_CREAT | O_EXCL | O_WRONLY), Ok(()));
    assert_eq!(at.unlink(b"/sticky/roots"), Err(Errno::EPERM));
    assert_eq!(
        at.rename(b"/sticky/mine", &at, b"/sticky/roots", 0),
        Err(Errno::EPERM)
    );
    assert_eq!(at.unlink(b"/sticky/mine"), Ok(()));
    assert_eq!(
        at.access(b"/file", access::WRITE, LookupFlags::FOLLOW),
        Err(Errno::EACCES)
    );
    assert_eq!(
        process
            .at()
            .access(b"/file", access::WRITE, LookupFlags::FOLLOW),
        Ok(())
    );
    assert_eq!(
        process
            .at()
            .access(b"/file", access::EXEC, LookupFlags::FOLLOW),
        Err(Errno::EACCES),
        "not even root runs it"
    );
    let file = process.find("/file").unwrap();
    assert_eq!(file.chmod(&user, 0o777), Err(Errno::EPERM));
    assert_eq!(file.chown(&user, Some(1000), None), Err(Errno::EPERM));
    file.chown(&root, Some(1000), Some(7)).unwrap();
    file.chmod(&user, 0o2640).unwrap();
    assert_eq!(
        file.inode.metadata().mode & 0o7777,
        0o640,
        "not in that group"
    );
    assert_eq!(file.chown(&user, None, Some(50)), Ok(()));
    assert_eq!(
        at.mknod(b"/sticky/dev", NewNode::CharDevice(0x103), 0o600),
        Err(Errno::EPERM)
    );
}

#[test]
fn walks_stay_where_they_are_told_to() {
    let process = Process::empty();
    process.at().mkdir(b"/jail", 0o755).unwrap();
    process.at().mkdir(b"/jail/in", 0o755).unwrap();
    process.write_file("/outside", b"");
    process.write_file("/jail/file", b"");
    process.at().symlink(b"/outside", b"/jail/out").unwrap();
    process
        .at()
        .symlink(b"../jail/file", b"/jail/round")
        .unwrap();
    let jail = process.find("/jail").unwrap();
    let at = At {
        dir: Some(&jail),
        ..process.at()
    };
    let find = |path: &str, flags| {
        at.resolve(path.as_bytes(), flags | LookupFlags::FOLLOW)
            .map(drop)
    };
    assert_eq!(find("in/../file", LookupFlags::BENEATH), Ok(()));
    for path in ["../outside", "out", "round", "/jail/file", "in/../.."] {
        assert_eq!(
            find(path, LookupFlags::BENEATH),
            Err(Errno::EXDEV),
            "{path}"
        );
    }
    assert_eq!(find("/../../file", LookupFlags::IN_ROOT), Ok(()));
    assert_eq!(find("out", LookupFlags::IN_ROOT), Err(Errno::ENOENT));
    assert_eq!(find("round", LookupFlags::NO_SYMLINKS), Err(Errno::ELOOP));
    process.at().symlink(b"loop", b"/loop").unwrap();
    assert_eq!(err(process.find("/loop")), Errno::ELOOP);
    assert_eq!(err(process.find(&"/a".repeat(2100))), Errno::ENAMETOOLONG);
}

#[test]
fn paths_follow_renames_and_say_deleted() {
    let process = Process::empty();
    process.at().mkdir(b"/dir", 0o755).unwrap();
    process.write_file("/dir/file", b"");
    let file = process.open("/dir/file", 0).unwrap();
    let text =
        |file: &File| String::from_utf8(file.place().path(&process.root).into_link_text()).unwrap();
    assert_eq!(text(&file), "/dir/file");
    process
        .at()
        .rename(b"/dir", &process.at(), b"/moved", 0)
        .unwrap();
    assert_eq!(text(&file), "/moved/file");
    process.fs.set_cwd(process.find("/moved").unwrap()).unwrap();
    assert_eq!(process.fs.getcwd().unwrap(), b"/moved");
    process.at().unlink(b"file").unwrap();
    assert_eq!(text(&file), "/moved/file (deleted)");
    process.at().rmdir(b"/moved").unwrap();
    assert_eq!(process.fs.getcwd(), Err(Errno::ENOENT));
    assert_eq!(err(process.open("new", O_CREAT | O_WRONLY)), Errno::ENOENT);
    assert_eq!(file.metadata().nlink, 0);
}

#[test]
fn unnamed_files_are_files() {
    let process = Process::empty();
    let file = process.open("/", O_TMPFILE | O_RDWR).unwrap();
    assert_eq!((write(&file, b"x"), file.metadata().nlink), (Ok(1), 0));
    assert_eq!(err(process.open("/", O_TMPFILE)), Errno::EINVAL);
    process.at().link(file.place(), b"/named").unwrap();
    assert_eq!(process.read_file("/named").unwrap(), b"x");
}

#[test]
fn listings_go_on_after_changes() {
    let process = Process::empty();
    for i in 0..100 {
        process.write_file(&format!("/f{i}"), b"");
    }
    let dir = process.open("/", O_DIRECTORY).unwrap();
    let mut seen = Vec::new();
    loop {
        let mut some = 0;
        dir.read_dir(&mut |entry| {
            some += 1;
            if some <= 10 {
                seen.push(String::from_utf8_lossy(entry.name).into_owned())
            };
            some <= 10
        })
        .unwrap();
        if some == 0 {
            break;
        }
        // Everything listed so far goes away, as `rm -r` does.
        for name in seen.iter().filter(|name| !name.starts_with('.')) {
            let _ = process.at().unlink(format!("/{name}").as_bytes());
        }
    }
    assert_eq!(seen.len(), 102);
    assert_eq!(process.names("/"), [".", ".."]);
}

#[test]
fn devices_do_what_they_should() {
    let process = Process::over(devfs(5, host(), Terminals::default()).unwrap());
    assert_eq!(process.read_file("/null").unwrap(), b"");
    let open = |path: &str| process.open(path, O_RDWR).unwrap();
    assert_eq!(read(&open("/zero"), 3).unwrap(), [0; 3]);
    assert_eq!(pread(&open("/zero"), 1 << 40, 2).unwrap(), [0; 2]);
    assert_eq!(write(&open("/full"), b"x"), Err(Errno::ENOSPC));
    assert_eq!(read(&open("/urandom"), 300).unwrap(), [0x5a; 300]);
    assert_eq!(open("/null").seek(77, 0), Ok(0));
    assert_eq!(err(process.open("/tty", O_RDWR)), Errno::ENXIO);
    let metadata = process.find("/null").unwrap().inode.metadata();
    assert_eq!((metadata.mode, metadata.rdev), (0o020_666, 0x103));
    assert!(matches!(
        open("/zero").mapping(true, true),
        Ok(vfs::Mapping::Zero)
    ));
    assert_eq!(open("/zero").ops().unwrap().seek_kind(), SeekKind::Null);
    process
        .at()
        .mknod(b"/mine", NewNode::CharDevice(0x105), 0o600)
        .unwrap();
    assert_eq!(read(&open("/mine"), 1).unwrap(), [0]);
    let plain = Process::empty();
    plain
        .at()
        .mknod(b"/null", NewNode::CharDevice(0x103), 0o600)
        .unwrap();
    assert_eq!(err(plain.open("/null", 0)), Errno::EACCES);
}
