//! `compat`, as the command line finds it. What `compat run` came to, the monitor's command line, is kept in a record
//! with all that it depends on. When the same is asked again and nothing of that has changed, this process becomes the
//! monitor, before an interpreter has started, which takes longer than many a program. Everything else is the Python
//! tool's, told how to make the record.
//!
//! Who may ask for what, and what the same words may mean something else by, is known here only (`asked`); what decided
//! a command line is known to Python only, which names the files (`compat/remember.py`).
#![cfg_attr(not(test), no_main)]

mod asked;
mod files;
mod record;

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::unistd::execv;

use asked::Asked;
use record::Record;

/// Stands beside this program; its installer has written there which interpreter is to be used.
const TOOL: &str = "compat-python";
/// An error inside compat, as `compat/errors.py` has it.
const STATUS_INTERNAL: i32 = 70;

/// Not Rust's `main`: its runtime would open /dev/null where a standard stream is closed, and change what signals do,
/// and the program would see that.
#[cfg(not(test))]
#[allow(unsafe_code)]
// SAFETY: the C library calls the one function of this name, and its type is what it expects.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    start()
}

/// Returns only if nothing could be started.
#[cfg_attr(test, allow(dead_code))]
fn start() -> i32 {
    let words: Vec<OsString> = std::env::args_os().collect();
    let asked = Asked::new(words.get(1..).unwrap_or_default());
    if let Some(record) = asked.as_ref().and_then(Record::recall) {
        // If that fails, Python will say why.
        let _ = record.start();
    }
    let tool = match beside() {
        Ok(tool) => tool,
        Err(e) => return refuse(&format!("cannot tell where it is installed: {e}")),
    };
    if let Some(asked) = &asked {
        asked.tell();
    }
    match become_program(
        &tool,
        &[
            &[tool.clone().into_os_string()],
            words.get(1..).unwrap_or_default(),
        ]
        .concat(),
    ) {
        Ok(never) => match never {},
        Err(e) => refuse(&format!(
            "cannot start {}: {e}; reinstall compat",
            tool.display()
        )),
    }
}

fn beside() -> std::io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(TOOL))
}

fn become_program(path: &Path, argv: &[OsString]) -> std::io::Result<Infallible> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let argv = argv
        .iter()
        .map(|word| CString::new(word.clone().into_vec()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(execv(&path, &argv)?)
}

fn refuse(why: &str) -> i32 {
    eprintln!("compat: {why}");
    STATUS_INTERNAL
}
