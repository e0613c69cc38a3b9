//! What each thread and CPU does, said on standard error for whoever asks why a program does not go on. It takes few locks, and
//! none that is held for long: it has to answer when something is wrong.
#![allow(unsafe_code)]

use super::frame::{FRAME_SIZE, Frame};
use super::thread::{State, Thread};
use super::{family, sched, signal};
use alloc::format;
use alloc::string::String;
use syscall_shim::lookup;

/// So many are told of; a program may have thousands.
const MOST: usize = 200;

pub fn tell() {
    sched::tell();
    let processes = family::all();
    let mut threads = processes
        .iter()
        .flat_map(|process| process.live_threads())
        .enumerate();
    threads
        .by_ref()
        .take(MOST)
        .for_each(|(_, thread)| tell_thread(&thread));
    let rest = threads.count();
    if rest > 0 {
        say!("and {rest} threads more");
    }
}

fn tell_thread(thread: &Thread) {
    let frame = last_frame(thread);
    let state = match (thread.state(), thread.on_cpu()) {
        _ if thread.process.is_stopped() => "stopped".into(),
        (State::Runnable, Some(cpu)) => format!("on CPU {cpu}"),
        (State::Runnable, None) => format!("waits for CPU {}", thread.last_cpu()),
        (State::Blocked, _) => "sleeps".into(),
        (State::Dead, _) => "has ended".into(),
    };
    let name = *thread.name.lock();
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let (own, shared, _) = signal::pending(thread);
    let blocked = thread.signals.lock().mask;
    say!(
        "thread {} ({}) of process {}: {state}, {} ms of CPU time, {} from {:#x}, signals pending {:#x} and {:#x}, blocked {:#x}",
        thread.tid,
        name.escape_ascii(),
        thread.process.pid,
        thread.cpu_time() / 1_000_000,
        entered_by(&frame),
        frame.rip,
        own.bits,
        shared.bits,
        blocked.bits
    );
}

/// How it came into the kernel last, where it still is unless it runs.
fn entered_by(frame: &Frame) -> String {
    let Some(call) = usize::try_from(frame.orig_rax).ok().and_then(lookup) else {
        return "no call".into();
    };
    format!(
        "{}({:#x}, {:#x}, {:#x}, {:#x}, {:#x}, {:#x})",
        call.name(),
        frame.rdi,
        frame.rsi,
        frame.rdx,
        frame.r10,
        frame.r8,
        frame.r9
    )
}

fn last_frame(thread: &Thread) -> Frame {
    let at = thread.kstack_top() - FRAME_SIZE;
    // SAFETY: the top of a stack that lives as long as its thread, and numbers only. The thread may be writing them: then some
    // are older than others, which is good enough to be shown.
    unsafe { (at as *const Frame).read_volatile() }
}
