//! Port and memory-mapped accesses that stop a CPU, handed to whoever listens there.

use std::sync::Arc;

use boot_abi::{
    CPU_PORT, CPU_PORT_NUMBER, DEBUG_PORT, EXIT_PANIC, EXIT_PORT, IDLE_FOREVER, IDLE_PORT,
    IDLE_RING,
};

use crate::devices::hostnet::Turns;
use crate::devices::virtio::Registers;
use crate::input_file::InputFile;
use crate::outcome::Outcome;
use crate::stats::Stats;
use crate::terminal;
use crate::trace::Trace;
use crate::vcpu::StartLine;

/// A range of addresses with a device behind it.
pub struct Window {
    pub base: u64,
    pub size: u64,
    pub device: Arc<dyn Registers>,
}

pub struct Bus {
    pub windows: Vec<Window>,
    pub stats: Arc<Stats>,
    pub trace: Arc<Trace>,
    /// stdin, if it is a file.
    pub input: Option<InputFile>,
    /// What an idle CPU does.
    pub idle: Option<Arc<Turns>>,
    /// Where the CPUs after the first wait to be started.
    pub starts: Vec<Arc<StartLine>>,
}

impl Bus {
    /// By CPU number `cpu`. `Some`: the machine ends. Other ports have nobody behind them, as on a PC.
    pub fn port_write(&self, cpu: u32, port: u16, data: &[u8]) -> Option<Outcome> {
        match port {
            DEBUG_PORT => {
                self.stats.debug_bytes.add(data.len() as u64);
                terminal::message(data);
                None
            }
            EXIT_PORT => Some(exit_outcome(number(data))),
            IDLE_PORT => {
                let idle = self.idle.as_ref()?;
                let value = number(data);
                if value & IDLE_RING != 0 && value != IDLE_FOREVER {
                    idle.call(value & !IDLE_RING);
                    return None;
                }
                let failure = idle.visit(cpu, value).err()?;
                Some(Outcome::Failed(failure.to_string()))
            }
            CPU_PORT => {
                self.start_cpu(number(data));
                None
            }
            boot_abi::input::PORT => {
                match &self.input {
                    Some(input) => input.port_write(number(data)),
                    None => self.stats.exits.unclaimed.add(1),
                }
                None
            }
            boot_abi::trace::PORT => {
                self.trace.port_write(number(data));
                None
            }
            _ => {
                self.stats.exits.unclaimed.add(1);
                None
            }
        }
    }

    /// A CPU that is not there, or runs already, is not started.
    fn start_cpu(&self, value: u32) {
        let line = (value & CPU_PORT_NUMBER)
            .checked_sub(1)
            .and_then(|index| self.starts.get(index as usize));
        match line {
            Some(line) => line.start(value & !CPU_PORT_NUMBER),
            None => self.stats.exits.unclaimed.add(1),
        }
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

fn number(data: &[u8]) -> u32 {
    let mut value = [0; 4];
    for (to, from) in value.iter_mut().zip(data) {
        *to = *from;
    }
    u32::from_le_bytes(value)
}

fn exit_outcome(value: u32) -> Outcome {
    if value & EXIT_PANIC != 0 {
        Outcome::KernelPanic
    } else {
        Outcome::Exited((value & 0xff) as u8)
    }
}
