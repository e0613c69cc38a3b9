//! Pipes, FIFOs, eventfd, timerfd, epoll.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use vfs::{
    Epoll, EpollEvent, Errno, File, FileOps, Host, NewNode, PipeEnd, TimerFd, TimerSpec, Wake,
    epoll, eventfd, pipe, poll, timerfd,
};

const ADD: u32 = 1;
const DEL: u32 = 2;
const MOD: u32 = 3;
const ET: u32 = 1 << 31;
const ONESHOT: u32 = 1 << 30;
const EXCLUSIVE: u32 = 1 << 28;

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(&self, _events: u32) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn ep(file: &File) -> &Epoll {
    file.ops_as().unwrap()
}

fn ctl(epoll: &File, op: u32, fd: i32, file: &Arc<File>, events: u32) -> Result<(), Errno> {
    ep(epoll).ctl(
        op,
        fd,
        file,
        EpollEvent {
            events,
            data: fd as u64,
        },
    )
}

fn wait(epoll: &File, max: usize) -> Vec<(u32, u64)> {
    let mut got = Vec::new();
    ep(epoll)
        .collect(max, &mut |event| {
            got.push((event.events, event.data));
            Ok(())
        })
        .unwrap();
    got
}

fn signal(file: &File) {
    write(file, &1_u64.to_le_bytes()).unwrap();
}

#[test]
fn pipe_passes_bytes_and_ends() {
    let (reader, writer) = pipe(0).unwrap();
    assert_eq!(read(&reader, 10), Err(Errno::EAGAIN));
    assert_eq!(write(&writer, b"hello"), Ok(5));
    assert_eq!(read(&reader, 3).unwrap(), b"hel");
    assert_eq!(read(&reader, 10).unwrap(), b"lo");
    assert_eq!(write(&reader, b"x"), Err(Errno::EBADF));
    assert_eq!(reader.seek(0, 0), Err(Errno::ESPIPE));
    assert_eq!(pread(&reader, 0, 1), Err(Errno::ESPIPE));
    drop(writer);
    assert_eq!(reader.poll(), poll::HUP);
    assert_eq!(read(&reader, 10).unwrap(), b"");
    let (reader, writer) = pipe(0).unwrap();
    drop(reader);
    assert_eq!(write(&writer, b"x"), Err(Errno::EPIPE));
    assert_eq!(writer.poll() & poll::ERR, poll::ERR);
}

#[test]
fn pipe_keeps_small_writes_whole() {
    let (reader, writer) = pipe(0).unwrap();
    assert_eq!(write(&writer, &[1; 65_000]), Ok(65_000));
    assert_eq!(write(&writer, &[2; 4096]), Err(Errno::EAGAIN));
    assert_eq!(writer.poll() & poll::OUT, 0);
    assert_eq!(
        write(&writer, &[2; 5000]),
        Ok(536),
        "larger ones may be split"
    );
    assert_eq!(write(&writer, &[2]), Err(Errno::EAGAIN));
    assert_eq!(read(&reader, 60_000).unwrap(), [1; 60_000]);
    assert_eq!(write(&writer, &[3; 50_000]), Ok(50_000), "wraps around");
    assert_eq!(read(&reader, 5000).unwrap(), [1; 5000]);
    assert_eq!(read(&reader, 536).unwrap(), [2; 536]);
    assert_eq!(read(&reader, 100_000).unwrap(), [3; 50_000]);
}

#[test]
fn pipe_capacity_can_be_changed() {
    let (reader, writer) = pipe(0).unwrap();
    let end: &PipeEnd = writer.ops_as().unwrap();
    assert_eq!(end.capacity(), 65_536);
    assert_eq!(end.set_capacity(5000, false), Ok(8192));
    assert_eq!(write(&writer, &[0; 10_000]), Ok(8192));
    assert_eq!(end.set_capacity(4096, false), Err(Errno::EBUSY));
    assert_eq!(end.set_capacity(2 << 20, false), Err(Errno::EPERM));
    assert_eq!(end.set_capacity(2 << 20, true), Ok(2 << 20));
    drop(reader);
}

#[test]
fn pipe_agrees_with_the_native_kernel() {
    use rustix::pipe::{PipeFlags, pipe_with};
    let (native_reader, native_writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
    let (reader, writer) = pipe(0).unwrap();
    let mut seed = 99_u64;
    for i in 0..2000_u64 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Whole pages only: the native pipe counts in pages, ours in bytes.
        let len = (seed % 7) as usize * 4096;
        let data = vec![i as u8; len];
        if seed & 0x1000 == 0 {
            let theirs = rustix::io::write(&native_writer, &data).map_err(|e| e.raw_os_error());
            assert_eq!(
                write(&writer, &data).map_err(|e| i32::from(e.raw())),
                theirs
            );
        } else {
            let mut buffer = vec![0; len];
            let theirs = rustix::io::read(&native_reader, &mut buffer)
                .map(|count| buffer[..count].to_vec())
                .map_err(|e| e.raw_os_error());
            assert_eq!(read(&reader, len).map_err(|e| i32::from(e.raw())), theirs);
        }
    }
}

#[test]
fn fifo_waits_for_the_other_side() {
    let process = Process::empty();
    process.at().mknod(b"/fifo", NewNode::Fifo, 0o644).unwrap();
    assert_eq!(
        err(process.open("/fifo", O_WRONLY | O_NONBLOCK)),
        Errno::ENXIO
    );
    let reader = process.open("/fifo", 0).unwrap();
    assert!(!reader.ops().unwrap().is_open());
    assert_eq!(reader.poll() & poll::HUP, 0, "nobody has hung up yet");
    let writer = process.open("/fifo", O_WRONLY).unwrap();
    assert!(writer.ops().unwrap().is_open() && reader.ops().unwrap().is_open());
    write(&writer, b"through").unwrap();
    drop(writer);
    assert!(reader.ops().unwrap().is_open(), "a writer came and went");
    assert_eq!(read(&reader, 100).unwrap(), b"through");
    assert_eq!(reader.poll(), poll::HUP);
    let second = process.open("/fifo", O_NONBLOCK).unwrap();
    assert!(second.ops().unwrap().is_open());
    let both = process.open("/fifo", O_RDWR).unwrap();
    write(&both, b"x").unwrap();
    assert_eq!(read(&both, 1).unwrap(), b"x");
}

#[test]
fn eventfd_counts() {
    let event = eventfd(3, 0).unwrap();
    assert_eq!(read(&event, 7), Err(Errno::EINVAL));
    assert_eq!(read(&event, 8).unwrap(), 3_u64.to_le_bytes());
    assert_eq!(read(&event, 8), Err(Errno::EAGAIN));
    assert_eq!(write(&event, &u64::MAX.to_le_bytes()), Err(Errno::EINVAL));
    write(&event, &(u64::MAX - 1).to_le_bytes()).unwrap();
    assert_eq!(write(&event, &1_u64.to_le_bytes()), Err(Errno::EAGAIN));
    assert_eq!(event.poll(), poll::IN | poll::RDNORM);
    let semaphore = eventfd(2, 1).unwrap();
    assert_eq!(read(&semaphore, 8).unwrap(), 1_u64.to_le_bytes());
    assert_eq!(read(&semaphore, 8).unwrap(), 1_u64.to_le_bytes());
    assert_eq!(read(&semaphore, 8), Err(Errno::EAGAIN));
}

#[test]
fn timerfd_expires_once_and_again() {
    let machine = host();
    let as_host: Arc<dyn Host> = machine.clone();
    let file = timerfd(&as_host, 1, 0).unwrap();
    let timer: &TimerFd = file.ops_as().unwrap();
    let counter = Arc::new(Counter::default());
    let waker: Arc<dyn Wake> = counter.clone();
    file.wait_list().unwrap().add(&waker);
    timer
        .set(
            0,
            TimerSpec {
                value: 100,
                interval: 0,
            },
        )
        .unwrap();
    machine.advance(99);
    assert_eq!((read(&file, 8), file.poll()), (Err(Errno::EAGAIN), 0));
    assert_eq!(
        timer.get(),
        TimerSpec {
            value: 1,
            interval: 0
        }
    );
    machine.advance(100);
    assert_eq!(counter.0.load(SeqCst), 1);
    assert_eq!(read(&file, 8).unwrap(), 1_u64.to_le_bytes());
    assert_eq!(timer.get(), TimerSpec::default());
    timer
        .set(
            1,
            TimerSpec {
                value: 200,
                interval: 50,
            },
        )
        .unwrap();
    machine.advance(310);
    assert_eq!(read(&file, 8).unwrap(), 3_u64.to_le_bytes());
    machine.advance(350);
    assert_eq!(counter.0.load(SeqCst), 3, "armed again by reading");
    assert_eq!(machine.pending(), 0, "nobody has read");
    assert_eq!(timer.get().value, 50);
    assert_eq!(machine.pending(), 1, "armed again by asking");
    assert_eq!(
        timer.set(0, TimerSpec::default()),
        Ok(TimerSpec {
            value: 50,
            interval: 50
        })
    );
    assert_eq!(read(&file, 8), Err(Errno::EAGAIN));
    assert_eq!(err(timerfd(&as_host, 3, 0)), Errno::EINVAL);
}

#[test]
fn a_timer_that_is_put_off_asks_for_one_call() {
    let machine = host();
    let as_host: Arc<dyn vfs::Host> = machine.clone();
    let file = timerfd(&as_host, 1, 0).unwrap();
    let timer = file.ops_as::<TimerFd>().unwrap();
    let once = |value| {
        let spec = TimerSpec { value, interval: 0 };
        timer.set(0, spec).unwrap();
    };
    once(100);
    for step in 1..50 {
        machine.advance(step);
        once(100);
    }
    assert_eq!(machine.pending(), 1);
    machine.advance(100);
    assert_eq!(read(&file, 8), Err(Errno::EAGAIN));
    assert_eq!(
        machine.pending(),
        1,
        "the call came too early, and is asked for again"
    );
    machine.advance(149);
    assert_eq!(read(&file, 8).unwrap(), 1_u64.to_le_bytes());
    assert_eq!(machine.pending(), 0);
    once(50);
    once(10);
    machine.advance(159);
    assert_eq!(read(&file, 8).unwrap(), 1_u64.to_le_bytes());
}

#[test]
fn of_exclusive_watchers_one_that_is_waited_for_is_told() {
    let event = eventfd(0, 0).unwrap();
    let pollers: Vec<_> = (0..3).map(|_| epoll(0).unwrap()).collect();
    let counters: Vec<_> = (0..3).map(|_| Arc::new(Counter::default())).collect();
    for (poller, counter) in pollers.iter().zip(&counters) {
        ctl(poller, ADD, 1, &event, poll::IN | EXCLUSIVE).unwrap();
        let waker: Arc<dyn Wake> = counter.clone();
        // Nobody waits for the first one: it is told, and the next as well.
        if !Arc::ptr_eq(poller, &pollers[0]) {
            poller.wait_list().unwrap().add(&waker);
        }
    }
    signal(&event);
    let told = || {
        counters
            .iter()
            .map(|counter| counter.0.load(SeqCst))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(), [0, 1, 0]);
    assert_eq!(wait(&pollers[0], 9), [(1, 1)]);
    assert_eq!(wait(&pollers[1], 9), [(1, 1)]);
    ctl(&pollers[1], DEL, 1, &event, 0).unwrap();
    signal(&event);
    assert_eq!(told(), [0, 1, 1]);
}

#[test]
fn epoll_reports_levels_edges_and_once() {
    let poller = epoll(0).unwrap();
    let (level, edge, once) = (
        eventfd(0, 0).unwrap(),
        eventfd(0, 0).unwrap(),
        eventfd(0, 0).unwrap(),
    );
    ctl(&poller, ADD, 1, &level, poll::IN).unwrap();
    ctl(&poller, ADD, 2, &edge, poll::IN | ET).unwrap();
    ctl(&poller, ADD, 3, &once, poll::IN | ONESHOT).unwrap();
    assert_eq!(wait(&poller, 9), []);
    for file in [&level, &edge, &once] {
        signal(file);
    }
    assert_eq!(wait(&poller, 9), [(1, 1), (1, 2), (1, 3)]);
    assert_eq!(wait(&poller, 9), [(1, 1)]);
    signal(&edge);
    signal(&once);
    assert_eq!(wait(&poller, 9), [(1, 1), (1, 2)]);
    ctl(&poller, MOD, 3, &once, poll::IN | ONESHOT).unwrap();
    read(&level, 8).unwrap();
    assert_eq!(poller.poll() & poll::IN, poll::IN);
    assert_eq!(wait(&poller, 9), [(1, 3)]);
    assert_eq!(poller.poll(), 0);
}

#[test]
fn epoll_is_fair_when_there_is_little_room() {
    let poller = epoll(0).unwrap();
    let files: Vec<_> = (0..3).map(|_| eventfd(1, 0).unwrap()).collect();
    for (fd, file) in (0..).zip(&files) {
        ctl(&poller, ADD, fd, file, poll::IN).unwrap();
    }
    let seen: Vec<u64> = (0..6).map(|_| wait(&poller, 1)[0].1).collect();
    assert_eq!(seen, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn epoll_refuses_what_linux_refuses() {
    let process = Process::empty();
    let poller = epoll(0).unwrap();
    let event = eventfd(0, 0).unwrap();
    process.write_file("/regular", b"");
    assert_eq!(
        ctl(
            &poller,
            ADD,
            1,
            &process.open("/regular", 0).unwrap(),
            poll::IN
        ),
        Err(Errno::EPERM)
    );
    assert_eq!(ctl(&poller, ADD, 1, &poller, poll::IN), Err(Errno::EINVAL));
    assert_eq!(ctl(&poller, MOD, 1, &event, poll::IN), Err(Errno::ENOENT));
    assert_eq!(ctl(&poller, DEL, 1, &event, 0), Err(Errno::ENOENT));
    ctl(&poller, ADD, 1, &event, poll::IN | EXCLUSIVE).unwrap();
    assert_eq!(ctl(&poller, ADD, 1, &event, poll::IN), Err(Errno::EEXIST));
    assert_eq!(ctl(&poller, MOD, 1, &event, poll::IN), Err(Errno::EINVAL));
    assert_eq!(ctl(&poller, 9, 1, &event, poll::IN), Err(Errno::EINVAL));
    ctl(&poller, ADD, 2, &event, poll::IN).unwrap();
    ctl(&poller, DEL, 1, &event, 0).unwrap();
    signal(&event);
    assert_eq!(wait(&poller, 9), [(1, 2)]);
}

#[test]
fn epoll_nests_but_not_in_circles() {
    let (outer, inner, event) = (epoll(0).unwrap(), epoll(0).unwrap(), eventfd(0, 0).unwrap());
    ctl(&outer, ADD, 1, &inner, poll::IN).unwrap();
    ctl(&inner, ADD, 2, &event, poll::IN).unwrap();
    assert_eq!(ctl(&inner, ADD, 3, &outer, poll::IN), Err(Errno::ELOOP));
    let counter = Arc::new(Counter::default());
    let waker: Arc<dyn Wake> = counter.clone();
    outer.wait_list().unwrap().add(&waker);
    signal(&event);
    assert!(counter.0.load(SeqCst) > 0);
    assert_eq!(wait(&outer, 9), [(1, 1)]);
    read(&event, 8).unwrap();
    assert_eq!(wait(&outer, 9), []);
}

#[test]
fn epoll_keeps_nothing_of_closed_files() {
    let epoll = epoll(0).unwrap();
    let watched = |epoll: &File| {
        let mut out = Vec::new();
        ep(epoll).fdinfo(&mut out);
        out.iter().filter(|byte| **byte == b'\n').count()
    };
    let mut gone = Vec::new();
    for events in [poll::IN, poll::IN | poll::OUT, poll::IN | ET] {
        let file = eventfd(0, 0).unwrap();
        ctl(&epoll, ADD, 5, &file, events).unwrap();
        gone.push(Arc::downgrade(&file));
    }
    assert_eq!(watched(&epoll), 0);
    assert!(gone.iter().all(|file| file.strong_count() == 0));
    let (reader, writer) = pipe(0).unwrap();
    for (fd, file) in [(5, &reader), (6, &writer)] {
        ctl(&epoll, ADD, fd, file, poll::IN).unwrap();
    }
    // The other end goes on being watched.
    drop(writer);
    assert_eq!(watched(&epoll), 1);
    assert_eq!(wait(&epoll, 4), [(poll::HUP, 5)]);
}

#[test]
fn epoll_forgets_closed_files() {
    let poller = epoll(0).unwrap();
    let event = eventfd(1, 0).unwrap();
    ctl(&poller, ADD, 1, &event, poll::IN).unwrap();
    drop(event);
    assert_eq!(wait(&poller, 9), []);
    let (reader, writer) = pipe(0).unwrap();
    ctl(&poller, ADD, 1, &reader, 0).unwrap();
    assert_eq!(wait(&poller, 9), []);
    drop(writer);
    assert_eq!(
        wait(&poller, 9),
        [],
        "with no events asked for, as after a one-shot report"
    );
    ctl(&poller, MOD, 1, &reader, poll::RDHUP).unwrap();
    assert_eq!(wait(&poller, 9), [(poll::HUP, 1)]);
}

#[test]
fn a_failing_emit_keeps_the_event() {
    let poller = epoll(0).unwrap();
    let event = eventfd(1, 0).unwrap();
    ctl(&poller, ADD, 1, &event, poll::IN | ET).unwrap();
    assert_eq!(
        ep(&poller).collect(4, &mut |_| Err(Errno::EFAULT)),
        Err(Errno::EFAULT)
    );
    assert_eq!(wait(&poller, 9), [(1, 1)]);
}
