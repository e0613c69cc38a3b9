//! What stat and status tell about a process or one of its threads.

use super::maps;
use crate::task::thread::{State, Thread};
use crate::task::{Process, signal};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_abi::{CapSet, Prot, SIG_DFL, SIG_IGN, SigSet, Signal};
use syscall_shim::state::Identity;
use vfs::ProcessInfo;

/// A live thread of the process.
pub fn thread(process: &Process, tid: u32) -> Option<Arc<Thread>> {
    process
        .live_threads()
        .into_iter()
        .find(|thread| thread.tid as u32 == tid)
}

/// When a thread, or with `tid` the process's number all of it, was started.
pub fn started(process: &Process, tid: u32) -> Option<u64> {
    let is_there = tid == process.pid as u32 || thread(process, tid).is_some();
    is_there.then_some(process.start_time)
}

/// A thread, or with `tid` the process's number all of it.
pub fn info(process: &Process, tid: u32) -> Option<ProcessInfo> {
    let whole = tid == process.pid as u32;
    let live = process.live_threads();
    let one = live.iter().find(|thread| thread.tid as u32 == tid);
    // The first thread may have ended before the others.
    let Some(shown) = one.or_else(|| live.first().filter(|_| whole)) else {
        return whole.then(|| ended(process));
    };
    let (start_code, end_code) = maps::extent(process, |area| area.prot.contains(Prot::PROT_EXEC));
    let (start_data, end_data) = maps::extent(process, |area| area.prot.contains(Prot::PROT_WRITE));
    let exec = process.exec.lock().clone();
    let identity = process.state.identity();
    let (ignored, caught) = actions(process);
    let (own_pending, shared_pending, queued) = signal::pending(shown);
    let pgid = process.state.pgid.load(Ordering::Relaxed);
    Some(ProcessInfo {
        pid: process.pid as u32,
        tid,
        ppid: process.ppid.load(Ordering::Relaxed) as u32,
        pgid: pgid as u32,
        sid: process.state.sid.load(Ordering::Relaxed) as u32,
        tpgid: -1,
        state: if one.is_none() { b'Z' } else { state(shown) },
        comm: comm(shown),
        uids: uids(&identity),
        gids: gids(&identity),
        capabilities: capabilities(&identity),
        groups: identity.groups,
        umask: process.fs().umask(),
        threads: live.len() as u32,
        nice: process.state.nice.load(Ordering::Relaxed),
        user_time: if whole {
            process.cpu_time()
        } else {
            shown.cpu_time()
        },
        minor_faults: process.minor_faults.load(Ordering::Relaxed),
        signals_pending: own_pending.bits,
        signals_shared_pending: shared_pending.bits,
        signals_queued: queued as u64,
        signals_blocked: shown.signals.lock().mask.bits,
        signals_ignored: ignored,
        signals_caught: caught,
        start_code,
        end_code,
        start_data,
        end_data,
        start_stack: exec.args.start,
        start_brk: exec.brk_start,
        arg_start: exec.args.start,
        arg_end: exec.args.end,
        env_start: exec.env.start,
        env_end: exec.env.end,
        cpu: shown.last_cpu(),
        affinity: shown.affinity.load(Ordering::Relaxed),
        voluntary_switches: process.switches.load(Ordering::Relaxed),
        start_time: process.start_time,
        seccomp: crate::task::seccomp::figures(shown),
        no_new_privs: process.state.prctl.no_new_privs.load(Ordering::Relaxed) != 0,
        ..ProcessInfo::default()
    })
}

const fn uids(id: &Identity) -> [u32; 4] {
    [id.ruid, id.euid, id.suid, id.fsuid]
}

const fn gids(id: &Identity) -> [u32; 4] {
    [id.rgid, id.egid, id.sgid, id.fsgid]
}

const fn capabilities(id: &Identity) -> [CapSet; 5] {
    let own = &id.capabilities;
    [
        own.inheritable,
        own.permitted,
        own.effective,
        own.bounding,
        own.ambient,
    ]
}

/// One that nobody has waited for.
fn ended(process: &Process) -> ProcessInfo {
    let identity = process.state.identity();
    ProcessInfo {
        pid: process.pid as u32,
        tid: process.pid as u32,
        ppid: process.ppid.load(Ordering::Relaxed) as u32,
        pgid: process.state.pgid.load(Ordering::Relaxed) as u32,
        sid: process.state.sid.load(Ordering::Relaxed) as u32,
        tpgid: -1,
        state: b'Z',
        comm: until_nul(*process.name.lock()),
        uids: uids(&identity),
        gids: gids(&identity),
        capabilities: capabilities(&identity),
        user_time: process.cpu_time(),
        start_time: process.start_time,
        ..ProcessInfo::default()
    }
}

fn state(thread: &Thread) -> u8 {
    match thread.state() {
        _ if thread.process.is_stopped() => b'T',
        State::Runnable => b'R',
        State::Blocked => b'S',
        State::Dead => b'Z',
    }
}

fn comm(thread: &Thread) -> Vec<u8> {
    until_nul(*thread.name.lock())
}

fn until_nul(name: [u8; 16]) -> Vec<u8> {
    name.iter().copied().take_while(|&byte| byte != 0).collect()
}

/// The signals that are ignored, and those with a handler.
fn actions(process: &Process) -> (u64, u64) {
    let signals = process.signals.lock();
    let mut sets = (0, 0);
    for signal in (1..=u64::from(Signal::MAX)).filter_map(|number| Signal::new(number).ok()) {
        let bit = SigSet::of(signal).bits;
        match signals.action(signal).handler {
            SIG_DFL => {}
            SIG_IGN => sets.0 |= bit,
            _ => sets.1 |= bit,
        }
    }
    sets
}
