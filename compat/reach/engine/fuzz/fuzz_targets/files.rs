//! A file as the program, and the same file as its interpreter and library too, so that symbols are bound between two files.
//!
//! To run it, with cargo-fuzz and a nightly compiler installed (`python -m tools.fuzz --seeds plan DIRECTORY` writes what to start from):
//! `cd compat/reach/engine && cargo +nightly fuzz run -s none files DIRECTORY -- -max_len=16384 -timeout=20 -max_total_time=3600`
//! What an hour of it has found stands in `fuzz/corpus.tar.xz`.
#![no_main]

use std::fs;

use reach::analyse;
use reach::report::{Report, Request};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = format!("/dev/shm/reach-fuzz-{}", std::process::id());
    fs::write(&path, bytes).expect("/dev/shm takes a file");
    check(&report(vec![path.clone()], None));
    check(&report(vec![path.clone(), path.clone()], Some(path)));
});

fn report(files: Vec<String>, interpreter: Option<String>) -> Report {
    analyse(&Request { files, interpreter }, |_| ())
}

/// The calls are few, and what is not known says why.
fn check(report: &Report) {
    assert!(report.calls.len() < 1024);
    assert!(report.unknown_files.values().all(|reason| !reason.is_empty()));
}
