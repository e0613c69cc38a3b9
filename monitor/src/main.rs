//! `compat-monitor`: runs one image in a virtual machine, then exits with the program's status.

mod args;
mod boot;
mod bus;
mod config;
mod control;
mod cpuid;
mod debug_port;
mod devices;
mod dump;
mod error;
mod host;
mod image;
mod input_file;
mod layout;
mod machine;
mod memory;
mod network;
mod outcome;
mod pcap;
mod scatter;
mod seccomp;
mod settle;
mod signals;
mod source;
mod stats;
mod tap;
mod terminal;
mod trace;
mod vcpu;
mod vm;

use std::process::ExitCode;

use args::{Command, Options};
use boot_abi::STATUS_CANNOT_RUN;
use error::{Error, Result};

fn main() -> ExitCode {
    match command() {
        Ok(Command::Run(options)) => run(&options).unwrap_or_else(|e| refuse(&e)).into(),
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            println!(
                "compat-monitor {} (boot ABI {})",
                env!("CARGO_PKG_VERSION"),
                boot_abi::ABI_VERSION
            );
            ExitCode::SUCCESS
        }
        Err(e) => refuse(&e).into(),
    }
}

fn refuse(error: &Error) -> u8 {
    terminal::message(format!("compat-monitor: {error}\n").as_bytes());
    STATUS_CANNOT_RUN
}

fn command() -> Result<Command> {
    let mut argv = std::env::args_os();
    if source::embedded()?.is_some() {
        return args::standalone(argv, std::env::vars_os())
            .map(|options| Command::Run(Box::new(options)));
    }
    argv.next();
    args::parse(argv)
}

fn run(options: &Options) -> Result<u8> {
    let stats = stats::Stats::new();
    machine::run(options, stats)
}
