//! Port and memory-mapped accesses that stop a CPU, handed to whoever listens there.

use std::sync::Arc;

use boot_abi::{
    CPU_PORT, CPU_PORT_NUMBER, DEBUG_PORT, EXIT_PANIC, EXIT_PORT, EXIT_TAG, IDLE_PORT, IDLE_RING,
    IDLE_TAG, IDLE_VALUE,
};

use crate::debug_port::DebugPort;
use crate::devices::hostnet::Turns;
use crate::devices::virtio::Registers;
use crate::input_file::InputFile;
use crate::outcome::Outcome;
use crate::stats::Stats;
use crate::trace::Trace;
use crate::vcpu::StartLine;

/// A range of addresses with a device behind it.
pub struct Window {
    pub base: u64,
    pub size: u64,
    pub device: Arc<dyn Registers>,
}

/// What a write to a port has done.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// Nothing: the kernel writes no such thing.
    Refused,
    /// The machine ends.
    Ends(Outcome),
}

impl Written {
    fn done_if(accepted: bool) -> Self {
        if accepted { Self::Done } else { Self::Refused }
    }
}

pub struct Bus {
    pub windows: Vec<Window>,
    pub stats: Arc<Stats>,
    pub debug: DebugPort,
    pub trace: Arc<Trace>,
    /// stdin, if it is a file.
    pub input: Option<InputFile>,
    /// What an idle CPU does.
    pub idle: Option<Arc<Turns>>,
    /// Where the CPUs after the first wait to be started.
    pub starts: Vec<Arc<StartLine>>,
}

impl Bus {
    /// By CPU number `cpu`. Other ports have nobody behind them, as on a PC.
    pub fn port_write(&self, cpu: u32, port: u16, data: &[u8]) -> Written {
        let word = <[u8; 4]>::try_from(data).ok().map(u32::from_le_bytes);
        match (port, word) {
            (DEBUG_PORT, _) => {
                self.stats.debug_bytes.add(data.len() as u64);
                self.debug.write(cpu, data);
                Written::Done
            }
            (EXIT_PORT, Some(value)) => {
                self.debug.flush();
                exit_outcome(value).map_or(Written::Refused, Written::Ends)
            }
            (IDLE_PORT, Some(value)) => self.rest(cpu, value),
            (CPU_PORT, Some(value)) => Written::done_if(self.start_cpu(value)),
            (boot_abi::input::PORT, Some(value)) => {
                let input = self.input.as_ref();
                Written::done_if(input.is_some_and(|input| input.port_write(value)))
            }
            (boot_abi::trace::PORT, Some(value)) => Written::done_if(self.trace.port_write(value)),
            (
                EXIT_PORT | IDLE_PORT | CPU_PORT | boot_abi::input::PORT | boot_abi::trace::PORT,
                None,
            ) => Written::Refused,
            _ => {
                self.stats.exits.unclaimed.add(1);
                Written::Done
            }
        }
    }

    fn rest(&self, cpu: u32, value: u32) -> Written {
        let number = value & IDLE_VALUE;
        match (&self.idle, value & !IDLE_VALUE) {
            (Some(idle), IDLE_RING) => idle.call(number),
            (Some(idle), IDLE_TAG) => {
                if let Err(failure) = idle.visit(cpu, number) {
                    return Written::Ends(Outcome::Failed(failure.to_string()));
                }
            }
            _ => return Written::Refused,
        }
        Written::Done
    }

    /// False: the CPU is not there, or runs already.
    fn start_cpu(&self, value: u32) -> bool {
        let line = (value & CPU_PORT_NUMBER)
            .checked_sub(1)
            .and_then(|index| self.starts.get(index as usize));
        line.is_some_and(|line| line.start(value & !CPU_PORT_NUMBER))
    }

    /// Reads where nobody listens give all ones, as an empty bus does.
    pub fn read(&self, address: u64, data: &mut [u8]) {
        match self.find(address) {
            Some((offset, device)) => device.read(offset, data),
            None => {
                self.stats.exits.unclaimed.add(1);
                data.fill(0xff);
            }
        }
    }

    pub fn write(&self, address: u64, data: &[u8]) {
        match self.find(address) {
            Some((offset, device)) => device.write(offset, data),
            None => self.stats.exits.unclaimed.add(1),
        }
    }

    fn find(&self, address: u64) -> Option<(u64, &dyn Registers)> {
        self.windows.iter().find_map(|window| {
            let offset = address
                .checked_sub(window.base)
                .filter(|offset| *offset < window.size)?;
            Some((offset, window.device.as_ref()))
        })
    }
}

/// None: it was not the kernel that wrote this.
fn exit_outcome(value: u32) -> Option<Outcome> {
    match value ^ EXIT_TAG {
        EXIT_PANIC => Some(Outcome::KernelPanic),
        status => u8::try_from(status).ok().map(Outcome::Exited),
    }
}

#[cfg(test)]
#[path = "bus_tests.rs"]
pub mod tests;
