//! Tracing of system calls for `compat trace`. While it is off nothing of this runs: the entry code calls
//! [`SYSCALL_HANDLER`], which then is the plain handler. See `boot_abi::trace` for the records.
#![allow(unsafe_code)]

mod capture;
mod record;
mod ring;

use crate::percpu;
use crate::task::entry::{self, syscall_from_ring3};
use crate::task::frame::Frame;
use crate::time;
use alloc::collections::BTreeSet;
use boot_abi::trace::{self as abi, Settings};
use capture::{after, before};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use linux_abi::{Siginfo, Signal};
use record::Record;
use spin::Mutex;
use syscall_shim::Regs;

/// What the entry code calls for a system call: `extern "C" fn(&mut Frame)`.
#[unsafe(no_mangle)]
static SYSCALL_HANDLER: AtomicPtr<()> = AtomicPtr::new(syscall_from_ring3 as *mut ());

static SETTINGS: Mutex<Option<Settings>> = Mutex::new(None);
/// Nothing has been told yet.
static FRESH: AtomicBool = AtomicBool::new(false);
/// The program has not run yet.
static FROM_START: AtomicBool = AtomicBool::new(false);
/// The process whose end by a signal has been told.
static KILLED: AtomicI32 = AtomicI32::new(0);
/// The sites that have trapped and been described.
static SITES: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// What the configuration asks for, before the program runs. None: not understood.
pub fn begin(text: &str) -> Option<()> {
    command(text)?;
    FROM_START.store(true, Ordering::Relaxed);
    Some(())
}

/// A line of the control port: `off`, or what to trace. None: not understood.
pub fn command(text: &str) -> Option<()> {
    if text == "off" {
        stop();
        return Some(());
    }
    let settings = Settings::parse(text)?;
    start(settings);
    Some(())
}

fn start(settings: Settings) {
    if !ring::open() {
        say!("there is not enough memory to trace");
        return;
    }
    *SETTINGS.lock() = Some(settings);
    SITES.lock().clear();
    FRESH.store(true, Ordering::Relaxed);
    SYSCALL_HANDLER.store(traced_syscall as *mut (), Ordering::Release);
}

fn stop() {
    *SETTINGS.lock() = None;
    handler_changed();
}

/// What carries calls out has changed.
pub fn handler_changed() {
    let settings = SETTINGS.lock();
    if settings.is_none() {
        SYSCALL_HANDLER.store(entry::handler() as *mut (), Ordering::Release);
    }
}

fn settings() -> Option<Settings> {
    SETTINGS.lock().clone()
}

fn is_on() -> bool {
    SETTINGS.lock().is_some()
}

/// Names the program, which may have run for long. If it has not, its arguments and environment are as it got them.
fn started() {
    let exec = percpu::current().process.exec.lock().clone();
    let path = exec.exe.as_ref().and_then(crate::symbols::root_path);
    let path = path.as_deref().unwrap_or("?");
    if !FROM_START.swap(false, Ordering::Relaxed) {
        let mut record = Record::new(abi::STARTED, 0);
        record.text(path);
        return record.write();
    }
    let mut record = Record::new(abi::STARTED, abi::FROM_START);
    record.words(&[path.len() as u64, exec.args.start, exec.env.start]);
    record.padded_text(path);
    for strings in [&exec.args, &exec.env] {
        record.snippet(strings.start, strings.end.saturating_sub(strings.start));
    }
    record.write();
}

/// A system call, told before and after.
extern "C" fn traced_syscall(frame: &mut Frame) {
    // A jump leaves it alone, so that what is found here is of an earlier call.
    let trapped = percpu::take_trap_rip() == frame.rip;
    if FRESH.load(Ordering::Relaxed) && FRESH.swap(false, Ordering::Relaxed) {
        started();
    }
    let nr = frame.orig_rax;
    let Some(settings) = settings().filter(|settings| settings.wants(nr)) else {
        return entry::handler()(frame);
    };
    let regs = Regs::new([
        frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9,
    ]);
    let site = crate::task::current_space().visible_pc(frame.rip);
    if trapped && SITES.lock().insert(site) {
        describe_site(site);
    }
    let mut record = Record::new(abi::ENTER, if trapped { abi::TRAPPED } else { 0 });
    record.words(&[nr, site]);
    record.words(&regs.args);
    before(&mut record, nr, &regs, settings.string);
    record.write();
    let begin = time::monotonic();
    entry::handler()(frame);
    let took = time::monotonic().saturating_sub(begin);
    if !is_on() {
        return;
    }
    let mut record = Record::new(abi::EXIT, 0);
    record.words(&[nr, frame.rax, took]);
    after(&mut record, nr, &regs, frame.rax as i64, settings.string);
    record.write();
}

fn describe_site(return_address: u64) {
    let at = return_address.wrapping_sub(2);
    let text = crate::symbols::describe(crate::task::current_space(), at);
    let mut record = Record::new(abi::SITE, 0);
    record.words(&[return_address]);
    record.text(&text);
    record.write();
}

/// The running thread is about to see a signal: its handler, or what it does by default.
pub fn signal(info: &Siginfo) {
    if is_on() {
        let mut record = Record::new(abi::SIGNAL, 0);
        let code = info.code as u32;
        record.words(&[
            u64::from(info.signo as u32) | u64::from(info.errno as u32) << 32,
            u64::from(code),
        ]);
        record.words(&info.fields);
        record.write();
    }
}

/// The running thread has ended by itself.
pub fn thread_ended(status: u8) {
    ended(0, u64::from(status) << 8);
}

/// The running thread's process has ended by itself.
pub fn process_ended(status: u8) {
    if KILLED.load(Ordering::Relaxed) == percpu::current().process.pid {
        return;
    }
    ended(abi::WHOLE_PROCESS, u64::from(status) << 8);
}

/// A signal has ended the running thread's process.
pub fn process_killed(signal: Signal) {
    KILLED.store(percpu::current().process.pid, Ordering::Relaxed);
    ended(abi::WHOLE_PROCESS, u64::from(signal.number()));
}

fn ended(flags: u8, wait_status: u64) {
    if is_on() {
        let mut record = Record::new(abi::ENDED, flags);
        record.words(&[wait_status]);
        record.write();
    }
}
