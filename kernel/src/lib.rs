//! The ring-3 kernel of an image. ARCHITECTURE.md is the map.
#![no_std]

extern crate alloc;

#[macro_use]
mod console;
mod boot;
mod drivers;
mod faults;
mod gate;
mod libc_mem;
mod mm;
mod net;
mod notice;
mod parts;
mod percpu;
mod proc_source;
mod pty;
mod rank;
mod symbols;
mod sys;
mod task;
mod time;
mod trace;
mod tty;
mod vdso;
