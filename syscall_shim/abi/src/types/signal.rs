//! Signals: numbers, sets, siginfo, actions.
use crate::{Errno, SaFlags};

/// A signal number from 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident = $nr:literal,)*) => {
        impl Signal {
            $(pub const $name: Signal = Signal($nr);)*

            /// The symbolic name; real-time signals have none.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($nr => stringify!($name),)*
                    _ => "SIGRT",
                }
            }
        }
    };
}

signals! {
    SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7, SIGFPE = 8,
    SIGKILL = 9, SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15, SIGSTKFLT = 16,
    SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22, SIGURG = 23, SIGXCPU = 24,
    SIGXFSZ = 25, SIGVTALRM = 26, SIGPROF = 27, SIGWINCH = 28, SIGIO = 29, SIGPWR = 30, SIGSYS = 31,
}

impl Signal {
    /// The first real-time signal as the kernel counts.
    pub const SIGRTMIN: Signal = Signal(32);
    pub const MAX: u8 = 64;

    /// EINVAL unless 1..=64.
    pub const fn new(number: u64) -> Result<Signal, Errno> {
        if number >= 1 && number <= Self::MAX as u64 {
            Ok(Signal(number as u8))
        } else {
            Err(Errno::EINVAL)
        }
    }

    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Real-time signals queue; the others are pending at most once.
    #[must_use]
    pub const fn is_realtime(self) -> bool {
        self.0 >= Self::SIGRTMIN.0
    }
}

abi_struct! {
    /// The kernel's `sigset_t`: bit n-1 is signal n.
    SigSet [8] { bits: u64, }
    /// `struct kernel_sigaction` of rt_sigaction(2).
    SigAction [32] { handler: u64, flags: u64, restorer: u64, mask: SigSet, }
    /// `stack_t`, sigaltstack(2).
    StackT [24] { sp: u64, flags: u32, pad: u32, size: u64, }
    /// `siginfo_t`; what the last part means depends on signal and code.
    Siginfo [128] { signo: i32, errno: i32, code: i32, pad: i32, fields: [u64; 14], }
}

/// `SIG_DFL` and `SIG_IGN` in [`SigAction::handler`].
pub const SIG_DFL: u64 = 0;
pub const SIG_IGN: u64 = 1;

impl SigAction {
    #[must_use]
    pub const fn sa_flags(&self) -> SaFlags {
        SaFlags::from_bits_retain(self.flags)
    }
}

impl SigSet {
    pub const EMPTY: SigSet = SigSet { bits: 0 };
    /// SIGKILL and SIGSTOP: cannot be blocked, caught or ignored.
    pub const UNBLOCKABLE: SigSet = SigSet::of(Signal::SIGKILL).union(SigSet::of(Signal::SIGSTOP));

    /// The set with one member.
    #[must_use]
    pub const fn of(signal: Signal) -> SigSet {
        SigSet {
            bits: 1 << (signal.0 - 1),
        }
    }

    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.bits & SigSet::of(signal).bits != 0
    }

    #[must_use]
    pub const fn union(self, other: SigSet) -> SigSet {
        SigSet {
            bits: self.bits | other.bits,
        }
    }

    #[must_use]
    pub const fn intersection(self, other: SigSet) -> SigSet {
        SigSet {
            bits: self.bits & other.bits,
        }
    }

    #[must_use]
    pub const fn without(self, other: SigSet) -> SigSet {
        SigSet {
            bits: self.bits & !other.bits,
        }
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The lowest signal of the set: the order in which Linux delivers.
    #[must_use]
    pub const fn first(self) -> Option<Signal> {
        if self.bits == 0 {
            None
        } else {
            Some(Signal(self.bits.trailing_zeros() as u8 + 1))
        }
    }
}

/// Two ints as they lie side by side in memory.
const fn pair(low: i32, high: u32) -> u64 {
    low as u32 as u64 | (high as u64) << 32
}

impl Siginfo {
    fn with(signal: Signal, code: i32, fields: &[u64]) -> Siginfo {
        let mut info = Siginfo {
            signo: i32::from(signal.0),
            code,
            ..Siginfo::default()
        };
        for (slot, value) in info.fields.iter_mut().zip(fields) {
            *slot = *value;
        }
        info
    }

    /// From kill(2) (`SI_USER`) or tgkill(2) (`SI_TKILL`).
    #[must_use]
    pub fn user(signal: Signal, code: i32, pid: i32, uid: u32) -> Siginfo {
        Self::with(signal, code, &[pair(pid, uid)])
    }

    /// From sigqueue(3).
    #[must_use]
    pub fn queue(signal: Signal, code: i32, pid: i32, uid: u32, value: u64) -> Siginfo {
        Self::with(signal, code, &[pair(pid, uid), value])
    }

    /// From a POSIX timer.
    #[must_use]
    pub fn timer(signal: Signal, id: i32, overrun: i32, value: u64) -> Siginfo {
        Self::with(signal, SI_TIMER, &[pair(id, overrun as u32), value])
    }

    /// From a fault: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP.
    #[must_use]
    pub fn fault(signal: Signal, code: i32, addr: u64) -> Siginfo {
        Self::with(signal, code, &[addr])
    }

    /// A system call that a filter does not allow: SIGSYS. `number` and `arch` are the call's, `reason` the filter's.
    #[must_use]
    pub fn seccomp(addr: u64, number: i32, arch: u32, reason: u16) -> Siginfo {
        Siginfo {
            errno: i32::from(reason),
            ..Self::with(Signal::SIGSYS, SYS_SECCOMP, &[addr, pair(number, arch)])
        }
    }

    /// From the kernel, without a sender.
    #[must_use]
    pub fn kernel(signal: Signal) -> Siginfo {
        Self::with(signal, SI_KERNEL, &[])
    }

    /// A child that changed state: SIGCHLD. Times in clock ticks.
    #[must_use]
    pub fn child(code: i32, pid: i32, uid: u32, status: i32, utime: u64, stime: u64) -> Siginfo {
        Self::with(
            Signal::SIGCHLD,
            code,
            &[pair(pid, uid), pair(status, 0), utime, stime],
        )
    }

    /// si_pid (also si_timerid).
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.fields[0] as i32
    }

    /// si_uid (also si_overrun).
    #[must_use]
    pub const fn uid(&self) -> u32 {
        (self.fields[0] >> 32) as u32
    }

    /// si_addr.
    #[must_use]
    pub const fn addr(&self) -> u64 {
        self.fields[0]
    }

    /// si_value.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.fields[1]
    }
}

/// si_code values, sigaction(2).
pub const SI_USER: i32 = 0;
/// `si_code` of SIGCHLD: the child has exited, was killed, was killed and left a core file.
pub const CLD_EXITED: i32 = 1;
pub const CLD_KILLED: i32 = 2;
pub const CLD_DUMPED: i32 = 3;
pub const CLD_STOPPED: i32 = 5;
pub const CLD_CONTINUED: i32 = 6;
pub const SI_KERNEL: i32 = 0x80;
/// `si_code` of SIGSYS: a filter of seccomp(2).
pub const SYS_SECCOMP: i32 = 1;
pub const SI_QUEUE: i32 = -1;
pub const SI_TIMER: i32 = -2;
pub const SI_MESGQ: i32 = -3;
pub const SI_TKILL: i32 = -6;
pub const ILL_ILLOPC: i32 = 1;
pub const ILL_ILLOPN: i32 = 2;
pub const ILL_PRVOPC: i32 = 5;
pub const FPE_INTDIV: i32 = 1;
pub const FPE_INTOVF: i32 = 2;
pub const FPE_FLTDIV: i32 = 3;
pub const FPE_FLTOVF: i32 = 4;
pub const FPE_FLTUND: i32 = 5;
pub const FPE_FLTRES: i32 = 6;
pub const FPE_FLTINV: i32 = 7;
pub const SEGV_MAPERR: i32 = 1;
pub const SEGV_ACCERR: i32 = 2;
pub const BUS_ADRALN: i32 = 1;
pub const BUS_ADRERR: i32 = 2;
pub const TRAP_BRKPT: i32 = 1;
pub const TRAP_TRACE: i32 = 2;
