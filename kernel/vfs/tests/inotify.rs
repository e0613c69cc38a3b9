//! inotify: what a watch tells, and what ends it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use std::sync::Arc;
use vfs::{Errno, File, Inotify, MemFs, inotify, poll};

const MODIFY: u32 = 0x2;
const ATTRIB: u32 = 0x4;
const MOVED_FROM: u32 = 0x40;
const MOVED_TO: u32 = 0x80;
const DELETE_SELF: u32 = 0x400;
const OVERFLOW: u32 = 0x4000;
const IGNORED: u32 = 0x8000;
const ONESHOT: u32 = 1 << 31;

/// Watches know files by device and number, so each test has a device of its own.
fn on_device(dev: u64) -> Process {
    Process::over(MemFs::tmpfs(dev, host(), 1024, 0o755))
}

fn watch(watcher: &File, process: &Process, path: &str, mask: u32) -> i32 {
    let inode = process.find(path).unwrap().inode;
    watcher
        .ops_as::<Inotify>()
        .unwrap()
        .add_watch(&inode, mask)
        .unwrap()
}

/// Watch, mask, and cookie of each event.
fn events(watcher: &Arc<File>) -> Vec<(i32, u32, u32)> {
    let mut seen = Vec::new();
    while let Ok(bytes) = read(watcher, 4096) {
        let words: Vec<u32> = bytes
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect();
        let mut at = 0;
        while at < words.len() {
            seen.push((words[at] as i32, words[at + 1], words[at + 2]));
            at += 4 + words[at + 3] as usize / 4;
        }
    }
    seen
}

#[test]
fn both_halves_of_a_move_have_one_cookie() {
    let process = on_device(101);
    let watcher = inotify(0).unwrap();
    for dir in ["/a", "/b"] {
        process.at().mkdir(dir.as_bytes(), 0o755).unwrap();
        watch(&watcher, &process, dir, MOVED_FROM | MOVED_TO);
    }
    process.write_file("/a/f", b"");
    process
        .at()
        .rename(b"/a/f", &process.at(), b"/b/g", 0)
        .unwrap();
    let seen = events(&watcher);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].0, seen[0].1), (1, MOVED_FROM));
    assert_eq!((seen[1].0, seen[1].1), (2, MOVED_TO));
    assert!(seen[0].2 == seen[1].2 && seen[0].2 != 0);
}

#[test]
fn a_watch_ends_with_its_inode_or_after_one_event() {
    let process = on_device(102);
    let watcher = inotify(0).unwrap();
    process.write_file("/f", b"");
    watch(&watcher, &process, "/f", DELETE_SELF | ATTRIB);
    let open = process.open("/f", O_WRONLY).unwrap();
    process.at().unlink(b"/f").unwrap();
    assert_eq!(events(&watcher), [(1, ATTRIB, 0)]);
    drop(open);
    assert_eq!(events(&watcher), [(1, DELETE_SELF, 0), (1, IGNORED, 0)]);
    assert_eq!(watcher.poll(), 0);
    process.write_file("/once", b"");
    watch(&watcher, &process, "/once", MODIFY | ONESHOT);
    process.write_file("/once", b"1");
    process.write_file("/once", b"2");
    assert_eq!(watcher.poll(), poll::IN | poll::RDNORM);
    assert_eq!(events(&watcher), [(2, MODIFY, 0), (2, IGNORED, 0)]);
    assert_eq!(
        watcher.ops_as::<Inotify>().unwrap().remove_watch(2),
        Err(Errno::EINVAL)
    );
}

#[test]
fn a_full_queue_says_so_once() {
    let process = on_device(103);
    let watcher = inotify(0).unwrap();
    for path in ["/a", "/b"] {
        process.write_file(path, b"");
        watch(&watcher, &process, path, MODIFY);
    }
    let files = ["/a", "/b"].map(|path| process.open(path, O_WRONLY).unwrap());
    for step in 0..20_000 {
        write(&files[step % 2], b"x").unwrap();
    }
    let seen = events(&watcher);
    assert_eq!(seen.len(), 16_385);
    assert_eq!(seen.last(), Some(&(-1, OVERFLOW, 0)));
    write(&files[0], b"x").unwrap();
    assert_eq!(events(&watcher), [(1, MODIFY, 0)]);
}
