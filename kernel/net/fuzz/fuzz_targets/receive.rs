//! Frames of every kind for the card's TCP/IP: `net::stack::fuzz` says what the bytes mean.
//!
//! To run it, with cargo-fuzz and a nightly compiler installed:
//! `cd kernel/net && cargo +nightly fuzz run receive fuzz/corpus/receive -- -max_len=4096 -max_total_time=300`
//! What an hour of it has found stands in `fuzz/corpus.tar.xz`: `mkdir -p /tmp/corpus && tar -C /tmp/corpus -xf fuzz/corpus.tar.xz`, and
//! give that folder to the run.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| net::stack::fuzz::receive_frames(script));
