use crate::mock::{BASE, Mock};
use linux_abi::raw::general as raw;
use linux_abi::*;
use std::sync::Mutex;

/// The mock gives every context the same number, in one table for the machine.
static ONE: Mutex<()> = Mutex::new(());

fn setup(k: &Mock, nr: u64) -> u64 {
    let ctx = k.value(&0_u64);
    k.call("io_setup", [nr, ctx]).unwrap();
    k.load(ctx)
}

fn submit(k: &Mock, ctx: u64, iocb: &Iocb) -> Result<u64, Errno> {
    let place = k.value(iocb);
    k.call("io_submit", [ctx, 1, k.value(&place)])
        .map(|_| place)
}

fn events(k: &Mock, ctx: u64, min: u64) -> std::vec::Vec<(u64, i64)> {
    let into = k.alloc(32 * 8);
    let zero = k.value(&Timespec::default());
    let count = k.call("io_getevents", [ctx, min, 8, into, zero]).unwrap();
    let event = |at: usize| k.load::<IoEvent>(into + 32 * at as u64);
    (0..count)
        .map(|at| (event(at).data, event(at).res))
        .collect()
}

#[test]
fn reads_and_writes_complete_as_events() {
    let _one = ONE.lock();
    let k = Mock::new();
    let ctx = setup(&k, 2);
    let fd = k.open("/f", raw::O_RDWR | raw::O_CREAT);
    let buf = k.bytes(b"data");
    let iocb = Iocb {
        data: 1,
        opcode: IOCB_CMD_PWRITE,
        fildes: fd,
        buf,
        nbytes: 4,
        offset: 2,
        ..Iocb::default()
    };
    submit(&k, ctx, &iocb).unwrap();
    let read = Iocb {
        data: 2,
        opcode: IOCB_CMD_PREAD,
        offset: 4,
        ..iocb
    };
    submit(&k, ctx, &read).unwrap();
    assert_eq!(submit(&k, ctx, &read), Err(Errno::EAGAIN));
    assert_eq!(events(&k, ctx, 2), [(1, 4), (2, 2)]);
    assert_eq!(k.load_bytes(buf, 2), b"ta");
    let with = |change: fn(&mut Iocb)| {
        let mut iocb = iocb;
        change(&mut iocb);
        submit(&k, ctx, &iocb).err()
    };
    assert_eq!(with(|iocb| iocb.opcode = 9), Some(Errno::EINVAL));
    assert_eq!(with(|iocb| iocb.reserved = 1), Some(Errno::EINVAL));
    assert_eq!(with(|iocb| iocb.fildes = 99), Some(Errno::EBADF));
    assert_eq!(with(|iocb| iocb.buf = u64::MAX), Some(Errno::EFAULT));
    assert_eq!(
        with(|iocb| (iocb.flags, iocb.resfd) = (IOCB_FLAG_RESFD, iocb.fildes)),
        Some(Errno::EINVAL)
    );
    assert_eq!(events(&k, ctx, 0), []);
    k.call("io_destroy", [ctx]).unwrap();
    assert_eq!(k.call("io_destroy", [ctx]), Err(Errno::EINVAL));
    assert_eq!(k.call("io_submit", [ctx, 1, BASE]), Err(Errno::EINVAL));
}

#[test]
fn polls_wait_and_can_be_cancelled() {
    let _one = ONE.lock();
    let k = Mock::new();
    let ctx = setup(&k, 8);
    let counter = k.call("eventfd2", [0, 0]).unwrap() as i32;
    let told = k.call("eventfd2", [0, 0]).unwrap() as i32;
    let iocb = Iocb {
        data: 5,
        opcode: IOCB_CMD_POLL,
        fildes: counter,
        buf: 1,
        flags: IOCB_FLAG_RESFD,
        resfd: told,
        ..Iocb::default()
    };
    let place = submit(&k, ctx, &iocb).unwrap();
    assert_eq!(events(&k, ctx, 0), []);
    assert_eq!(
        k.call("io_cancel", [ctx, place, 0]),
        Err(Errno::EINPROGRESS)
    );
    assert_eq!(k.call("io_cancel", [ctx, place, 0]), Err(Errno::EINVAL));
    assert_eq!(events(&k, ctx, 1), [(5, 0)]);
    submit(&k, ctx, &iocb).unwrap();
    k.call("write", [counter as u64, k.value(&1_u64), 8])
        .unwrap();
    let into = k.alloc(32);
    assert_eq!(k.call("io_pgetevents", [ctx, 1, 1, into, 0, 0]), Ok(1));
    assert_eq!(k.load::<IoEvent>(into).res, 1);
    let count = k.alloc(8);
    k.call("read", [told as u64, count, 8]).unwrap();
    assert_eq!(k.load::<u64>(count), 2);
    k.call("io_destroy", [ctx]).unwrap();
}
