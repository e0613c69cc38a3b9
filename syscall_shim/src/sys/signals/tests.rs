use crate::kernel::KillTarget;
use crate::mock::{Mock, PID};
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{
    Errno, SI_QUEUE, SI_TKILL, SI_USER, SigAction, SigSet, Siginfo, Signal, StackT, Timespec,
};

#[test]
fn actions_are_cleaned_of_what_cannot_be() {
    let k = Mock::new();
    let wanted = SigAction {
        handler: 0x400,
        flags: 0xffff_ffff,
        restorer: 0x500,
        mask: SigSet { bits: u64::MAX },
    };
    let (new, old) = (k.value(&wanted), k.alloc(32));
    assert_eq!(k.call("rt_sigaction", [10, new, 0, 8]), Ok(0));
    assert_eq!(k.call("rt_sigaction", [10, 0, old, 8]), Ok(0));
    let seen: SigAction = k.load(old);
    assert_eq!(seen.flags & 0x400, 0);
    assert_eq!(seen.flags & 0x1000_0000, 0x1000_0000);
    assert!(!seen.mask.contains(Signal::SIGKILL) && seen.mask.contains(Signal::SIGINT));
    assert_eq!(k.call("rt_sigaction", [9, new, 0, 8]), Err(Errno::EINVAL));
    assert_eq!(k.call("rt_sigaction", [9, 0, old, 8]), Ok(0));
    assert_eq!(k.call("rt_sigaction", [0, 0, old, 8]), Err(Errno::EINVAL));
    assert_eq!(k.call("rt_sigaction", [65, 0, old, 8]), Err(Errno::EINVAL));
    assert_eq!(k.call("rt_sigaction", [10, 0, old, 16]), Err(Errno::EINVAL));
}

#[test]
fn the_mask_changes_as_told_and_never_holds_sigkill() {
    let k = Mock::new();
    let (two, all, old) = (
        k.value(&SigSet { bits: 0b10 }),
        k.value(&SigSet { bits: u64::MAX }),
        k.alloc(8),
    );
    assert_eq!(k.call("rt_sigprocmask", [0, two, 0, 8]), Ok(0));
    assert_eq!(k.call("rt_sigprocmask", [2, all, old, 8]), Ok(0));
    assert_eq!(k.load::<u64>(old), 0b10);
    assert_eq!(k.signals.mask.lock().bits, !(1 << 8 | 1 << 18));
    assert_eq!(k.call("rt_sigprocmask", [1, all, 0, 8]), Ok(0));
    assert_eq!(k.signals.mask.lock().bits, 0);
    assert_eq!(k.call("rt_sigprocmask", [3, all, 0, 8]), Err(Errno::EINVAL));
    // Without a set, how does not matter.
    assert_eq!(k.call("rt_sigprocmask", [3, 0, old, 8]), Ok(0));
}

#[test]
fn signals_go_where_they_are_sent() {
    let k = Mock::new();
    assert_eq!(k.call("kill", [42, 15]), Ok(0));
    assert_eq!(k.call("kill", [0, 0]), Ok(0));
    assert_eq!(k.call("kill", [-7_i64 as u64, 1]), Ok(0));
    assert_eq!(k.call("tkill", [42, 10]), Ok(0));
    assert_eq!(k.call("tgkill", [42, 42, 10]), Ok(0));
    assert_eq!(k.call("tgkill", [42, 0, 10]), Err(Errno::EINVAL));
    assert_eq!(k.call("kill", [42, 65]), Err(Errno::EINVAL));
    let sent = k.signals.sent.lock();
    assert_eq!(
        sent[0],
        (
            KillTarget::Process(42),
            Some(Siginfo::user(Signal::SIGTERM, SI_USER, PID, 0))
        )
    );
    assert_eq!(sent[1], (KillTarget::Group(0), None));
    assert_eq!(sent[2].0, KillTarget::Group(7));
    assert_eq!(
        sent[3].0,
        KillTarget::Thread {
            tgid: None,
            tid: 42
        }
    );
    assert_eq!(
        sent[4].1,
        Some(Siginfo::user(Signal::SIGUSR1, SI_TKILL, PID, 0))
    );
}

#[test]
fn nobody_may_claim_to_be_the_kernel_towards_others() {
    let k = Mock::new();
    let queued = k.value(&Siginfo::queue(Signal::SIGUSR1, SI_QUEUE, PID, 0, 5));
    let forged = k.value(&Siginfo::user(Signal::SIGUSR1, SI_USER, 1, 0));
    assert_eq!(k.call("rt_sigqueueinfo", [99, 10, queued]), Ok(0));
    assert_eq!(
        k.call("rt_sigqueueinfo", [99, 10, forged]),
        Err(Errno::EPERM)
    );
    assert_eq!(k.call("rt_sigqueueinfo", [42, 10, forged]), Ok(0));
    assert_eq!(k.call("rt_tgsigqueueinfo", [42, 42, 10, queued]), Ok(0));
    assert_eq!(
        k.call("rt_tgsigqueueinfo", [42, 0, 10, queued]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.signals.sent.lock()[0].1.unwrap().value(), 5);
}

#[test]
fn waiting_for_signals() {
    let k = Mock::new();
    k.signals
        .pending
        .lock()
        .push(Siginfo::user(Signal::SIGUSR2, SI_USER, 1, 0));
    let (set, info) = (k.value(&SigSet::of(Signal::SIGUSR2)), k.alloc(128));
    assert_eq!(k.call("rt_sigpending", [info, 8]), Ok(0));
    assert_eq!(k.load::<u64>(info), SigSet::of(Signal::SIGUSR2).bits);
    assert_eq!(k.call("rt_sigpending", [info, 9]), Err(Errno::EINVAL));
    assert_eq!(k.call("rt_sigtimedwait", [set, info, 0, 8]), Ok(12));
    assert_eq!(k.load::<Siginfo>(info).signo, 12);
    let second = k.value(&Timespec { sec: 1, nsec: 0 });
    assert_eq!(
        k.call("rt_sigtimedwait", [set, info, second, 8]),
        Err(Errno::EAGAIN)
    );
    assert_eq!(k.host.now(), 2_000_000_000);
    k.interrupted.store(true, Relaxed);
    assert_eq!(k.call("pause", []), Err(Errno::ERESTARTNOHAND));
    assert_eq!(
        k.call("rt_sigsuspend", [set, 8]),
        Err(Errno::ERESTARTNOHAND)
    );
    // The old mask is the signal frame's to restore.
    assert_eq!(k.signals.mask.lock().bits, SigSet::of(Signal::SIGUSR2).bits);
    assert!(k.signals.saved.lock().is_some());
    assert_eq!(k.call("restart_syscall", []), Err(Errno::EINTR));
    assert_eq!(k.call("rt_sigreturn", []), Ok(0x1234));
}

#[test]
fn alternate_stacks() {
    let k = Mock::new();
    let stack = |flags, size| {
        k.value(&StackT {
            sp: 0x9000,
            flags,
            pad: 0,
            size,
        })
    };
    let old = k.alloc(24);
    assert_eq!(k.call("sigaltstack", [stack(0, 8192), 0]), Ok(0));
    assert_eq!(
        k.call("sigaltstack", [stack(0, 2047), 0]),
        Err(Errno::ENOMEM)
    );
    assert_eq!(
        k.call("sigaltstack", [stack(4, 8192), 0]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("sigaltstack", [stack(2, 0), old]), Ok(0));
    assert_eq!(
        k.load::<StackT>(old),
        StackT {
            sp: 0x9000,
            flags: 0,
            pad: 0,
            size: 8192
        }
    );
    *k.signals.stack.lock() = StackT {
        sp: 1,
        flags: 1,
        pad: 0,
        size: 8192,
    };
    assert_eq!(
        k.call("sigaltstack", [stack(0, 8192), 0]),
        Err(Errno::EPERM)
    );
    assert_eq!(k.call("sigaltstack", [0, old]), Ok(0));
}
