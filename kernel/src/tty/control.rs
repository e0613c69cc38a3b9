//! The control port: one line of text for each thing that the host has to tell. See `boot_abi::PORT_CONTROL`.
use super::terminal;
use crate::drivers::virtio::console::{Role, port};
use alloc::format;
use alloc::vec::Vec;
use spin::Mutex;

/// No line is longer; the rest of one that is gets lost with it.
const LONGEST: usize = 256;

/// A line that has come in part.
static PARTIAL: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Listens from here on.
pub fn start() {
    if let Some(control) = port(Role::Control) {
        control.listen(|_| receive());
        control.start_input();
        receive();
    }
}

/// Handles the lines that have come, each once all locks are released: a line may wake or signal anyone.
fn receive() {
    let mut lines = Vec::new();
    let Some(control) = port(Role::Control) else {
        return;
    };
    let taken = control.receive(|bytes| {
        split(bytes, &mut lines);
        Ok::<usize, core::convert::Infallible>(bytes.len())
    });
    match taken {
        Ok(()) => lines.iter().for_each(|line| handle(line)),
        Err(never) => match never {},
    }
}

fn split(bytes: &[u8], lines: &mut Vec<Vec<u8>>) {
    let mut partial = PARTIAL.lock();
    for &byte in bytes {
        if byte == b'\n' {
            lines.push(core::mem::take(&mut *partial));
        } else if partial.len() < LONGEST {
            partial.push(byte);
        }
    }
}

fn handle(line: &[u8]) {
    if run(line).is_none() {
        say!(
            "the monitor says something that the kernel does not understand: {}",
            line.escape_ascii()
        );
    }
}

fn run(line: &[u8]) -> Option<()> {
    let line = core::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let command = words.next()?;
    let first = words.next();
    match (command, first, words.next()) {
        ("signal", Some(number), None) => crate::task::signal_from_host(number.parse().ok()?),
        ("winsize", Some(rows), Some(columns)) => {
            terminal::resize(rows.parse().ok()?, columns.parse().ok()?)
        }
        // The number of bytes that standard input had, for monitors that cannot keep the two ports in order.
        ("eof", total, None) => port(Role::Stdio)?.end_at(total.map_or(Ok(0), str::parse).ok()?),
        (boot_abi::LINE_STATS, None, None) => tell_figures()?,
        (boot_abi::LINE_THREADS, None, None) => crate::task::describe::tell(),
        (boot_abi::LINE_TRACE, Some(_), _) => {
            crate::trace::command(line.strip_prefix(boot_abi::LINE_TRACE)?.trim())?;
        }
        ("hangup", Some(name), None) => port(role(name)?)?.hang_up(),
        _ => return None,
    }
    Some(())
}

/// Left free for the line that says how the program ended.
const LAST_LINE: usize = 64;

/// Answers with the figures. A port that is full has a monitor that does not read, and gets no answer.
fn tell_figures() -> Option<()> {
    let line = format!("{} {}\n", boot_abi::LINE_STATS, super::figures::report());
    let control = port(Role::Control)?;
    let needed = line.len() + LAST_LINE;
    if control.send_room(needed) >= needed {
        control.send(line.as_bytes());
    }
    Some(())
}

fn role(name: &str) -> Option<Role> {
    match name {
        "stdio" => Some(Role::Stdio),
        "stderr" => Some(Role::Stderr),
        _ => None,
    }
}
