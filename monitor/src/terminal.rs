//! The terminal behind the standard streams: raw while the guest runs (the guest does the line discipline), and
//! as it was before on every way out.
#![allow(unsafe_code)]

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use boot_abi::STATUS_INTERNAL;

/// The settings to return to; set once, before the terminal is changed.
static SAVED: OnceLock<libc::termios> = OnceLock::new();
static RAW: AtomicBool = AtomicBool::new(false);

/// Signals that end a process which did something wrong.
const FATAL: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGTRAP,
];

/// Restores the terminal when dropped.
pub struct RawGuard(());

impl Drop for RawGuard {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes stdin raw if it is a terminal that belongs to us.
pub fn enter_raw() -> RawGuard {
    set_raw();
    RawGuard(())
}

/// Again after a stop, when the shell has used the terminal meanwhile.
pub fn set_raw() {
    // SAFETY: plain queries about this process and its terminal.
    let (terminal, owner, own) =
        unsafe { (libc::isatty(0) == 1, libc::tcgetpgrp(0), libc::getpgrp()) };
    // A job in the background must not touch it; without job control (-1) there is no background.
    if !terminal || (owner != own && owner != -1) {
        return;
    }
    // SAFETY: all zeroes is a valid `termios`.
    let mut now: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: fills one `termios`.
    if unsafe { libc::tcgetattr(0, &raw mut now) } != 0 {
        return;
    }
    let saved = SAVED.get_or_init(|| now);
    let mut raw = *saved;
    // SAFETY: changes the structure only.
    unsafe { libc::cfmakeraw(&raw mut raw) };
    RAW.store(true, Ordering::SeqCst);
    // SAFETY: reads one `termios`.
    unsafe { libc::tcsetattr(0, libc::TCSANOW, &raw const raw) };
}

/// May be called at any time, also from a signal handler.
pub fn restore() {
    if let (true, Some(saved)) = (RAW.swap(false, Ordering::SeqCst), SAVED.get()) {
        // SAFETY: reads one `termios`; tcsetattr is async-signal-safe.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, saved) };
    }
}

/// Text for a person, on stderr. Nobody is left to tell when that fails.
pub fn message(text: &[u8]) {
    let mut err = std::io::stderr().lock();
    if !RAW.load(Ordering::Relaxed) {
        let _ = err.write_all(text);
        return;
    }
    // A raw terminal does not return the carriage by itself.
    for line in text.split_inclusive(|b| *b == b'\n') {
        let _ = match line.strip_suffix(b"\n") {
            Some(line) => err.write_all(&[line, b"\r\n"].concat()),
            None => err.write_all(line),
        };
    }
}

/// From now on a fatal signal restores the terminal, says so, and ends the process as an internal failure.
pub fn catch_fatal_signals() {
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fatal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESETHAND | libc::SA_ONSTACK;
    for signal in FATAL {
        // SAFETY: the handler only calls async-signal-safe functions.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    }
}

extern "C" fn on_fatal(signal: libc::c_int, info: *const libc::siginfo_t, _: *const libc::c_void) {
    restore();
    // SAFETY: the kernel passes a valid siginfo; for SIGSYS its first union member after `call_addr` is the number.
    let detail = unsafe {
        match signal {
            libc::SIGSYS => info
                .cast::<u8>()
                .add(24)
                .cast::<libc::c_int>()
                .read_unaligned(),
            _ => 0,
        }
    };
    let what: &[u8] = match signal {
        libc::SIGSYS => {
            b"compat-monitor: internal failure: a system call that the filter does not allow: "
        }
        libc::SIGBUS => {
            b"compat-monitor: the image file was truncated or cannot be read any more, signal "
        }
        _ => b"compat-monitor: internal failure: signal ",
    };
    let mut digits = [0u8; 12];
    let text = decimal(
        if signal == libc::SIGSYS {
            detail
        } else {
            signal
        },
        &mut digits,
    );
    // SAFETY: writes from live buffers; `write` and `_exit` are async-signal-safe.
    unsafe {
        libc::write(2, what.as_ptr().cast(), what.len());
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::_exit(STATUS_INTERNAL.into());
    }
}

/// `number` and a newline, without allocation.
fn decimal(number: libc::c_int, digits: &mut [u8; 12]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut start = digits.len() - 1;
    digits[start] = b'\n';
    while start > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_allocation() {
        assert_eq!(decimal(0, &mut [0; 12]), b"0\n");
        assert_eq!(decimal(435, &mut [0; 12]), b"435\n");
        assert_eq!(decimal(i32::MAX, &mut [0; 12]), b"2147483647\n");
    }
}
