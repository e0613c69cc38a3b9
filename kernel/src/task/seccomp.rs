//! seccomp(2): filters of a thread's system calls, as a part. Once the first thread has one all calls pass by here; before that
//! nothing of it is in a call's way.
#![allow(unsafe_code)]

use super::family::Exit;
use super::frame::Frame;
use super::thread::Thread;
use super::{entry, fault, signal, wait};
use crate::parts::Seccomp;
use crate::percpu;
use crate::sys::Caller;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::raw::general::{__NR_exit, __NR_read, __NR_rt_sigreturn, __NR_write};
use linux_abi::raw::ptrace as raw;
use linux_abi::{Errno, SeccompFlags, Siginfo, Signal, SysResult};
use net::bpf::{Data, Program, Width};
use spin::Mutex;
use syscall_shim::kernel::SeccompChange;
use syscall_shim::sys::seccomp::{DATA_SIZE, seccomp};

/// `AUDIT_ARCH_X86_64`
const ARCH: u32 = 0xc000_003e;
/// Of all filters of a thread together, each counting some more (`MAX_INSNS_PER_PATH`).
const LONGEST: usize = 32768;
const MORE: usize = 4;
/// The highest errno that a filter can answer with.
const MAX_ERRNO: u32 = 4095;
/// What the strict mode leaves.
const STRICT: [u32; 4] = [__NR_read, __NR_write, __NR_exit, __NR_rt_sigreturn];

/// Held where several threads' rules have to do with each other: no thread is made without those that all are to have.
static CHANGING: Mutex<()> = Mutex::new(());

/// What a thread may call.
#[derive(Clone)]
pub enum Rules {
    Strict,
    /// In the order in which they came.
    Filters(Arc<Vec<Arc<Program>>>),
}

impl Rules {
    /// As `PR_GET_SECCOMP` and /proc tell: the mode, and how many filters there are.
    #[must_use]
    pub fn figures(&self) -> (u32, u32) {
        match self {
            Self::Strict => (1, 0),
            Self::Filters(filters) => (2, filters.len() as u32),
        }
    }
}

// SAFETY: the name is this static's alone; `parts::seccomp` reads it as what it is.
#[unsafe(export_name = "compat.part.seccomp")]
static PART: Seccomp = Seccomp {
    change: |caller, op, args| seccomp(caller, op, 0, args),
};

/// Changes what the calling thread may call. Whoever calls this needs the part.
// SAFETY: the name is this function's alone, and nothing calls it by that.
#[unsafe(export_name = "compat.need.seccomp")]
#[inline(never)]
pub fn change(change: SeccompChange) -> SysResult {
    let thread = percpu::current();
    match change {
        SeccompChange::Strict => {
            let mut rules = thread.seccomp.lock();
            if matches!(*rules, Some(Rules::Filters(_))) {
                return Err(Errno::EINVAL);
            }
            *rules = Some(Rules::Strict);
        }
        SeccompChange::Filter { program, flags } => {
            let _changing = CHANGING.lock();
            let mut others = thread.process.live_threads();
            others.retain(|other| !percpu::is_current(other));
            let new = with(thread, program)?;
            if flags.contains(SeccompFlags::TSYNC) {
                if let Some(other) = others.iter().find(|other| !leads_to(other, &new)) {
                    return if flags.contains(SeccompFlags::TSYNC_ESRCH) {
                        Err(Errno::ESRCH)
                    } else {
                        Ok(other.tid as usize)
                    };
                }
                for other in &others {
                    *other.seccomp.lock() = Some(Rules::Filters(new.clone()));
                }
            }
            *thread.seccomp.lock() = Some(Rules::Filters(new));
        }
    }
    entry::handle_by(filtered_syscall);
    Ok(0)
}

/// The thread's filters and one more.
fn with(thread: &Thread, program: Program) -> Result<Arc<Vec<Arc<Program>>>, Errno> {
    let mut filters = match &*thread.seccomp.lock() {
        None => Vec::new(),
        Some(Rules::Filters(filters)) => filters.as_ref().clone(),
        Some(Rules::Strict) => return Err(Errno::EINVAL),
    };
    filters.push(Arc::new(program));
    let total: usize = filters.iter().map(|one| one.length() + MORE).sum();
    if total - MORE > LONGEST {
        return Err(Errno::ENOMEM);
    }
    Ok(Arc::new(filters))
}

/// Whether a thread's filters are the first of `new`.
fn leads_to(thread: &Thread, new: &[Arc<Program>]) -> bool {
    match &*thread.seccomp.lock() {
        None => true,
        Some(Rules::Strict) => false,
        Some(Rules::Filters(own)) => {
            own.len() <= new.len()
                && own
                    .iter()
                    .zip(new)
                    .all(|(one, other)| Arc::ptr_eq(one, other))
        }
    }
}

/// `struct seccomp_data`
struct Call([u32; DATA_SIZE as usize / 4]);

impl Call {
    fn new(frame: &Frame, address: u64) -> Self {
        let wide = [
            address, frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9,
        ];
        let mut words = [0; DATA_SIZE as usize / 4];
        let halves = wide
            .iter()
            .flat_map(|value| [*value as u32, (value >> 32) as u32]);
        let all = [frame.orig_rax as u32, ARCH].into_iter().chain(halves);
        words
            .iter_mut()
            .zip(all)
            .for_each(|(slot, word)| *slot = word);
        Self(words)
    }
}

impl Data for Call {
    fn length(&self) -> u32 {
        DATA_SIZE
    }

    /// Whole words in host byte order: the program was checked to load nothing else.
    fn load(&self, _width: Width, offset: u32) -> Option<u32> {
        self.0.get(offset as usize / 4).copied()
    }
}

/// A system call, once any thread has filters.
extern "C" fn filtered_syscall(frame: &mut Frame) {
    let thread = percpu::current();
    let rules = thread.seccomp.lock().clone();
    match rules {
        None => entry::syscall_from_ring3(frame),
        Some(Rules::Strict) if STRICT.contains(&(frame.orig_rax as u32)) => {
            entry::syscall_from_ring3(frame);
        }
        Some(Rules::Strict) => {
            drop(rules);
            wait::exit_thread(Exit::signal(Signal::SIGKILL))
        }
        Some(Rules::Filters(filters)) => {
            let address = thread.space.visible_pc(frame.rip);
            let call = Call::new(frame, address);
            let verdict = judge(&filters, &call);
            // What follows may not come back.
            drop(filters);
            act(thread, frame, address, verdict);
        }
    }
}

/// The answer of the filter with the strictest action; of several the youngest.
fn judge(filters: &[Arc<Program>], call: &Call) -> u32 {
    let strictness = |answer: &u32| (answer & raw::SECCOMP_RET_ACTION_FULL) as i32;
    let answers = filters.iter().rev().map(|filter| filter.run(call));
    // Of several that are alike the first one counts.
    answers
        .min_by_key(strictness)
        .unwrap_or(raw::SECCOMP_RET_ALLOW)
}

fn act(thread: &Thread, frame: &mut Frame, address: u64, verdict: u32) {
    let data = verdict & raw::SECCOMP_RET_DATA;
    match verdict & raw::SECCOMP_RET_ACTION_FULL {
        raw::SECCOMP_RET_ALLOW | raw::SECCOMP_RET_LOG => entry::syscall_from_ring3(frame),
        raw::SECCOMP_RET_ERRNO => frame.rax = u64::from(data.min(MAX_ERRNO)).wrapping_neg(),
        // Nobody traces, and nobody listens.
        raw::SECCOMP_RET_TRACE | raw::SECCOMP_RET_USER_NOTIF => {
            frame.rax = u64::from(Errno::ENOSYS.raw()).wrapping_neg();
        }
        raw::SECCOMP_RET_TRAP => {
            let info = report(frame, address, data as u16);
            frame.rax = frame.orig_rax;
            signal::force(info);
        }
        raw::SECCOMP_RET_KILL_THREAD if thread.process.threads.lock().len() > 1 => {
            wait::exit_thread(Exit::signal(Signal::SIGSYS))
        }
        _ => {
            let info = report(frame, address, data as u16);
            frame.rax = frame.orig_rax;
            fault::die(Signal::SIGSYS, frame, &info)
        }
    }
}

fn report(frame: &Frame, address: u64, reason: u16) -> Siginfo {
    Siginfo::seccomp(address, frame.orig_rax as i32, ARCH, reason)
}

/// For prctl(2), where the image holds the part.
pub fn change_if_there(caller: &Caller<'_>, op: u32, args: u64) -> SysResult {
    match crate::parts::seccomp() {
        Some(part) => (part.change)(caller, op, args),
        None => {
            crate::notice::once_each(alloc::string::String::from(
                "filters of system calls were left out of this image; add them with compat wrap --include seccomp",
            ));
            Err(Errno::EINVAL)
        }
    }
}

/// What a child, or the same process with another program, may call.
pub fn inherit(from: &Thread, to: &Thread) {
    let _changing = CHANGING.lock();
    *to.seccomp.lock() = from.seccomp.lock().clone();
}

/// The mode, and how many filters there are.
#[must_use]
pub fn figures(thread: &Thread) -> (u32, u32) {
    let rules = thread.seccomp.lock();
    rules.as_ref().map_or((0, 0), Rules::figures)
}
