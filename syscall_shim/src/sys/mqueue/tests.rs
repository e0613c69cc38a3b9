use crate::kernel::Files;
use crate::mock::{Mock, PID};
use linux_abi::raw::general as raw;
use linux_abi::{Errno, MqAttr, Sigevent, Timespec};
use std::boxed::Box;

const RW: u64 = (raw::O_RDWR | raw::O_CREAT) as u64;
const NOWAIT: u64 = raw::O_NONBLOCK as u64;

/// A queue for two messages of eight bytes. Names are the whole machine's, so each test takes its own.
fn open(k: &Mock, name: &str, flags: u64) -> Result<usize, Errno> {
    let attr = k.value(&MqAttr {
        maxmsg: 2,
        msgsize: 8,
        ..MqAttr::default()
    });
    k.call("mq_open", [k.text(name), flags, 0o600, attr])
}

fn send(k: &Mock, queue: u64, text: &str, prio: u64) -> Result<usize, Errno> {
    let bytes = k.bytes(text.as_bytes());
    k.call("mq_timedsend", [queue, bytes, text.len() as u64, prio, 0])
}

#[test]
fn the_highest_priority_comes_first() {
    let k = Mock::new();
    let queue = open(&k, "order", RW).unwrap() as u64;
    assert!(k.files().cloexec(queue as i32).unwrap());
    send(&k, queue, "low", 1).unwrap();
    send(&k, queue, "high", 32767).unwrap();
    let (buffer, prio) = (k.alloc(8), k.alloc(4));
    assert_eq!(
        k.call("mq_timedreceive", [queue, buffer, 8, prio, 0]),
        Ok(4)
    );
    assert_eq!(k.load::<u32>(prio), 32767);
    assert_eq!(k.load_bytes(buffer, 4), b"high");
    assert_eq!(k.call("mq_timedreceive", [queue, buffer, 8, 0, 0]), Ok(3));
    // An empty queue waits for a message, or for the time.
    let past = k.value(&Timespec { sec: 0, nsec: 1 });
    assert_eq!(
        k.call("mq_timedreceive", [queue, buffer, 8, 0, past]),
        Err(Errno::ETIMEDOUT)
    );
    k.meanwhile.lock().push(Box::new(move |k| {
        assert!(send(k, queue, "late", 0).is_ok())
    }));
    assert_eq!(k.call("mq_timedreceive", [queue, buffer, 8, 0, 0]), Ok(4));
    k.call("mq_unlink", [k.text("order")]).unwrap();
}

#[test]
fn each_error_has_its_number() {
    let k = Mock::new();
    assert_eq!(open(&k, "errors", 0), Err(Errno::ENOENT));
    assert_eq!(open(&k, "a/b", RW), Err(Errno::EACCES));
    assert_eq!(open(&k, "", RW), Err(Errno::ENOENT));
    let bad = k.value(&MqAttr::default());
    assert_eq!(
        k.call("mq_open", [k.text("errors"), RW, 0o600, bad]),
        Err(Errno::EINVAL)
    );
    let queue = open(&k, "errors", RW | NOWAIT).unwrap() as u64;
    let exclusive = RW | u64::from(raw::O_EXCL);
    assert_eq!(open(&k, "errors", exclusive), Err(Errno::EEXIST));
    assert_eq!(send(&k, queue, "too long!", 0), Err(Errno::EMSGSIZE));
    assert_eq!(send(&k, queue, "x", 32768), Err(Errno::EINVAL));
    assert_eq!(send(&k, 99, "x", 0), Err(Errno::EBADF));
    let buffer = k.alloc(8);
    let receive = |fd, len| k.call("mq_timedreceive", [fd, buffer, len, 0, 0]);
    assert_eq!(receive(queue, 7), Err(Errno::EMSGSIZE));
    assert_eq!(receive(queue, 8), Err(Errno::EAGAIN));
    send(&k, queue, "1", 0).unwrap();
    send(&k, queue, "2", 0).unwrap();
    assert_eq!(send(&k, queue, "3", 0), Err(Errno::EAGAIN));
    let reader = open(&k, "errors", 0).unwrap() as u64;
    assert_eq!(send(&k, reader, "x", 0), Err(Errno::EBADF));
    assert_eq!(
        k.call("mq_timedsend", [queue, 8, 1, 0, 0]),
        Err(Errno::EFAULT)
    );
    k.call("mq_unlink", [k.text("errors")]).unwrap();
    assert_eq!(k.call("mq_unlink", [k.text("errors")]), Err(Errno::ENOENT));
}

#[test]
fn the_attributes_of_a_queue() {
    let k = Mock::new();
    let queue = open(&k, "attributes", RW).unwrap() as u64;
    send(&k, queue, "1", 0).unwrap();
    let (old, new) = (k.alloc(64), k.alloc(64));
    let nonblocking = MqAttr {
        flags: i64::from(raw::O_NONBLOCK),
        ..MqAttr::default()
    };
    crate::user::UserPtr::new(new)
        .write(&k, &nonblocking)
        .unwrap();
    k.call("mq_getsetattr", [queue, new, old]).unwrap();
    let was: MqAttr = k.load(old);
    assert_eq!(
        (was.flags, was.maxmsg, was.msgsize, was.curmsgs),
        (0, 2, 8, 1)
    );
    k.call("mq_getsetattr", [queue, 0, old]).unwrap();
    assert_eq!(k.load::<MqAttr>(old).flags, nonblocking.flags);
    let bad = k.value(&MqAttr {
        flags: 1,
        ..MqAttr::default()
    });
    assert_eq!(k.call("mq_getsetattr", [queue, bad, 0]), Err(Errno::EINVAL));
    k.call("mq_unlink", [k.text("attributes")]).unwrap();
}

#[test]
fn a_message_to_the_empty_queue_is_told_once() {
    let k = Mock::new();
    let queue = open(&k, "notify", RW).unwrap() as u64;
    let event = |notify: u32, signo: i32| {
        k.value(&Sigevent {
            notify: notify as i32,
            signo,
            value: 7,
            ..Sigevent::default()
        })
    };
    let notify = |event| k.call("mq_notify", [queue, event]);
    assert_eq!(notify(event(raw::SIGEV_SIGNAL, 65)), Err(Errno::EINVAL));
    assert_eq!(notify(event(9, 1)), Err(Errno::EINVAL));
    assert_eq!(notify(event(raw::SIGEV_SIGNAL, 10)), Ok(0));
    assert_eq!(notify(event(raw::SIGEV_NONE, 0)), Err(Errno::EBUSY));
    send(&k, queue, "1", 0).unwrap();
    send(&k, queue, "2", 0).unwrap();
    let sent = k.signals.sent.lock();
    assert_eq!(sent.len(), 1);
    drop(sent);
    assert_eq!(notify(event(raw::SIGEV_NONE, 0)), Ok(0));
    assert_eq!(notify(0), Ok(0));
    assert_eq!(notify(0), Ok(0));
    assert_eq!(k.call("getpid", [0; 0]), Ok(PID as usize));
    k.call("mq_unlink", [k.text("notify")]).unwrap();
}
