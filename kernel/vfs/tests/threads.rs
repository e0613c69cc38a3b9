//! Many threads in one tree: no lock order may lead to a standstill, and the tree must stay a tree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use vfs::{EpollEvent, FileType, LookupFlags, epoll, eventfd, pipe};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn path(&mut self) -> String {
        (0..=self.below(4))
            .map(|_| format!("/{}", char::from(b'a' + self.below(4) as u8)))
            .collect()
    }
}

/// Runs `work` on several threads; fails if they do not end.
fn together(count: u64, work: impl Fn(u64) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let (done, ended) = channel();
    for i in 0..count {
        let (work, done) = (work.clone(), done.clone());
        std::thread::spawn(move || {
            work(i);
            done.send(()).unwrap();
        });
    }
    for _ in 0..count {
        ended
            .recv_timeout(Duration::from_secs(60))
            .expect("a thread is stuck or has failed");
    }
}

fn step(process: &Process, random: &mut Random) {
    let (p, q) = (random.path(), random.path());
    let at = process.at();
    match random.below(10) {
        0 | 1 => drop(at.mkdir(p.as_bytes(), 0o755)),
        2 => drop(at.rmdir(p.as_bytes())),
        3 => drop(at.unlink(p.as_bytes())),
        4 | 5 => drop(at.rename(p.as_bytes(), &at, q.as_bytes(), random.below(3) as u32)),
        6 => drop(
            process
                .open(&p, O_CREAT | O_RDWR)
                .map(|file| write(&file, q.as_bytes())),
        ),
        7 => drop(
            at.resolve(p.as_bytes(), LookupFlags::empty())
                .and_then(|place| at.link(&place, q.as_bytes())),
        ),
        8 => drop(process.open(&p, 0).map(|dir| dir.read_dir(&mut |_| true))),
        _ => drop(process.find(&p).map(|place| place.path(&process.root))),
    }
}

/// Counts, and checks that every directory knows its parent.
fn audit(process: &Process, path: &str) -> usize {
    let here = process
        .find(if path.is_empty() { "/" } else { path })
        .unwrap();
    let mut subdirs = 0;
    let mut count = 1;
    for name in process
        .names(if path.is_empty() { "/" } else { path })
        .iter()
        .filter(|name| !name.starts_with('.'))
    {
        let child = format!("{path}/{name}");
        let place = process
            .at()
            .resolve(child.as_bytes(), LookupFlags::empty())
            .unwrap();
        if place.inode.kind() == FileType::Directory {
            subdirs += 1;
            assert_eq!(place.path(&process.root).bytes, child.as_bytes());
            count += audit(process, &child);
        }
    }
    assert_eq!(here.inode.metadata().nlink, 2 + subdirs, "{path}");
    count
}

#[test]
fn the_tree_stays_a_tree() {
    let process = Arc::new(Process::empty());
    let shared = process.clone();
    together(4, move |i| {
        let mut random = Random((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for _ in 0..20_000 {
            step(&shared, &mut random);
        }
    });
    assert!(audit(&process, "") > 1);
}

#[test]
fn appends_from_all_sides_are_whole() {
    let process = Arc::new(Process::over(vfs::MemFs::tmpfs(1, host(), 10_000, 0o755)));
    process.write_file("/log", b"");
    let shared = process.clone();
    together(4, move |i| {
        let file = shared.open("/log", O_WRONLY | O_APPEND).unwrap();
        for _ in 0..500 {
            assert_eq!(write(&file, &[b'0' + i as u8; 100]), Ok(100));
        }
    });
    let log = process.read_file("/log").unwrap();
    assert_eq!(log.len(), 4 * 500 * 100);
    assert!(
        log.chunks(100)
            .all(|line| line.iter().all(|byte| *byte == line[0]))
    );
}

#[test]
fn events_come_and_go_on_all_sides() {
    let poller = epoll(0).unwrap();
    let events: Vec<_> = (0..4).map(|_| eventfd(0, 0).unwrap()).collect();
    let (reader, writer) = pipe(0).unwrap();
    together(4, move |i| {
        let epoll: &vfs::Epoll = poller.ops_as().unwrap();
        for round in 0..5000_u64 {
            let file = &events[(round % 4) as usize];
            let event = EpollEvent {
                events: 1 | if i == 0 { 1 << 31 } else { 0 },
                data: i,
            };
            let _ = epoll.ctl([1, 3, 2][(round % 3) as usize], i as i32, file, event);
            let _ = epoll.ctl(1, 9, &reader, event);
            let _ = write(file, &1_u64.to_le_bytes());
            let _ = write(&writer, &[1; 100]);
            let _ = epoll.collect(3, &mut |_| Ok(()));
            let _ = read(file, 8);
            let _ = read(&reader, 1000);
            let _ = poller.poll();
        }
    });
}
