//! Things that are told once.

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Mutex;

pub static STOP: AtomicBool = AtomicBool::new(false);

static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says `text` unless `flag` says that it has been said.
pub fn once(flag: &AtomicBool, text: &str) {
    if !flag.swap(true, Ordering::Relaxed) {
        say!("{text}");
    }
}

/// Says `text` unless the same has been said.
pub fn once_each(text: String) {
    let mut told = TOLD.lock();
    if !told.contains(&text) {
        say!("{text}");
        told.insert(text);
    }
}
