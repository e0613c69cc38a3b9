//! Every call, with arguments that no program would pass: whatever comes, it is an errno and not a panic.
use crate::kernel::Files;
use crate::mock::{BASE, Mock};
use crate::sys::sockets::double;
use crate::{Regs, TABLE, dispatch};
use ::net::{Control, SocketType};
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::{general as raw, net};
use std::vec;
use std::vec::Vec;

/// A small generator (xorshift64*), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Numbers around which things go wrong.
const EDGES: [u64; 24] = [
    0,
    1,
    2,
    8,
    16,
    63,
    64,
    255,
    1024,
    4095,
    4096,
    65536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_efff,
    0x7fff_ffff_f000,
    0x8000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_f000,
    u64::MAX - 1,
    u64::MAX,
];

fn argument(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => EDGES[random.below(24) as usize],
        1 => EDGES[random.below(24) as usize]
            .wrapping_add(random.below(64))
            .wrapping_sub(32),
        // Into the program's memory, mostly aligned, at times at its end.
        2 | 3 => BASE + 8 * random.below(512),
        4 => BASE + 0x40000 - random.below(64),
        // Descriptors and small flags.
        5 | 6 => random.below(16),
        _ => 1 << random.below(64),
    }
}

/// Files of all kinds under small numbers, and memory that holds plausible and other numbers.
fn prepare(random: &mut Random) -> Mock {
    let k = Mock::new();
    k.interrupted.store(true, Relaxed);
    let words: Vec<u64> = (0..512).map(|_| argument(random)).collect();
    for word in &words {
        k.value(word);
    }
    k.open("/f", raw::O_RDWR | raw::O_CREAT);
    k.open("/", raw::O_DIRECTORY);
    k.open("/f", raw::O_PATH);
    let nonblocking = u64::from(raw::O_NONBLOCK);
    k.call("pipe2", [k.alloc(8), nonblocking]).unwrap();
    k.call("eventfd2", [0, nonblocking]).unwrap();
    k.call("timerfd_create", [1, nonblocking]).unwrap();
    k.call("epoll_create1", [0]).unwrap();
    k.call("memfd_create", [k.text("m"), 2]).unwrap();
    for (family, kind) in [
        (net::AF_UNIX, SocketType::Stream),
        (net::AF_UNIX, SocketType::SeqPacket),
        (net::AF_INET, SocketType::Stream),
        (net::AF_INET6, SocketType::Datagram),
    ] {
        let (state, _) = double::open(&k, family, kind, true);
        for word in words.iter().take(32) {
            let control = vec![
                Control::Rights(k.files().get(0).into_iter().collect()),
                Control::Dropped(1),
            ];
            state.arrives_with(double::Message {
                bytes: word.to_le_bytes().to_vec(),
                control,
                ..double::Message::default()
            });
        }
    }
    k
}

#[test]
fn no_arguments_make_a_call_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..200 {
        let k = prepare(&mut random);
        for _ in 0..1000 {
            let call = &TABLE[random.below(TABLE.len() as u64) as usize];
            let regs = Regs::new(core::array::from_fn(|_| argument(&mut random)));
            let answer = dispatch(&k, usize::from(call.nr), &regs);
            if let Err(errno) = answer {
                assert_ne!(errno.name(), "E???", "{} {regs:x?}", call.name());
            }
        }
    }
}
