use crate::kernel::Files;
use crate::mock::Mock;
use crate::sys::io_uring::instance::Uring;
use crate::sys::io_uring::rings::Cqe;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::general::{O_CREAT, O_RDWR};
use linux_abi::raw::io_uring::{self as raw, io_uring_op as op};
use linux_abi::zerocopy::IntoBytes;
use linux_abi::{Errno, IoUringParams, IoUringSqe, Timespec};
use std::boxed::Box;
use std::sync::Arc;
use std::vec::Vec;

const LINK: u8 = 4;

/// An instance and a program that uses its memory.
struct Program<'a> {
    k: &'a Mock,
    fd: u64,
    ring: Arc<Uring>,
    params: IoUringParams,
}

impl<'a> Program<'a> {
    fn new(k: &'a Mock, entries: u64, flags: u32) -> Self {
        let params = k.value(&IoUringParams {
            flags,
            ..IoUringParams::default()
        });
        let fd = k.call("io_uring_setup", [entries, params]).unwrap() as u64;
        assert!(k.files().cloexec(fd as i32).unwrap());
        let ring = Uring::of(&k.files().get(fd as i32).unwrap()).unwrap();
        let params = k.load(params);
        Self {
            k,
            fd,
            ring,
            params,
        }
    }

    fn word(&self, at: u32) -> &core::sync::atomic::AtomicU32 {
        self.ring.rings.memory.word(at as usize).unwrap()
    }

    /// Puts a request into the submission ring, as the program would.
    fn put(&self, sqe: &IoUringSqe) {
        let (sq, entries) = (&self.params.sq_off, self.params.sq_entries);
        let tail = self.word(sq.tail).load(Relaxed);
        let place = tail % entries;
        let rings = (sq.array + 4 * entries).next_multiple_of(4096);
        for (at, word) in (0..).zip(sqe.as_bytes().chunks(4)) {
            let value = u32::from_le_bytes(word.try_into().unwrap());
            self.word(rings + 64 * place + 4 * at).store(value, Relaxed);
        }
        self.word(sq.array + 4 * place).store(place, Relaxed);
        self.word(sq.tail).store(tail + 1, Relaxed);
    }

    fn request(&self, op: op, fd: u64, addr: u64, len: u32, user_data: u64, flags: u8) {
        self.put(&IoUringSqe {
            opcode: op as u8,
            fd: fd as i32,
            addr,
            len,
            user_data,
            flags,
            ..IoUringSqe::default()
        });
    }

    fn enter(&self, submit: u64, wait: u64) -> Result<usize, Errno> {
        let flags = if wait > 0 {
            raw::IORING_ENTER_GETEVENTS
        } else {
            0
        };
        self.k.call(
            "io_uring_enter",
            [self.fd, submit, wait, u64::from(flags), 0, 0],
        )
    }

    fn take(&self) -> Vec<(u64, i32)> {
        let cq = &self.params.cq_off;
        let mut seen = Vec::new();
        loop {
            let head = self.word(cq.head).load(Relaxed);
            if head == self.word(cq.tail).load(Relaxed) {
                return seen;
            }
            let at = cq.cqes + 16 * (head % self.params.cq_entries);
            let user_data = u64::from(self.word(at).load(Relaxed));
            seen.push((user_data, self.word(at + 8).load(Relaxed) as i32));
            self.word(cq.head).store(head + 1, Relaxed);
        }
    }
}

fn pipe(k: &Mock) -> [u64; 2] {
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    k.load::<[u32; 2]>(fds).map(u64::from)
}

#[test]
fn files_are_read_and_written_in_order_of_submission() {
    let k = Mock::new();
    let p = Program::new(&k, 3, 0);
    assert_eq!((p.params.sq_entries, p.params.cq_entries), (4, 8));
    let fd = k.open("/f", O_RDWR | O_CREAT) as u64;
    let (text, into) = (k.bytes(b"text"), k.alloc(8));
    p.request(op::IORING_OP_WRITE, fd, text, 4, 1, LINK);
    p.request(op::IORING_OP_READ, fd, into, 8, 2, LINK);
    // The read was short: what is linked to it is not done.
    p.request(op::IORING_OP_NOP, 0, 0, 0, 3, 0);
    assert_eq!(p.enter(3, 0), Ok(3));
    let cancelled = -(Errno::ECANCELED.raw() as i32);
    assert_eq!(p.take(), [(1, 4), (2, 4), (3, cancelled)]);
    assert_eq!(k.load_bytes(into, 4), b"text");
    for (opcode, complaints) in [(250, 0), (op::IORING_OP_SPLICE as u8, 1)] {
        p.put(&IoUringSqe {
            opcode,
            ..IoUringSqe::default()
        });
        assert_eq!(p.enter(1, 1), Ok(1));
        assert_eq!(p.take(), [(0, -(Errno::EINVAL.raw() as i32))]);
        assert_eq!(k.complaints.lock().len(), complaints);
    }
}

#[test]
fn what_cannot_go_on_waits_for_its_file() {
    let k = Mock::new();
    let p = Program::new(&k, 4, 0);
    let [r, w] = pipe(&k);
    let into = k.alloc(8);
    p.request(op::IORING_OP_READ, r, into, 8, 1, 0);
    assert_eq!(p.enter(1, 0), Ok(1));
    assert_eq!(p.take(), []);
    let flags = p.params.sq_off.flags;
    assert_eq!(p.word(flags).load(Relaxed) & raw::IORING_SQ_TASKRUN, 0);
    k.call("write", [w, k.bytes(b"x"), 1]).unwrap();
    assert_eq!(
        p.word(flags).load(Relaxed) & raw::IORING_SQ_TASKRUN,
        raw::IORING_SQ_TASKRUN
    );
    assert_eq!(p.enter(0, 0), Ok(0));
    assert_eq!(p.take(), [(1, 1)]);
    p.request(op::IORING_OP_READ, r, into, 8, 2, 0);
    k.meanwhile.lock().push(Box::new(move |k: &Mock| {
        k.call("write", [w, k.bytes(b"yz"), 2]).unwrap();
    }));
    assert_eq!(p.enter(1, 1), Ok(1));
    assert_eq!(p.take(), [(2, 2)]);
    p.request(op::IORING_OP_READ, r, into, 8, 3, 0);
    p.request(op::IORING_OP_ASYNC_CANCEL, 0, 3, 0, 4, 0);
    assert_eq!(p.enter(2, 0), Ok(2));
    assert_eq!(p.take(), [(3, -(Errno::ECANCELED.raw() as i32)), (4, 0)]);
}

#[test]
fn timeouts_end_by_themselves_or_with_what_they_limit() {
    let k = Mock::new();
    let p = Program::new(&k, 4, 0);
    let [r, _w] = pipe(&k);
    let late = -(Errno::ETIME.raw() as i32);
    let second = k.value(&Timespec { sec: 1, nsec: 0 });
    p.request(op::IORING_OP_TIMEOUT, 0, second, 1, 1, 0);
    assert_eq!(p.enter(1, 0), Ok(1));
    assert_eq!(p.take(), []);
    k.host.advance_to(2_500_000_000);
    assert_eq!(p.enter(0, 0), Ok(0));
    assert_eq!(p.take(), [(1, late)]);
    p.request(op::IORING_OP_READ, r, k.alloc(8), 8, 2, LINK);
    p.request(op::IORING_OP_LINK_TIMEOUT, 0, second, 1, 3, 0);
    assert_eq!(p.enter(2, 0), Ok(2));
    k.host.advance_to(5_000_000_000);
    assert_eq!(p.enter(0, 0), Ok(0));
    assert_eq!(p.take(), [(2, -(Errno::ECANCELED.raw() as i32)), (3, late)]);
}

#[test]
fn a_full_ring_keeps_what_it_has_no_room_for() {
    let k = Mock::new();
    let p = Program::new(&k, 1, 0);
    let overflow = raw::IORING_SQ_CQ_OVERFLOW;
    let flags = || p.word(p.params.sq_off.flags).load(Relaxed);
    for n in 0..4 {
        p.ring.post(
            Cqe {
                user_data: n,
                res: 0,
                flags: 0,
            },
            true,
        );
    }
    assert_eq!(flags() & overflow, overflow);
    assert_eq!(p.take(), [(0, 0), (1, 0)]);
    assert_eq!(p.enter(0, 2), Ok(0));
    assert_eq!(flags() & overflow, 0);
    assert_eq!(p.take(), [(2, 0), (3, 0)]);
}

#[test]
fn registered_files_and_bad_arguments() {
    let k = Mock::new();
    let p = Program::new(&k, 4, 0);
    let register = |op: raw::io_uring_register_op, arg, nr| {
        k.call("io_uring_register", [p.fd, op as u64, arg, nr])
    };
    use raw::io_uring_register_op as reg;
    let fd = k.open("/f", O_RDWR | O_CREAT);
    let fds = k.value(&[fd, -1]);
    assert_eq!(
        register(reg::IORING_UNREGISTER_FILES, 0, 0),
        Err(Errno::ENXIO)
    );
    assert_eq!(register(reg::IORING_REGISTER_FILES, fds, 2), Ok(0));
    assert_eq!(
        register(reg::IORING_REGISTER_FILES, fds, 2),
        Err(Errno::EBUSY)
    );
    assert_eq!(
        register(reg::IORING_REGISTER_BUFFERS, 0, 0),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        register(reg::IORING_REGISTER_EVENTFD, fds, 1),
        Err(Errno::EINVAL)
    );
    p.request(op::IORING_OP_WRITE, 0, k.bytes(b"ab"), 2, 1, 1);
    p.request(op::IORING_OP_WRITE, 1, k.bytes(b"ab"), 2, 2, 1);
    assert_eq!(p.enter(2, 0), Ok(2));
    assert_eq!(p.take(), [(1, 2), (2, -(Errno::EBADF.raw() as i32))]);
    let bad = |entries, flags| {
        let params = IoUringParams {
            flags,
            ..IoUringParams::default()
        };
        k.call("io_uring_setup", [entries, k.value(&params)])
    };
    assert_eq!(bad(0, 0), Err(Errno::EINVAL));
    assert_eq!(bad(4, raw::IORING_SETUP_SQPOLL), Err(Errno::EINVAL));
    let enter = |fd, flags| k.call("io_uring_enter", [fd, 0, 0, flags, 0, 0]);
    assert_eq!(enter(p.fd, 1 << 31), Err(Errno::EINVAL));
    assert_eq!(enter(fd as u64, 0), Err(Errno::EOPNOTSUPP));
    assert_eq!(enter(99, 0), Err(Errno::EBADF));
}

#[test]
fn a_poll_can_go_on_telling() {
    let k = Mock::new();
    let p = Program::new(&k, 4, 0);
    let [r, w] = pipe(&k);
    k.call("write", [w, k.bytes(b"x"), 1]).unwrap();
    p.put(&IoUringSqe {
        opcode: op::IORING_OP_POLL_ADD as u8,
        fd: r as i32,
        len: raw::IORING_POLL_ADD_MULTI,
        rw_flags: 1,
        user_data: 6,
        ..IoUringSqe::default()
    });
    assert_eq!(p.enter(1, 0), Ok(1));
    assert_eq!(p.take(), [(6, 1)]);
    assert_eq!(p.enter(0, 0), Ok(0));
    assert_eq!(p.take(), []);
    k.call("write", [w, k.bytes(b"y"), 1]).unwrap();
    assert_eq!(p.enter(0, 0), Ok(0));
    assert_eq!(p.take(), [(6, 1)]);
    p.request(op::IORING_OP_POLL_REMOVE, 0, 6, 0, 7, 0);
    assert_eq!(p.enter(1, 0), Ok(1));
    assert_eq!(p.take(), [(6, -(Errno::ECANCELED.raw() as i32)), (7, 0)]);
}
