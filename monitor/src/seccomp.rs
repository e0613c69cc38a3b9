//! What each thread may ask of the host while a guest runs. Everything else ends the monitor (see
//! [`crate::terminal::catch_fatal_signals`], which names the call).

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op,
    SeccompCondition as Condition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::devices::hostnet;
use crate::error::Result;

/// `_IO(0xae, 0x80)` and its neighbours, as in linux/kvm.h.
const KVM_RUN: u32 = 0xae80;
const KVM_GET_REGS: u32 = 0x8090_ae81;
const KVM_SET_REGS: u32 = 0x4090_ae82;
const KVM_GET_SREGS: u32 = 0x8138_ae83;
const KVM_IOEVENTFD: u32 = 0x4040_ae79;
const KVM_GET_VCPU_EVENTS: u32 = 0x8040_ae9f;
const KVM_SET_VCPU_EVENTS: u32 = 0x4040_aea0;

/// The C library's and Rust's needs: memory, locks, the end, a panic's report.
const COMMON: &[i64] = &[
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_futex,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_restart_syscall,
    libc::SYS_tgkill,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_clock_gettime,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    // A trace waits for its reader.
    libc::SYS_poll,
];

/// The device thread moves bytes between descriptors that are open already.
const DEVICES: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_sendmsg,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_getpgrp,
    libc::SYS_close,
    // The control socket: clients, the guest's time for an answer, the end.
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_timerfd_settime,
    libc::SYS_unlink,
    // The last frames of a run may go into a capture.
    libc::SYS_ftruncate,
];

/// The network card's thread moves frames.
const CARD: &[i64] = &[
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    // A capture that does not fit on the disk ends after a whole packet.
    libc::SYS_ftruncate,
];

/// The thread of the socket device, besides what `sockets` and `socket_options` name.
const SOCKETS: &[i64] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_ppoll,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_getsockname,
    libc::SYS_close,
    // As above.
    libc::SYS_ftruncate,
];

const TERMINAL_IOCTLS: &[u32] = &[
    libc::TCGETS as u32,
    libc::TCSETS as u32,
    libc::TIOCGWINSZ as u32,
    libc::TIOCGPGRP as u32,
];
const CARD_IOCTLS: &[u32] = &[libc::TUNSETOFFLOAD as u32];
const KVM_IOCTLS: &[u32] = &[
    KVM_RUN,
    KVM_GET_REGS,
    KVM_SET_REGS,
    KVM_GET_SREGS,
    // A fault for a program that writes to a port.
    KVM_GET_VCPU_EVENTS,
    KVM_SET_VCPU_EVENTS,
];

/// What reads stdin where it is a file. Which of the two calls asks for its size depends on the C library.
const INPUT_FILE: &[i64] = &[
    libc::SYS_preadv,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
];

/// `serves`: while it has nothing to run, the CPU serves the socket device. `input`: stdin, a file that it reads.
pub fn vcpu_filter(serves: bool, input: Option<RawFd>) -> Result<BpfProgram> {
    let ioctls = &[TERMINAL_IOCTLS, KVM_IOCTLS];
    let mut rules = if serves {
        socket_rules(ioctls)?
    } else {
        rules(&[COMMON], ioctls)?
    };
    if let Some(fd) = input.and_then(|fd| u64::try_from(fd).ok()) {
        for call in INPUT_FILE {
            rules.insert(*call, vec![rule(0, Op::Eq, fd)?]);
        }
    }
    program(rules)
}

pub fn device_filter() -> Result<BpfProgram> {
    filter(&[COMMON, DEVICES], &[TERMINAL_IOCTLS])
}

/// Of the thread that takes the spare doorbell away.
pub fn settling_filter() -> Result<BpfProgram> {
    filter(&[COMMON, &[libc::SYS_close]], &[&[KVM_IOEVENTFD]])
}

/// Of the network card's thread.
pub fn card_filter() -> Result<BpfProgram> {
    filter(&[COMMON, CARD], &[CARD_IOCTLS])
}

/// Of the socket device's thread.
pub fn socket_filter() -> Result<BpfProgram> {
    program(socket_rules(&[])?)
}

fn socket_rules(ioctls: &[&[u32]]) -> Result<Rules> {
    let mut rules = rules(&[COMMON, SOCKETS], ioctls)?;
    rules.insert(libc::SYS_socket, sockets()?);
    let options = hostnet::permitted_options()
        .map(|(level, name)| all(&[(1, Op::Eq, level as u64), (2, Op::Eq, name as u64)]));
    rules.insert(libc::SYS_setsockopt, options.collect::<Result<_>>()?);
    Ok(rules)
}

/// TCP, UDP and ping.
fn sockets() -> Result<Vec<SeccompRule>> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let mut allowed = Vec::new();
    for (family, ping) in [
        (libc::AF_INET, libc::IPPROTO_ICMP),
        (libc::AF_INET6, libc::IPPROTO_ICMPV6),
    ] {
        for (kind, protocol) in [
            (libc::SOCK_STREAM, libc::IPPROTO_TCP),
            (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
            (libc::SOCK_DGRAM, ping),
        ] {
            allowed.push(all(&[
                (0, Op::Eq, family as u64),
                (1, Op::Eq, (kind | flags) as u64),
                (2, Op::Eq, protocol as u64),
            ])?);
        }
    }
    Ok(allowed)
}

/// For this thread, for good.
pub fn install(program: &BpfProgram) -> Result<()> {
    Ok(seccompiler::apply_filter(program)?)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn filter(calls: &[&[i64]], ioctls: &[&[u32]]) -> Result<BpfProgram> {
    program(rules(calls, ioctls)?)
}

fn rules(calls: &[&[i64]], ioctls: &[&[u32]]) -> Result<Rules> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = calls
        .iter()
        .copied()
        .flatten()
        .map(|nr| (*nr, Vec::new()))
        .collect();
    let requests = ioctls
        .iter()
        .copied()
        .flatten()
        .map(|request| rule(1, Op::Eq, u64::from(*request)));
    let requests: Vec<_> = requests.collect::<Result<_>>()?;
    // An empty list would allow all of them.
    if !requests.is_empty() {
        rules.insert(libc::SYS_ioctl, requests);
    }
    // Rust's debug builds look at a descriptor before they close it.
    rules.insert(
        libc::SYS_fcntl,
        vec![rule(1, Op::Eq, libc::F_GETFD as u64)?],
    );
    // No new code: memory never becomes executable.
    let not_exec = || rule(2, Op::MaskedEq(libc::PROT_EXEC as u64), 0);
    rules.insert(libc::SYS_mmap, vec![not_exec()?]);
    rules.insert(libc::SYS_mprotect, vec![not_exec()?]);
    Ok(rules)
}

fn program(rules: Rules) -> Result<BpfProgram> {
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Trap,
        SeccompAction::Allow,
        TargetArch::x86_64,
    )?;
    Ok(filter.try_into()?)
}

fn rule(argument: u8, op: Op, value: u64) -> Result<SeccompRule> {
    all(&[(argument, op, value)])
}

fn all(conditions: &[(u8, Op, u64)]) -> Result<SeccompRule> {
    let conditions = conditions
        .iter()
        .map(|(argument, op, value)| Condition::new(*argument, Len::Dword, op.clone(), *value));
    Ok(SeccompRule::new(
        conditions.collect::<std::result::Result<_, _>>()?,
    )?)
}
