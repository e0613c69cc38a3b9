//! Tries every part of a call that `syscalls.toml` lists: what it claims must be answered, what it lacks must not be.
use crate::kernel::Process;
use crate::mock::{BASE, Mock};
use crate::{DETAILS, Level, Regs, TABLE, dispatch};
use linux_abi::raw::{general as raw, net};
use linux_abi::{Errno, FownerEx};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// What an argument selects.
struct Part {
    call: &'static str,
    argument: &'static str,
    test: &'static str,
    values: &'static [PartValue],
}

struct PartValue {
    name: &'static str,
    value: u64,
    /// The value by the kernel's headers.
    constant: u64,
    level: Level,
}

include!(concat!(env!("OUT_DIR"), "/parts.rs"));

/// The arguments of one attempt, without the one that is tried.
type Attempt = [u64; 6];

/// A kernel with a process, files of several kinds and what the calls point at.
struct Bench {
    k: Mock,
    fds: Vec<u64>,
    sockets: Vec<u64>,
}

impl Bench {
    fn new() -> Self {
        let k = Mock::new();
        let read_write = raw::O_RDWR | raw::O_CREAT;
        let mut fds = vec![
            k.open("/file", read_write) as u64,
            k.open("/", raw::O_DIRECTORY) as u64,
            k.call("memfd_create", [k.text("m"), 2]).unwrap() as u64,
        ];
        let pipe = k.alloc(8);
        k.call("pipe2", [pipe, 0]).unwrap();
        fds.push(u64::from(k.load::<u32>(pipe)));
        let mut sockets = Vec::new();
        for (family, kind) in [
            (net::AF_INET, net::SOCK_STREAM),
            (net::AF_INET6, net::SOCK_STREAM),
            (net::AF_INET, net::SOCK_DGRAM),
            (net::AF_INET6, net::SOCK_DGRAM),
            (net::AF_UNIX, net::SOCK_STREAM),
            (net::AF_UNIX, net::SOCK_DGRAM),
            (net::AF_NETLINK, net::SOCK_RAW),
        ] {
            let fd = k.call("socket", [u64::from(family), u64::from(kind), 0]);
            sockets.push(fd.unwrap() as u64);
        }
        fds.extend(&sockets);
        Self { k, fds, sockets }
    }
}

/// The argument that is tried stands at 0 in what these answer.
fn attempts(bench: &Bench, part: &Part) -> Vec<Attempt> {
    let k = &bench.k;
    // Serves as a number, a structure of zeros, and the name of an interface with the index 1.
    let place = k.alloc(256);
    let interface = k.bytes(&[&b"lo"[..], &[0; 14], &1_u32.to_le_bytes(), &[0; 44]].concat());
    let files = |rest: &dyn Fn(u64) -> Attempt| bench.fds.iter().map(|fd| rest(*fd)).collect();
    match part.call {
        "ioctl" => files(&|fd| [fd, 0, interface, 0, 0, 0]),
        // Zero is a number that many commands take; the place is what the others need.
        "fcntl" => {
            let mut all: Vec<_> = files(&|fd| [fd, 0, place, 0, 0, 0]);
            all.extend::<Vec<_>>(files(&|fd| [fd, 0, 4, 0, 0, 0]));
            // Of an owner: the process, by its number and in a structure.
            let pid = k.getpid();
            let owner = k.value(&FownerEx { type_: 1, pid });
            all.extend::<Vec<_>>(files(&|fd| [fd, 0, pid as u64, 0, 0, 0]));
            all.extend::<Vec<_>>(files(&|fd| [fd, 0, owner, 0, 0, 0]));
            all
        }
        "prctl" => [
            0,
            1,
            place,
            u64::from(linux_abi::raw::prctl::PR_SET_VMA_ANON_NAME),
        ]
        .map(|first| [0, first, 0, 0, 0, 0])
        .to_vec(),
        "socket" => socket_attempts(part.argument),
        "setsockopt" => option_attempts(bench),
        "clone" => {
            let thread = u64::from(raw::CLONE_VM | raw::CLONE_SIGHAND | raw::CLONE_THREAD);
            vec![
                [thread, place, place, place, place, 0],
                [0, place, place, place, place, 0],
            ]
        }
        "mmap" => {
            let anonymous = u64::from(raw::MAP_PRIVATE | raw::MAP_ANONYMOUS);
            vec![
                [BASE, 4096, 3, anonymous, u64::MAX, 0],
                [BASE, 4096, 3, 0, bench.fds[0], 0],
            ]
        }
        "madvise" => vec![[BASE, 4096, 0, 0, 0, 0]],
        // The value that is expected is not there: a wait ends at once.
        "futex" => vec![[place, 0, 1, 0, place, 1]],
        "fallocate" => {
            let keep = u64::from(raw::FALLOC_FL_KEEP_SIZE);
            vec![
                [bench.fds[0], 0, 0, 4096, 0, 0],
                [bench.fds[0], keep, 0, 4096, 0, 0],
            ]
        }
        "memfd_create" => vec![[k.text("name"), 0, 0, 0, 0, 0]],
        "renameat2" => {
            let here = i64::from(raw::AT_FDCWD) as u64;
            k.open("/other", raw::O_RDWR | raw::O_CREAT);
            let [from, new, other] = ["/file", "/new", "/other"].map(|path| k.text(path));
            vec![
                [here, from, here, new, 0, 0],
                [here, from, here, other, 0, 0],
            ]
        }
        "clock_nanosleep" => vec![[0, 0, place, 0, 0, 0]],
        "unshare" | "timerfd_create" => vec![[0; 6]],
        other => panic!("no attempts for {other}"),
    }
}

/// What options take: a number, a structure that starts with one, a name, a group's address.
fn option_attempts(bench: &Bench) -> Vec<Attempt> {
    let [group, own] = [[224, 0, 0, 251], [127, 0, 0, 1]];
    let group6 = [&[0xff, 2][..], &[0; 13], &[0xfb]].concat();
    let values = [
        1_u32.to_le_bytes().to_vec(),
        [1_u64.to_le_bytes(), [0; 8]].concat(),
        b"lo\0\0".to_vec(),
        b"cubic".to_vec(),
        [group, own].concat(),
        [&group6[..], &1_u32.to_le_bytes()].concat(),
    ];
    let mut all = Vec::new();
    for value in &values {
        let place = bench.k.bytes(value);
        let one = |fd: &u64| [*fd, 0, 0, place, value.len() as u64, 0];
        all.extend(bench.sockets.iter().map(one));
    }
    all
}

fn socket_attempts(argument: &str) -> Vec<Attempt> {
    let kinds = [net::SOCK_STREAM, net::SOCK_DGRAM, net::SOCK_RAW].map(u64::from);
    let families = [net::AF_INET, net::AF_UNIX, net::AF_NETLINK].map(u64::from);
    match argument {
        "domain" => kinds.map(|kind| [0, kind, 0, 0, 0, 0]).to_vec(),
        _ => families.map(|family| [family, 0, 0, 0, 0, 0]).to_vec(),
    }
}

/// What Linux, too, answers where it lacks the part.
fn is_lack(call: &str, errno: Errno) -> bool {
    match call {
        "ioctl" => matches!(
            errno,
            Errno::ENOTTY | Errno::EINVAL | Errno::EOPNOTSUPP | Errno::EPERM
        ),
        "futex" => errno == Errno::ENOSYS,
        "socket" => matches!(
            errno,
            Errno::EAFNOSUPPORT | Errno::ESOCKTNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::EINVAL
        ),
        "setsockopt" => !matches!(errno, Errno::EADDRNOTAVAIL | Errno::ENODEV),
        _ => true,
    }
}

/// Whether the shim does something for the value, and whether it says that something is missing.
fn outcome(part: &Part, value: u64) -> (bool, bool) {
    let position = position(part);
    let count = attempts(&Bench::new(), part).len();
    let (mut answered, mut complained) = (false, false);
    for at in 0..count {
        let bench = Bench::new();
        let mut regs = attempts(&bench, part)[at];
        if part.call == "setsockopt" {
            regs[1] = value >> 32;
            regs[2] = value & 0xffff_ffff;
        } else {
            // Flags join those that the attempt is made with.
            regs[position] |= value;
        }
        let nr = TABLE
            .iter()
            .find(|call| call.name() == part.call)
            .unwrap()
            .nr;
        let result = dispatch(&bench.k, usize::from(nr), &Regs::new(regs));
        let complaint = !bench.k.complaints.lock().is_empty();
        complained |= complaint;
        answered |= !complaint && result.map_or_else(|errno| !is_lack(part.call, errno), |_| true);
    }
    (answered, complained)
}

fn position(part: &Part) -> usize {
    let at = TABLE
        .iter()
        .position(|call| call.name() == part.call)
        .unwrap();
    let args = DETAILS[at].args.iter();
    args.clone()
        .position(|(name, _)| *name == part.argument)
        .unwrap()
}

fn problem(part: &Part, value: &PartValue, guest_test: &str) -> Option<String> {
    let (answered, complained) = outcome(part, value.value);
    let claimed = matches!(value.level, Level::Full | Level::Partial | Level::Stub);
    let what = match (claimed, answered) {
        (true, false) if !guest_test.contains(value.name) => "is not answered",
        (false, true) if !guest_test.contains(value.name) => "is answered",
        _ if value.level == Level::Full && complained => "is said to be missing in part",
        _ => return None,
    };
    let Part { call, argument, .. } = part;
    Some(format!(
        "{call} {argument} {}: listed {:?}, but {what}",
        value.name, value.level
    ))
}

#[test]
fn parts_are_what_the_table_says() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
    let mut problems = Vec::new();
    for part in &PARTS {
        let guest_test = match part.test {
            "" => String::new(),
            file => std::fs::read_to_string(root.join(file)).unwrap(),
        };
        problems.extend(
            part.values
                .iter()
                .filter_map(|value| problem(part, value, &guest_test)),
        );
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn values_are_those_of_the_headers() {
    for part in &PARTS {
        for value in part.values {
            assert_eq!(value.value, value.constant, "{}", value.name);
        }
    }
}
