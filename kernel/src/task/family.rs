//! All processes, who is whose child, and waiting for children: wait4(2), waitid(2).
//!
//! One lock for all of it. With it held signals are sent, so nothing that a signal locks may lead back here.

use super::process::{News, Process};
use super::{signal, wait};
use crate::mm::layout::PAGE;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_abi::{
    CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, Errno, SIG_IGN, SaFlags,
    Siginfo, Signal, WaitFlags,
};
use spin::Mutex;
use syscall_shim::kernel::{Usage, WaitTarget, Waited};

/// Of `si_utime`: `CLK_TCK` is 100.
const NS_PER_TICK: u64 = 10_000_000;

/// The first process's number. It ends with the machine.
pub const INIT: i32 = 1;

/// How a process has ended, as wait(2) encodes it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Exit(pub u16);

impl Exit {
    #[must_use]
    pub fn status(status: u8) -> Self {
        Self(u16::from(status) << 8)
    }

    #[must_use]
    pub fn signal(signal: Signal) -> Self {
        Self(u16::from(signal.number()))
    }

    /// What a shell makes of it.
    #[must_use]
    pub fn shell_status(self) -> u8 {
        match self.0 as u8 & 0x7f {
            0 => (self.0 >> 8) as u8,
            signal => 128 + signal,
        }
    }

    /// `si_code` and `si_status`.
    fn told(self) -> (i32, i32) {
        match self.0 & 0x7f {
            0 => (CLD_EXITED, i32::from(self.0 >> 8)),
            signal if self.0 & 0x80 != 0 => (CLD_DUMPED, i32::from(signal)),
            signal => (CLD_KILLED, i32::from(signal)),
        }
    }
}

struct Member {
    process: Arc<Process>,
    /// It has ended, and nobody has waited for it.
    exit: Option<Exit>,
}

type Members = BTreeMap<i32, Member>;

static MEMBERS: Mutex<Members> = Mutex::new(BTreeMap::new());

/// Adds a process, which runs from now on.
pub fn add(process: Arc<Process>, ppid: i32) {
    process.ppid.store(ppid, Ordering::Relaxed);
    MEMBERS.lock().insert(
        process.pid,
        Member {
            process,
            exit: None,
        },
    );
}

/// A process with that number, be it one that has ended and was not waited for.
#[must_use]
pub fn find(pid: i32) -> Option<Arc<Process>> {
    let members = MEMBERS.lock();
    members.get(&pid).map(|member| member.process.clone())
}

/// All processes, by their numbers.
#[must_use]
pub fn all() -> Vec<Arc<Process>> {
    let members = MEMBERS.lock();
    members
        .values()
        .map(|member| member.process.clone())
        .collect()
}

/// Whether the number is a process's, or one's group or session.
#[must_use]
pub fn is_used(id: i32) -> bool {
    let members = MEMBERS.lock();
    members.contains_key(&id)
        || members.values().any(|member| {
            let state = &member.process.state;
            state.pgid.load(Ordering::Relaxed) == id || state.sid.load(Ordering::Relaxed) == id
        })
}

/// Whether it has ended; none if it is not there (any more).
#[must_use]
pub fn has_ended(process: &Process) -> bool {
    let members = MEMBERS.lock();
    members
        .get(&process.pid)
        .filter(|member| core::ptr::eq(Arc::as_ptr(&member.process), process))
        .is_none_or(|member| member.exit.is_some())
}

/// The last thread has ended, and what the process held is given back: its children get another parent, its own is told.
pub fn ended(process: &Arc<Process>, exit: Exit) {
    let mut members = MEMBERS.lock();
    hand_on_children(&mut members, process);
    if let Some(member) = members.get_mut(&process.pid) {
        member.exit = Some(exit);
    }
    tell_parent(&mut members, process, exit);
    drop(members);
    process.ended.notify(vfs::poll::IN | vfs::poll::RDNORM);
}

/// Children go to the nearest ancestor that has asked for them (`PR_SET_CHILD_SUBREAPER`), else to the first process.
fn hand_on_children(members: &mut Members, process: &Process) {
    let reaper = reaper(members, process);
    let children: Vec<(Arc<Process>, Option<Exit>)> = members
        .values()
        .filter(|member| member.process.ppid.load(Ordering::Relaxed) == process.pid)
        .map(|member| (member.process.clone(), member.exit))
        .collect();
    for (child, exit) in children {
        child.ppid.store(reaper, Ordering::Relaxed);
        let told = child.state.prctl.death_signal.load(Ordering::Relaxed);
        if let Ok(signal) = Signal::new(u64::from(told)) {
            // A full queue loses it, as under Linux.
            let _ = signal::send_to_process(&child, Siginfo::kernel(signal));
        }
        if let Some(exit) = exit {
            child
                .exit_signal
                .store(Signal::SIGCHLD.number(), Ordering::Relaxed);
            tell_parent(members, &child, exit);
        }
    }
}

fn reaper(members: &Members, process: &Process) -> i32 {
    let mut at = process.ppid.load(Ordering::Relaxed);
    while let Some(member) = members.get(&at).filter(|member| member.exit.is_none()) {
        if member.process.state.prctl.subreaper.load(Ordering::Relaxed) != 0 {
            return at;
        }
        at = member.process.ppid.load(Ordering::Relaxed);
    }
    INIT
}

/// The parent gets the signal and may wait; one that wants to know nothing has the child forgotten.
fn tell_parent(members: &mut Members, process: &Process, exit: Exit) {
    let Some(parent) = members
        .get(&process.ppid.load(Ordering::Relaxed))
        .map(|member| member.process.clone())
    else {
        members.remove(&process.pid);
        return;
    };
    let signal = Signal::new(u64::from(process.exit_signal.load(Ordering::Relaxed)));
    if let Ok(signal) = signal {
        let action = parent.signals.lock().action(signal);
        let of_children = signal == Signal::SIGCHLD;
        let unwanted = of_children
            && (action.handler == SIG_IGN || action.sa_flags().contains(SaFlags::SA_NOCLDWAIT));
        if unwanted {
            members.remove(&process.pid);
        }
        if !of_children || action.handler != SIG_IGN {
            // It cannot fail but for a full queue, of a real-time signal.
            let _ = signal::send_to_process(&parent, report(process, exit, signal));
        }
    }
    parent.child_events.notify(vfs::poll::IN);
}

/// The process was stopped, or goes on: the parent gets SIGCHLD, unless it said that it does not want it for that.
pub fn tell_of_change(process: &Process, news: News) {
    let parent = find(process.ppid.load(Ordering::Relaxed));
    let Some(parent) = parent else { return };
    let action = parent.signals.lock().action(Signal::SIGCHLD);
    if action.handler != SIG_IGN && !action.sa_flags().contains(SaFlags::SA_NOCLDSTOP) {
        // It cannot fail: this is no real-time signal.
        let _ = signal::send_to_process(&parent, change_report(process, news).1);
    }
    parent.child_events.notify(vfs::poll::IN);
}

/// As wait(2) encodes it, and as SIGCHLD tells it.
fn change_report(process: &Process, news: News) -> (i32, Siginfo) {
    let (status, code, signal) = match news {
        News::Stopped(signal) => {
            let number = i32::from(signal.number());
            (number << 8 | 0x7f, CLD_STOPPED, number)
        }
        News::Continued => (0xffff, CLD_CONTINUED, i32::from(Signal::SIGCONT.number())),
    };
    let uid = process.state.with_identity(|identity| identity.ruid);
    let ticks = usage(process).user / NS_PER_TICK;
    (
        status,
        Siginfo::child(code, process.pid, uid, signal, ticks, 0),
    )
}

/// Whether nobody outside of its group, but in its session, could let the process's group go on.
#[must_use]
pub fn is_orphaned(process: &Process) -> bool {
    let members = MEMBERS.lock();
    let group = |process: &Process| process.state.pgid.load(Ordering::Relaxed);
    let session = |process: &Process| process.state.sid.load(Ordering::Relaxed);
    let has_shell = |member: &Member| {
        let parent = members.get(&member.process.ppid.load(Ordering::Relaxed));
        parent.is_some_and(|parent| {
            group(&parent.process) != group(process) && session(&parent.process) == session(process)
        })
    };
    !members
        .values()
        .any(|member| group(&member.process) == group(process) && has_shell(member))
}

/// What the parent is told.
fn report(process: &Process, exit: Exit, signal: Signal) -> Siginfo {
    let (code, status) = exit.told();
    let uid = process.state.with_identity(|identity| identity.ruid);
    let ticks = usage(process).user / NS_PER_TICK;
    Siginfo {
        signo: i32::from(signal.number()),
        ..Siginfo::child(code, process.pid, uid, status, ticks, 0)
    }
}

/// What the process has used itself.
#[must_use]
pub fn usage(process: &Process) -> Usage {
    let held = process.space().peak() * PAGE / 1024;
    Usage {
        // A system call is a jump: nobody counts apart what the kernel used.
        user: process.cpu_time(),
        max_rss_kib: held.max(process.past_peak.load(Ordering::Relaxed)),
        minor_faults: process.minor_faults.load(Ordering::Relaxed),
        voluntary_switches: process.switches.load(Ordering::Relaxed),
        ..Usage::default()
    }
}

/// The sum, but of memory the most.
fn add_usage(one: Usage, other: Usage) -> Usage {
    Usage {
        user: one.user + other.user,
        system: one.system + other.system,
        max_rss_kib: one.max_rss_kib.max(other.max_rss_kib),
        minor_faults: one.minor_faults + other.minor_faults,
        major_faults: one.major_faults + other.major_faults,
        voluntary_switches: one.voluntary_switches + other.voluntary_switches,
        involuntary_switches: one.involuntary_switches + other.involuntary_switches,
    }
}

/// What a look for children came to.
enum Look {
    /// There is none that could be waited for.
    Nobody,
    NotYet,
    Found(Waited),
}

/// wait4(2), waitid(2).
pub fn wait_child(
    parent: &Process,
    target: WaitTarget,
    flags: WaitFlags,
) -> Result<Option<Waited>, Errno> {
    let mut seen = look(parent, target, flags);
    if matches!(seen, Look::NotYet) && !flags.contains(WaitFlags::WNOHANG) {
        wait::wait(&[&parent.child_events], None, &mut || {
            seen = look(parent, target, flags);
            !matches!(seen, Look::NotYet)
        })?;
    }
    match seen {
        Look::Nobody => Err(Errno::ECHILD),
        Look::NotYet => Ok(None),
        Look::Found(waited) => Ok(Some(waited)),
    }
}

fn look(parent: &Process, target: WaitTarget, flags: WaitFlags) -> Look {
    let mut members = MEMBERS.lock();
    let mut any = false;
    let mut ended = None;
    for member in members.values() {
        let child = &member.process;
        if child.ppid.load(Ordering::Relaxed) != parent.pid
            || !is_meant(parent, child, target, flags)
        {
            continue;
        }
        any = true;
        let wanted = |news| match news {
            News::Stopped(_) => flags.contains(WaitFlags::WUNTRACED),
            News::Continued => flags.contains(WaitFlags::WCONTINUED),
        };
        let take = !flags.contains(WaitFlags::WNOWAIT);
        if member.exit.is_none()
            && let Some(news) = child.news(wanted, take)
        {
            let (status, info) = change_report(child, news);
            return Look::Found(Waited {
                pid: child.pid,
                status,
                info,
                usage: usage(child),
            });
        }
        if let Some(exit) = member.exit.filter(|_| flags.contains(WaitFlags::WEXITED)) {
            ended = Some((child.clone(), exit));
            break;
        }
    }
    let Some((child, exit)) = ended else {
        return if any { Look::NotYet } else { Look::Nobody };
    };
    let used = add_usage(usage(&child), *child.children_usage.lock());
    if !flags.contains(WaitFlags::WNOWAIT) {
        members.remove(&child.pid);
        let mut sum = parent.children_usage.lock();
        *sum = add_usage(*sum, used);
    }
    Look::Found(Waited {
        pid: child.pid,
        status: i32::from(exit.0),
        info: report(&child, exit, Signal::SIGCHLD),
        usage: used,
    })
}

fn is_meant(parent: &Process, child: &Process, target: WaitTarget, flags: WaitFlags) -> bool {
    let group = |process: &Process| process.state.pgid.load(Ordering::Relaxed);
    let targeted = match target {
        WaitTarget::Any => true,
        WaitTarget::Pid(pid) => pid == child.pid,
        WaitTarget::Group(0) => group(child) == group(parent),
        WaitTarget::Group(wanted) => group(child) == wanted,
    };
    // "Clone children" are those that tell of their end by another signal than SIGCHLD.
    let is_clone = child.exit_signal.load(Ordering::Relaxed) != Signal::SIGCHLD.number();
    targeted
        && (flags.contains(WaitFlags::__WALL) || is_clone == flags.contains(WaitFlags::__WCLONE))
}

/// The processes of a group.
#[must_use]
pub fn group(group: i32) -> Vec<Arc<Process>> {
    let members = MEMBERS.lock();
    members
        .values()
        .filter(|member| member.process.state.pgid.load(Ordering::Relaxed) == group)
        .map(|member| member.process.clone())
        .collect()
}

/// Everybody but the first process and `sender`: kill(2) with -1.
#[must_use]
pub fn others(sender: &Process) -> Vec<Arc<Process>> {
    let mut all = all();
    all.retain(|process| process.pid != INIT && process.pid != sender.pid);
    all
}

/// setpgid(2); 0 is the caller, and the process's own number.
pub fn set_group(caller: &Process, pid: i32, group: i32) -> Result<(), Errno> {
    let members = MEMBERS.lock();
    let pid = if pid == 0 { caller.pid } else { pid };
    let process = &members.get(&pid).ok_or(Errno::ESRCH)?.process;
    let session = |process: &Process| process.state.sid.load(Ordering::Relaxed);
    if pid != caller.pid {
        if process.ppid.load(Ordering::Relaxed) != caller.pid {
            return Err(Errno::ESRCH);
        }
        if session(process) != session(caller) {
            return Err(Errno::EPERM);
        }
        if process.has_execed.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    let wanted = if group == 0 { pid } else { group };
    let is_there = |member: &Member| {
        member.process.state.pgid.load(Ordering::Relaxed) == wanted
            && session(&member.process) == session(caller)
    };
    if session(process) == pid || (wanted != pid && !members.values().any(is_there)) {
        return Err(Errno::EPERM);
    }
    process.state.pgid.store(wanted, Ordering::Relaxed);
    Ok(())
}
