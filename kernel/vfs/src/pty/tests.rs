#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::file::File;
use crate::io::{SliceSink, SliceSource, UserMemory};
use crate::types::{Timestamp, poll};
use crate::wait::Wake;
use linux_abi::raw::general::{ECHO, ICANON, O_NOCTTY, O_RDWR, TOSTOP, VMIN, VTIME};
use linux_abi::raw::ioctl as raw;
use linux_abi::{Abi, Termios, Winsize};
use std::string::{String, ToString};
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::vec;
use std::vec::Vec;

/// A leader of session 10, its job 11 in the same session, and 20, the leader of another.
const SHELL: Job = Job {
    pid: 10,
    group: 10,
    session: 10,
    uid: 0,
};
const JOB: Job = Job {
    pid: 11,
    group: 11,
    session: 10,
    uid: 0,
};
const OTHER: Job = Job {
    pid: 20,
    group: 20,
    session: 20,
    uid: 1,
};

struct World {
    caller: StdMutex<Job>,
    heeds: StdMutex<bool>,
    can_stop: StdMutex<bool>,
    sent: StdMutex<Vec<(i32, Signal)>>,
    now: AtomicU64,
}

impl Jobs for World {
    fn caller(&self) -> Job {
        *self.caller.lock().unwrap()
    }

    fn session_of(&self, group: i32) -> Option<i32> {
        let all = [SHELL, JOB, OTHER];
        Some(all.iter().find(|job| job.group == group)?.session)
    }

    fn signal_group(&self, group: i32, signal: Signal) {
        self.sent.lock().unwrap().push((-group, signal));
    }

    fn signal_process(&self, pid: i32, signal: Signal) {
        self.sent.lock().unwrap().push((pid, signal));
    }

    fn heeds(&self, _signal: Signal) -> bool {
        *self.heeds.lock().unwrap()
    }

    fn can_stop(&self) -> bool {
        *self.can_stop.lock().unwrap()
    }

    fn has_console(&self, _session: i32) -> bool {
        false
    }
}

impl Host for World {
    fn wall_time(&self) -> Timestamp {
        Timestamp::default()
    }

    fn clock(&self, _clock: u32) -> u64 {
        self.now.load(SeqCst)
    }

    fn wake_at(&self, _clock: u32, _deadline: u64, _whom: Weak<dyn Wake>) {}

    fn random(&self, _into: &mut [u8]) {}
}

/// The argument of an ioctl(2), at whatever address.
struct Argument(StdMutex<Vec<u8>>);

impl UserMemory for Argument {
    fn read(&self, _addr: u64, into: &mut [u8]) -> Result<()> {
        let bytes = self.0.lock().unwrap();
        into.copy_from_slice(&bytes[..into.len()]);
        Ok(())
    }

    fn write(&self, _addr: u64, from: &[u8]) -> Result<()> {
        *self.0.lock().unwrap() = from.to_vec();
        Ok(())
    }
}

struct Bench {
    world: Arc<World>,
    ptys: Arc<Ptys>,
    master: Arc<dyn FileOps>,
}

type Ops = Arc<dyn FileOps>;

fn bench() -> Bench {
    let world = Arc::new(World {
        caller: StdMutex::new(SHELL),
        heeds: StdMutex::new(true),
        can_stop: StdMutex::new(true),
        sent: StdMutex::default(),
        now: AtomicU64::new(1),
    });
    let ptys = Ptys::new(9, world.clone(), world.clone());
    let master = ptys.open_master().unwrap();
    Bench {
        world,
        ptys,
        master,
    }
}

/// The same, unlocked, with its slave opened by the leader of a session, which thereby has a terminal.
fn open_bench() -> (Bench, Ops) {
    let bench = bench();
    set(&bench.master, raw::TIOCSPTLCK, &0i32).unwrap();
    let slave = bench.open(0, O_RDWR).unwrap();
    (bench, slave)
}

impl Bench {
    fn open(&self, number: u32, flags: u32) -> Result<Ops> {
        let inode = self
            .ptys
            .root()
            .unwrap()
            .lookup(number.to_string().as_bytes())?;
        Ok(inode.open(flags)?.unwrap())
    }

    fn become_(&self, job: Job) {
        *self.world.caller.lock().unwrap() = job;
    }

    fn sent(&self) -> Vec<(i32, Signal)> {
        std::mem::take(&mut self.world.sent.lock().unwrap())
    }
}

fn read(ops: &Ops) -> Result<String> {
    let mut buffer = vec![0; 100_000];
    let count = ops.read(0, &mut SliceSink::new(&mut buffer))?;
    Ok(String::from_utf8(buffer[..count].to_vec()).unwrap())
}

fn write(ops: &Ops, bytes: &[u8]) -> Result<usize> {
    ops.write(0, &mut SliceSource::new(bytes))
}

fn get<T: Abi>(ops: &Ops, command: u32) -> Result<T> {
    let argument = Argument(StdMutex::default());
    ops.ioctl(command, 0, &argument)?;
    let mut value = T::new_zeroed();
    let bytes = argument.0.lock().unwrap();
    value.as_mut_bytes().copy_from_slice(&bytes);
    Ok(value)
}

fn set<T: Abi>(ops: &Ops, command: u32, value: &T) -> Result<usize> {
    ops.ioctl(
        command,
        0,
        &Argument(StdMutex::new(value.as_bytes().to_vec())),
    )
}

fn change(ops: &Ops, with: impl FnOnce(&mut Termios)) {
    let mut termios: Termios = get(ops, raw::TCGETS).unwrap();
    with(&mut termios);
    set(ops, raw::TCSETS, &termios).unwrap();
}

#[test]
fn a_line_goes_each_way_through_the_discipline() {
    let (bench, slave) = open_bench();
    assert_eq!(read(&bench.master), Err(Errno::EAGAIN));
    assert_eq!(write(&bench.master, b"helo\x7flo\r"), Ok(8));
    assert_eq!(read(&slave), Ok("hello\n".into()));
    assert_eq!(read(&bench.master), Ok("helo\x08 \x08lo\r\n".into()));
    assert_eq!(write(&slave, b"out\n"), Ok(4));
    assert_eq!(get::<i32>(&bench.master, raw::FIONREAD), Ok(5));
    assert_eq!(read(&bench.master), Ok("out\r\n".into()));
    write(&bench.master, b"\x04").unwrap();
    assert_eq!(read(&slave), Ok(String::new()));
    assert_eq!(read(&slave), Err(Errno::EAGAIN));
}

#[test]
fn numbers_are_the_lowest_free_and_slaves_are_locked_at_first() {
    let bench = bench();
    let second = bench.ptys.open_master().unwrap();
    assert_eq!(get::<u32>(&bench.master, raw::TIOCGPTN), Ok(0));
    assert_eq!(get::<u32>(&second, raw::TIOCGPTN), Ok(1));
    assert_eq!(get::<i32>(&second, raw::TIOCGPTLCK), Ok(1));
    assert_eq!(bench.open(1, O_RDWR).err(), Some(Errno::EIO));
    set(&second, raw::TIOCSPTLCK, &0i32).unwrap();
    assert!(bench.open(1, O_RDWR).is_ok());
    let mut names = Vec::new();
    let root = bench.ptys.root().unwrap();
    root.readdir(0, &mut |entry| {
        names.push(String::from_utf8(entry.name.to_vec()).unwrap());
        true
    })
    .unwrap();
    assert_eq!(names, [".", "..", "0", "1"]);
    assert_eq!(root.lookup(b"1").unwrap().metadata().rdev, 136 << 8 | 1);
    for wrong in [&b"01"[..], b"+1", b"2", b"x"] {
        assert!(root.lookup(wrong).is_err());
    }
    drop(bench.master);
    assert!(root.lookup(b"0").is_err());
    let third = bench.ptys.open_master().unwrap();
    assert_eq!(get::<u32>(&third, raw::TIOCGPTN), Ok(0));
}

#[test]
fn a_leader_without_a_terminal_gets_the_one_it_opens() {
    let (bench, slave) = open_bench();
    assert_eq!(get::<i32>(&slave, raw::TIOCGSID), Ok(10));
    assert_eq!(get::<i32>(&slave, raw::TIOCGPGRP), Ok(10));
    assert!(bench.ptys.open_controlling().is_ok());
    bench.become_(OTHER);
    assert_eq!(bench.ptys.open_controlling().err(), Some(Errno::ENXIO));
    assert_eq!(get::<i32>(&slave, raw::TIOCGPGRP), Err(Errno::ENOTTY));
    // It is another session's, and only root may steal it.
    assert_eq!(
        slave.ioctl(raw::TIOCSCTTY, 1, &Argument(StdMutex::default())),
        Err(Errno::EPERM)
    );
    let second = bench.ptys.open_master().unwrap();
    set(&second, raw::TIOCSPTLCK, &0i32).unwrap();
    let mine = bench.open(1, O_RDWR | O_NOCTTY).unwrap();
    assert_eq!(get::<i32>(&mine, raw::TIOCGSID), Err(Errno::ENOTTY));
    assert_eq!(
        mine.ioctl(raw::TIOCSCTTY, 0, &Argument(StdMutex::default())),
        Ok(0)
    );
    assert_eq!(get::<i32>(&mine, raw::TIOCGSID), Ok(20));
    assert_eq!(get::<i32>(&second, raw::TIOCGPGRP), Ok(20));
}

#[test]
fn keys_and_sizes_signal_the_foreground_group() {
    let (bench, slave) = open_bench();
    assert_eq!(set(&slave, raw::TIOCSPGRP, &11i32), Ok(0));
    assert_eq!(
        set(&slave, raw::TIOCSPGRP, &99i32).err(),
        Some(Errno::ERESTARTSYS)
    );
    bench.become_(JOB);
    for (group, errno) in [(99, Errno::ESRCH), (20, Errno::EPERM), (-1, Errno::EINVAL)] {
        assert_eq!(set(&slave, raw::TIOCSPGRP, &group), Err(errno));
    }
    bench.sent();
    write(&bench.master, b"\x03\x1c\x1a").unwrap();
    let size = Winsize {
        row: 24,
        col: 80,
        ..Winsize::default()
    };
    set(&bench.master, raw::TIOCSWINSZ, &size).unwrap();
    set(&bench.master, raw::TIOCSWINSZ, &size).unwrap();
    let signals = [
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTSTP,
        Signal::SIGWINCH,
    ];
    assert_eq!(bench.sent(), signals.map(|signal| (-11, signal)));
    assert_eq!(get::<Winsize>(&slave, raw::TIOCGWINSZ), Ok(size));
}

#[test]
fn who_is_in_the_background_is_stopped_or_refused() {
    let (bench, slave) = open_bench();
    write(&bench.master, b"line\n").unwrap();
    bench.become_(JOB);
    assert_eq!(read(&slave), Err(Errno::ERESTARTSYS));
    assert_eq!(bench.sent(), [(-11, Signal::SIGTTIN)]);
    assert_eq!(write(&slave, b"free"), Ok(4));
    bench.become_(SHELL);
    change(&slave, |termios| termios.lflag |= TOSTOP);
    bench.become_(JOB);
    assert_eq!(write(&slave, b"x"), Err(Errno::ERESTARTSYS));
    assert_eq!(bench.sent(), [(-11, Signal::SIGTTOU)]);
    *bench.world.can_stop.lock().unwrap() = false;
    assert_eq!(read(&slave), Err(Errno::EIO));
    *bench.world.heeds.lock().unwrap() = false;
    assert_eq!(write(&slave, b"x"), Ok(1));
    assert_eq!(read(&slave), Err(Errno::EIO));
    assert_eq!(bench.sent(), []);
}

#[test]
fn each_side_sees_the_other_leave() {
    let (bench, slave) = open_bench();
    assert_eq!(bench.master.poll(), poll::OUT | poll::WRNORM);
    write(&slave, b"bye").unwrap();
    drop(slave);
    assert_ne!(bench.master.poll() & poll::HUP, 0);
    assert_eq!(read(&bench.master), Ok("bye".into()));
    assert_eq!(read(&bench.master), Err(Errno::EIO));
    let again = bench.open(0, O_RDWR).unwrap();
    assert_eq!(read(&bench.master), Err(Errno::EAGAIN));
    drop(bench.master);
    let told = std::mem::take(&mut *bench.world.sent.lock().unwrap());
    assert_eq!(told, [(10, Signal::SIGHUP), (10, Signal::SIGCONT)]);
    assert_eq!(read(&again), Ok(String::new()));
    assert_eq!(write(&again, b"x"), Err(Errno::EIO));
    assert_eq!(get::<Termios>(&again, raw::TCGETS).err(), Some(Errno::EIO));
    assert_ne!(again.poll() & poll::HUP, 0);
}

#[test]
fn the_end_of_a_session_hangs_its_terminal_up() {
    let (bench, slave) = open_bench();
    set(&slave, raw::TIOCSPGRP, &11i32).unwrap();
    bench.ptys.session_ended(10);
    assert_eq!(
        bench.sent(),
        [(-11, Signal::SIGHUP), (-11, Signal::SIGCONT)]
    );
    assert_eq!(read(&slave), Ok(String::new()));
    bench.become_(OTHER);
    let next = bench.open(0, O_RDWR).unwrap();
    assert_eq!(get::<i32>(&next, raw::TIOCGSID), Ok(20));
    bench.ptys.session_ended(10);
    assert_eq!(bench.sent(), []);
}

#[test]
fn nothing_is_lost_where_there_is_no_room() {
    let (bench, slave) = open_bench();
    let line = [vec![b'x'; 1000], vec![b'\n']].concat();
    let mut typed = 0;
    while let Ok(count) = write(&bench.master, &line) {
        typed += count;
        let _ = read(&bench.master);
        assert!(typed < 100_000, "it takes all");
        if count < line.len() {
            break;
        }
    }
    assert_eq!(bench.master.poll() & poll::OUT, 0);
    let mut got = 0;
    while let Ok(text) = read(&slave) {
        got += text.len();
    }
    // What is left is the begin of a line.
    assert_eq!(got, typed / line.len() * line.len());
    let text = vec![b'y'; 100_000];
    let written = write(&slave, &text).unwrap();
    assert!(written < text.len());
    assert_eq!(write(&slave, &text), Err(Errno::EAGAIN));
    assert_eq!(slave.poll() & poll::OUT, 0);
    let mut seen = 0;
    while let Ok(text) = read(&bench.master) {
        seen += text.matches('y').count();
    }
    assert_eq!(seen, written);
}

#[test]
fn reads_without_lines_end_in_time() {
    let (bench, slave) = open_bench();
    change(&slave, |termios| {
        termios.lflag &= !(ICANON | ECHO);
        termios.cc[VMIN as usize] = 0;
        termios.cc[VTIME as usize] = 1;
    });
    assert_eq!(read(&slave), Err(Errno::EAGAIN));
    bench.world.now.store(100_000_002, SeqCst);
    assert_eq!(read(&slave), Ok(String::new()));
    write(&bench.master, b"a").unwrap();
    assert_eq!(read(&slave), Ok("a".into()));
}

#[test]
fn a_file_of_it_is_a_terminal() {
    let (_bench, slave) = open_bench();
    let file = File::from_ops(slave, O_RDWR);
    assert_eq!(file.inode().describe().as_deref(), Some(&b"/dev/pts/0"[..]));
}
