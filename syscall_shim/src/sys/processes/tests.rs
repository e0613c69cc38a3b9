use crate::kernel::KillTarget;
use crate::mock::Mock;
use alloc::format;
use alloc::vec::Vec;
use linux_abi::{Errno, Iovec, SI_QUEUE, Siginfo, Signal};

#[test]
fn children_are_made() {
    let k = Mock::new();
    assert_eq!(k.call("fork", []), Ok(43));
    assert_eq!(k.call("vfork", []), Ok(43));
    let calls = k.calls.lock().join("\n");
    assert!(
        calls.contains("CLONE_VM | CLONE_VFORK") && calls.contains("exit_signal: Some(Signal(17))")
    );
}

#[test]
fn children_are_waited_for() {
    let k = Mock::new();
    assert_eq!(k.call("wait4", [u64::MAX, 0, 0, 0]), Err(Errno::ECHILD));
    assert_eq!(k.call("wait4", [u64::MAX, 0, 4, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("waitid", [0, 0, 0, 4, 0]), Err(Errno::ECHILD));
    assert_eq!(k.call("waitid", [0, 0, 0, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("waitid", [9, 0, 0, 4, 0]), Err(Errno::EINVAL));
    let pidfd = k.call("pidfd_open", [42, 0]).unwrap() as u64;
    let file = k.open("/f", 0o102) as u64;
    assert_eq!(k.call("waitid", [3, pidfd, 0, 4, 0]), Err(Errno::ECHILD));
    assert_eq!(k.call("waitid", [3, file, 0, 4, 0]), Err(Errno::EBADF));
    assert_eq!(k.call("waitid", [3, 999, 0, 4, 0]), Err(Errno::EBADF));
}

#[test]
fn pidfds_stand_for_processes() {
    let k = Mock::new();
    assert_eq!(k.call("pidfd_open", [0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("pidfd_open", [42, 1]), Err(Errno::EINVAL));
    assert_eq!(k.call("pidfd_open", [7, 0]), Err(Errno::ESRCH));
    let pidfd = k.call("pidfd_open", [42, 0]).unwrap() as u64;
    assert_eq!(k.call("fcntl", [pidfd, 1]), Ok(1));
    let send = |fd, sig, info, flags| k.call("pidfd_send_signal", [fd, sig, info, flags]);
    assert_eq!(send(pidfd, 10, 0, 0), Ok(0));
    assert_eq!(send(pidfd, 0, 0, 0), Ok(0));
    assert_eq!(send(pidfd, 65, 0, 0), Err(Errno::EINVAL));
    assert_eq!(send(pidfd, 10, 0, 1), Err(Errno::EINVAL));
    assert_eq!(send(999, 10, 0, 0), Err(Errno::EBADF));
    let other = k.value(&Siginfo::user(Signal::SIGTERM, SI_QUEUE, 1, 0));
    assert_eq!(send(pidfd, 10, other, 0), Err(Errno::EINVAL));
    let sent: Vec<_> = k.signals.sent.lock().iter().map(|(to, _)| *to).collect();
    assert_eq!(sent, [KillTarget::Process(42); 2]);
    assert_eq!(k.call("pidfd_getfd", [pidfd, 999, 0]), Err(Errno::EBADF));
    assert_eq!(k.call("pidfd_getfd", [pidfd, pidfd, 1]), Err(Errno::EINVAL));
    assert!(k.call("pidfd_getfd", [pidfd, pidfd, 0]).is_ok());
}

/// An array of strings with its end.
fn strings(k: &Mock, all: &[&str]) -> u64 {
    let mut pointers: Vec<u64> = all.iter().map(|text| k.text(text)).collect();
    pointers.push(0);
    let bytes: Vec<u8> = pointers.iter().flat_map(|at| at.to_le_bytes()).collect();
    k.bytes(&bytes)
}

#[test]
fn execve_reads_its_strings() {
    let k = Mock::new();
    k.open("/program", 0o102);
    let (argv, envp) = (strings(&k, &["one", "", "three"]), strings(&k, &["A=1"]));
    let path = k.text("/program");
    assert_eq!(k.call("execve", [path, argv, envp]), Err(Errno::ENOEXEC));
    assert_eq!(k.call("execve", [path, 0, 0]), Err(Errno::ENOEXEC));
    assert_eq!(
        *k.calls.lock(),
        ["exec /program [one  three] [A=1]", "exec /program [] []"]
    );
    assert_eq!(
        k.call("execve", [k.text("/absent"), argv, envp]),
        Err(Errno::ENOENT)
    );
    assert_eq!(k.call("execve", [path, 8, envp]), Err(Errno::EFAULT));
    assert_eq!(k.call("execve", [8, argv, envp]), Err(Errno::EFAULT));
    let long = strings(&k, &[&"x".repeat(128 << 10)]);
    assert_eq!(k.call("execve", [path, long, envp]), Err(Errno::E2BIG));
}

#[test]
fn execveat_starts_from_a_descriptor() {
    let k = Mock::new();
    let fd = k.open("/program", 0o102) as u64;
    let here = i64::from(linux_abi::raw::general::AT_FDCWD) as u64;
    let at = |fd, path, flags| k.call("execveat", [fd, k.text(path), 0, 0, flags]);
    assert_eq!(at(fd, "", 0x1000), Err(Errno::ENOEXEC));
    assert_eq!(at(here, "/program", 0), Err(Errno::ENOEXEC));
    let expected = format!("exec /dev/fd/{fd} [] []");
    assert_eq!(*k.calls.lock(), [expected.as_str(), "exec /program [] []"]);
    assert_eq!(at(fd, "", 0), Err(Errno::ENOENT));
    assert_eq!(at(here, "/program", 1), Err(Errno::EINVAL));
    assert_eq!(at(999, "program", 0), Err(Errno::EBADF));
}

#[test]
fn unshare_has_nothing_to_undo() {
    let k = Mock::new();
    assert_eq!(k.call("unshare", [0x600]), Ok(0));
    assert_eq!(k.call("unshare", [0x1_0000]), Err(Errno::EINVAL));
    assert_eq!(k.call("unshare", [0x2_0000]), Err(Errno::EPERM));
    assert_eq!(*k.complaints.lock(), ["unshare: new namespaces"]);
}

#[test]
fn own_memory_can_be_read_where_it_may_not_be() {
    let k = Mock::new();
    let (from, to) = (k.bytes(b"0123456789"), k.alloc(16));
    let local = k.value(&[
        Iovec { base: to, len: 4 },
        Iovec {
            base: to + 4,
            len: 12,
        },
    ]);
    let remote = k.value(&[Iovec {
        base: from,
        len: 10,
    }]);
    let nowhere = k.value(&[Iovec { base: 8, len: 8 }]);
    let read = |pid, remote, flags| k.call("process_vm_readv", [pid, local, 2, remote, 1, flags]);
    assert_eq!(read(42, remote, 0), Ok(10));
    assert_eq!(k.load_bytes(to, 10), b"0123456789");
    assert_eq!(read(42, nowhere, 0), Err(Errno::EFAULT));
    let partly = k.value(&[Iovec { base: from, len: 3 }, Iovec { base: 8, len: 8 }]);
    let broken = [42, local, 2, partly, 2, 0];
    assert_eq!(k.call("process_vm_readv", broken), Ok(3));
    assert_eq!(read(42, remote, 1), Err(Errno::EINVAL));
    assert_eq!(read(7, remote, 0), Err(Errno::ESRCH));
    assert_eq!(read(0, remote, 0), Err(Errno::ESRCH));
    assert_eq!(read(66, remote, 0), Err(Errno::EPERM));
    // A child's, which is the same memory here.
    assert_eq!(read(43, remote, 0), Ok(10));
    assert_eq!(
        k.call("process_vm_writev", [43, remote, 1, local, 2, 0]),
        Ok(10)
    );
    assert_eq!(
        k.call("process_vm_writev", [42, remote, 1, local, 2, 0]),
        Ok(10)
    );
}

#[test]
fn what_a_process_shares_with_itself_is_the_same() {
    const FILE: u64 = 0;
    const VM: u64 = 1;
    let k = Mock::new();
    let fd = k.open("/file", 0o102) as u64;
    let same = k.call("dup", [fd]).unwrap() as u64;
    let other = k.open("/file", 0) as u64;
    let compare = |kind, a, b| k.call("kcmp", [42, 42, kind, a, b]);
    assert_eq!(compare(FILE, fd, same), Ok(0));
    let (there, back) = (compare(FILE, fd, other), compare(FILE, other, fd));
    assert!(matches!((there, back), (Ok(1), Ok(2)) | (Ok(2), Ok(1))));
    assert_eq!(compare(FILE, fd, 99), Err(Errno::EBADF));
    assert_eq!(compare(VM, 0, 0), Ok(0));
    assert_eq!(compare(9, 0, 0), Err(Errno::EINVAL));
    assert_eq!(k.call("kcmp", [42, 7, VM, 0, 0]), Err(Errno::ESRCH));
    assert_eq!(k.call("kcmp", [0, 42, VM, 0, 0]), Err(Errno::ESRCH));
}

#[test]
fn what_processes_share_is_compared() {
    let k = Mock::new();
    let compare = |pid, kind| k.call("kcmp", [42, pid, kind, 0, 0]);
    for kind in [1, 5, 6] {
        assert_eq!(compare(43, kind), Ok(0), "{kind}");
    }
    for kind in [2, 3, 4] {
        assert_eq!(compare(43, kind), Ok(1), "{kind}");
    }
    assert_eq!(compare(66, 1), Err(Errno::EPERM));
}

#[test]
fn what_an_epoll_watches_is_compared() {
    use linux_abi::{EpollEvent, KcmpEpollSlot};
    const TFD: u64 = 7;
    let k = Mock::new();
    let pipe = k.alloc(8);
    k.call("pipe2", [pipe, 0]).unwrap();
    let [read, write] = k.load::<[u32; 2]>(pipe).map(u64::from);
    let efd = k.call("epoll_create1", [0]).unwrap() as u64;
    let event = k.value(&EpollEvent { events: 1, data: 0 });
    k.call("epoll_ctl", [efd, 1, read, event]).unwrap();
    let compare = |fd, efd, tfd, toff| {
        let slot = k.value(&KcmpEpollSlot { efd, tfd, toff });
        k.call("kcmp", [42, 42, TFD, fd, slot])
    };
    let (epoll, watched) = (efd as u32, read as u32);
    assert_eq!(compare(read, epoll, watched, 0), Ok(0));
    assert!(matches!(compare(write, epoll, watched, 0), Ok(1 | 2)));
    assert_eq!(compare(read, epoll, watched, 1), Err(Errno::ENOENT));
    assert_eq!(compare(read, epoll, write as u32, 0), Err(Errno::ENOENT));
    assert_eq!(compare(read, watched, watched, 0), Err(Errno::EINVAL));
    assert_eq!(compare(99, epoll, watched, 0), Err(Errno::EBADF));
    assert_eq!(k.call("kcmp", [42, 42, TFD, read, 8]), Err(Errno::EFAULT));
}
