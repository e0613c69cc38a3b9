//! Keys are the whole machine's, so each test takes its own.
use crate::mock::{Mock, PID};
use linux_abi::*;
use std::boxed::Box;
use std::sync::Mutex;
use std::vec::Vec;

const CREATE: u64 = (IPC_CREAT | 0o600) as u64;
const EXCLUSIVE: u64 = CREATE | IPC_EXCL as u64;
const NOWAIT: u64 = IPC_NOWAIT as u64;

#[test]
fn segments_are_attached_and_go_with_the_last_detach() {
    let k = Mock::new();
    let key = 0x51;
    assert_eq!(k.call("shmget", [key, 10, 0]), Err(Errno::ENOENT));
    assert_eq!(k.call("shmget", [key, 0, CREATE]), Err(Errno::EINVAL));
    let id = k.call("shmget", [key, 5000, CREATE]).unwrap() as u64;
    assert_eq!(k.call("shmget", [key, 5000, EXCLUSIVE]), Err(Errno::EEXIST));
    assert_eq!(k.call("shmget", [key, 6000, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("shmget", [key, 0, 0]), Ok(id as usize));
    let at = k.call("shmat", [id, 0, 0]).unwrap() as u64;
    assert!(k.calls.lock()[0].contains("0x2000"));
    assert_eq!(k.call("shmat", [id, 1, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("shmat", [9999, 0, 0]), Err(Errno::EINVAL));
    let buf = k.alloc(112);
    assert_eq!(k.call("shmctl", [id, u64::from(IPC_STAT), buf]), Ok(0));
    let stat: ShmidDs = k.load(buf);
    assert_eq!((stat.segsz, stat.nattch, stat.cpid), (5000, 1, PID));
    assert_eq!((stat.perm.key, stat.perm.mode), (key as i32, 0o600));
    assert_eq!(k.call("shmctl", [id, u64::from(IPC_RMID), 0]), Ok(0));
    assert_eq!(k.call("shmget", [key, 0, 0]), Err(Errno::ENOENT));
    assert_eq!(k.call("shmctl", [id, u64::from(IPC_STAT), buf]), Ok(0));
    assert_eq!(k.load::<ShmidDs>(buf).perm.mode, 0o1600);
    assert_eq!(k.call("shmdt", [at + 4096]), Err(Errno::EINVAL));
    assert_eq!(k.call("shmdt", [at]), Ok(0));
    assert_eq!(
        k.call("shmctl", [id, u64::from(IPC_STAT), buf]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("shmctl", [0, 99, 0]), Err(Errno::EINVAL));
}

/// Semaphore, change, flags.
fn ops(k: &Mock, ops: &[(u16, i16, i16)]) -> u64 {
    let bytes: Vec<u8> = ops
        .iter()
        .flat_map(|(num, op, flg)| {
            [num.to_le_bytes(), op.to_le_bytes(), flg.to_le_bytes()].concat()
        })
        .collect();
    k.bytes(&bytes)
}

#[test]
fn semaphore_operations_are_done_together_or_not_at_all() {
    let k = Mock::new();
    let key = 0x52;
    assert_eq!(k.call("semget", [key, 0, CREATE]), Err(Errno::EINVAL));
    let id = k.call("semget", [key, 2, CREATE]).unwrap() as u64;
    let value = |num| k.call("semctl", [id, num, u64::from(GETVAL), 0]);
    let nowait = IPC_NOWAIT as i16;
    assert_eq!(k.call("semop", [id, ops(&k, &[(0, 2, 0)]), 1]), Ok(0));
    let both = ops(&k, &[(0, -1, nowait), (1, -1, nowait)]);
    assert_eq!(k.call("semop", [id, both, 2]), Err(Errno::EAGAIN));
    assert_eq!((value(0), value(1)), (Ok(2), Ok(0)));
    assert_eq!(k.call("semop", [id, both, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("semop", [id, both, 501]), Err(Errno::E2BIG));
    let bad = ops(&k, &[(2, 1, 0)]);
    assert_eq!(k.call("semop", [id, bad, 1]), Err(Errno::EFBIG));
    // Waits for another thread; and for the time.
    k.meanwhile.lock().push(Box::new(move |k: &Mock| {
        assert_eq!(k.call("semctl", [id, 1, u64::from(GETNCNT), 0]), Ok(1));
        k.call("semop", [id, ops(k, &[(1, 1, 0)]), 1]).unwrap();
    }));
    let take = ops(&k, &[(1, -1, 0)]);
    assert_eq!(k.call("semop", [id, take, 1]), Ok(0));
    let second = k.value(&Timespec { sec: 1, nsec: 0 });
    assert_eq!(
        k.call("semtimedop", [id, take, 1, second]),
        Err(Errno::EAGAIN)
    );
    let set = |num, value| k.call("semctl", [id, num, u64::from(SETVAL), value]);
    assert_eq!(set(0, 40000), Err(Errno::ERANGE));
    assert_eq!(set(2, 1), Err(Errno::EINVAL));
    assert_eq!(set(0, 7), Ok(0));
    let all = k.alloc(4);
    assert_eq!(k.call("semctl", [id, 0, u64::from(GETALL), all]), Ok(0));
    assert_eq!(k.load::<[u16; 2]>(all), [7, 0]);
    assert_eq!(
        k.call("semctl", [id, 0, u64::from(GETPID), 0]),
        Ok(PID as usize)
    );
    k.meanwhile.lock().push(Box::new(move |k: &Mock| {
        k.call("semctl", [id, 0, u64::from(IPC_RMID), 0]).unwrap();
    }));
    assert_eq!(k.call("semop", [id, take, 1]), Err(Errno::EIDRM));
    assert_eq!(k.call("semop", [id, take, 1]), Err(Errno::EINVAL));
}

/// Puts a message of a type where msgsnd(2) wants it.
fn message(k: &Mock, kind: i64, text: &str) -> u64 {
    k.bytes(&[&kind.to_le_bytes(), text.as_bytes()].concat())
}

#[test]
fn messages_are_taken_by_type() {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let k = Mock::new();
    let id = k.call("msgget", [0x53, CREATE]).unwrap() as u64;
    let send = |kind, text: &str| {
        k.call(
            "msgsnd",
            [id, message(&k, kind, text), text.len() as u64, NOWAIT],
        )
    };
    assert_eq!(send(0, "x"), Err(Errno::EINVAL));
    for (kind, text) in [(3, "three"), (1, "one"), (2, "two"), (1, "again")] {
        assert_eq!(send(kind, text), Ok(0));
    }
    let into = k.alloc(64);
    let receive = |size, kind: i64, flags| {
        k.call("msgrcv", [id, into, size, kind as u64, NOWAIT | flags])
            .map(|count| {
                let text = k.load_bytes(into + 8, count);
                std::string::String::from_utf8(text).unwrap()
            })
    };
    assert_eq!(receive(2, 2, 0), Err(Errno::E2BIG));
    assert_eq!(receive(2, 2, u64::from(MSG_NOERROR)).unwrap(), "tw");
    assert_eq!(receive(56, -2, 0).unwrap(), "one");
    assert_eq!(receive(56, 1, u64::from(MSG_EXCEPT)).unwrap(), "three");
    assert_eq!(k.load::<i64>(into), 3);
    assert_eq!(receive(56, 9, 0), Err(Errno::ENOMSG));
    assert_eq!(receive(56, 0, 0).unwrap(), "again");
    k.meanwhile.lock().push(Box::new(move |k: &Mock| {
        let late = message(k, 5, "late");
        k.call("msgsnd", [id, late, 4, 0]).unwrap();
    }));
    assert_eq!(k.call("msgrcv", [id, into, 56, 0, 0]), Ok(4));
    let large = k.alloc(8200);
    crate::user::UserPtr::new(large).write(&k, &1_i64).unwrap();
    assert_eq!(k.call("msgsnd", [id, large, 8192, NOWAIT]), Ok(0));
    assert_eq!(k.call("msgsnd", [id, large, 8192, NOWAIT]), Ok(0));
    assert_eq!(k.call("msgsnd", [id, large, 1, NOWAIT]), Err(Errno::EAGAIN));
    let buf = k.alloc(120);
    k.call("msgctl", [id, u64::from(IPC_STAT), buf]).unwrap();
    let stat: MsqidDs = k.load(buf);
    assert_eq!((stat.cbytes, stat.qnum, stat.lspid), (16384, 2, PID));
    assert_eq!(k.call("msgctl", [id, u64::from(IPC_RMID), 0]), Ok(0));
    assert_eq!(k.call("msgrcv", [id, into, 56, 0, 0]), Err(Errno::EINVAL));
}
