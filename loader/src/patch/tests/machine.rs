//! Memory for tests, and a tracer that tells what code does in a form that does not depend on where it lies.

use crate::patch::{Applied, Area, CodeMemory, Mapping, MemoryFault, SiteRecord, Sites, apply};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

pub const MODULE: u64 = 0x7f12_3456_7000;
pub const FILE_OFFSET: u64 = 0x1000;
pub const AREA: u64 = MODULE - 0x4000_0000;

/// Two regions: the module's code and the trampolines. Writes outside them fail.
#[derive(Clone)]
pub struct Machine {
    pub code: Vec<u8>,
    pub area: Vec<u8>,
    pub area_at: u64,
    /// Lets the n-th write fail.
    pub fail_write: Option<usize>,
}

impl Machine {
    pub fn new(code: &[u8], area_len: usize) -> Self {
        let area = std::vec![0; area_len];
        Machine {
            code: code.to_vec(),
            area,
            area_at: AREA,
            fail_write: None,
        }
    }

    pub fn mapping(&self) -> Mapping {
        Mapping {
            vaddr: MODULE,
            file_offset: FILE_OFFSET,
            len: self.code.len() as u64,
        }
    }

    pub fn apply(&mut self, records: &[SiteRecord]) -> Applied {
        let bytes: Vec<u8> = records.iter().flat_map(SiteRecord::encode).collect();
        let area = Area {
            vaddr: self.area_at,
            len: self.area.len() as u64,
        };
        let mapping = self.mapping();
        apply(&Sites::from_bytes(&bytes), &mapping, &area, self).unwrap()
    }

    fn bytes_at(&self, addr: u64) -> Option<&[u8]> {
        let regions = [(MODULE, &self.code), (self.area_at, &self.area)];
        regions
            .into_iter()
            .find_map(|(at, region)| region.get(usize::try_from(addr.checked_sub(at)?).ok()?..))
    }

    fn decode(&self, addr: u64) -> Instruction {
        let bytes = self
            .bytes_at(addr)
            .unwrap_or_else(|| panic!("execution left the code: {addr:#x}"));
        let instruction = Decoder::with_ip(64, bytes, addr, DecoderOptions::NONE).decode();
        assert!(
            !instruction.is_invalid(),
            "invalid instruction at {addr:#x}"
        );
        instruction
    }
}

impl CodeMemory for Machine {
    fn read(&self, vaddr: u64, buf: &mut [u8]) -> Result<(), MemoryFault> {
        let bytes = self
            .bytes_at(vaddr)
            .and_then(|bytes| bytes.get(..buf.len()))
            .ok_or(MemoryFault)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, vaddr: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        assert!(bytes.len() <= 64);
        match &mut self.fail_write {
            Some(0) => return Err(MemoryFault),
            Some(left) => *left -= 1,
            None => {}
        }
        let area_at = self.area_at;
        let regions = [(MODULE, &mut self.code), (area_at, &mut self.area)];
        for (at, region) in regions {
            let Some(start) = vaddr.checked_sub(at).map(|start| start as usize) else {
                continue;
            };
            if let Some(to) = region.get_mut(start..start.saturating_add(bytes.len())) {
                to.copy_from_slice(bytes);
                return Ok(());
            }
        }
        Err(MemoryFault)
    }
}

/// One thing that code does, and where.
#[derive(Debug, Clone)]
pub struct Step {
    pub pc: u64,
    pub what: String,
}

/// What a trace does, without the places.
pub fn effects(steps: &[Step]) -> Vec<&str> {
    steps
        .iter()
        .map(|step| step.what.as_str())
        .filter(|what| !what.is_empty())
        .collect()
}

/// Runs straight-line code from `pc` until `ret`. Jumps of patches have no effect of their own; a `lea` into rcx
/// or rdx followed by the entry jump is a system call or a `cpuid`, as are the instructions. `visible` translates return addresses.
pub fn trace(machine: &Machine, mut pc: u64, visible: impl Fn(u64) -> u64) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut return_address = None;
    for _ in 0..200 {
        let instruction = machine.decode(pc);
        let next = instruction.next_ip();
        let (what, go) = match instruction.mnemonic() {
            Mnemonic::Ret => {
                steps.push(Step {
                    pc,
                    what: "ret".to_string(),
                });
                return steps;
            }
            Mnemonic::Syscall => (std::format!("syscall, back to {next:#x}"), next),
            Mnemonic::Cpuid => (std::format!("cpuid, back to {next:#x}"), next),
            Mnemonic::Lea if is_return_address(machine, &instruction) => {
                return_address = Some((
                    instruction.op0_register(),
                    instruction.ip_rel_memory_address(),
                ));
                (String::new(), next)
            }
            Mnemonic::Jmp if instruction.op0_kind() == OpKind::Memory => {
                assert_eq!(instruction.memory_segment(), Register::GS);
                let (register, back) = return_address
                    .take()
                    .expect("entry reached without a return address");
                let what = match (register, instruction.memory_displacement64()) {
                    (Register::RCX, 8) => "syscall",
                    (Register::RDX, 16) => "cpuid",
                    other => panic!("no entry: {other:?}"),
                };
                (std::format!("{what}, back to {:#x}", visible(back)), back)
            }
            Mnemonic::Jmp => (String::new(), instruction.near_branch_target()),
            _ => (describe(&instruction), next),
        };
        steps.push(Step { pc, what });
        pc = go;
    }
    panic!("no ret after 200 instructions");
}

fn is_return_address(machine: &Machine, lea: &Instruction) -> bool {
    let follows = || machine.decode(lea.next_ip());
    matches!(lea.op0_register(), Register::RCX | Register::RDX)
        && lea.is_ip_rel_memory_operand()
        && {
            let jump = follows();
            jump.mnemonic() == Mnemonic::Jmp && jump.op0_kind() == OpKind::Memory
        }
}

/// The instruction with its rip-relative operand as an absolute address.
fn describe(instruction: &Instruction) -> String {
    let operands: Vec<String> = (0..instruction.op_count())
        .map(|index| match instruction.op_kind(index) {
            OpKind::Register => std::format!("{:?}", instruction.op_register(index)),
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                std::format!("[{:#x}]", instruction.ip_rel_memory_address())
            }
            OpKind::Memory => std::format!(
                "[{:?}+{:?}*{}+{:#x}]",
                instruction.memory_base(),
                instruction.memory_index(),
                instruction.memory_index_scale(),
                instruction.memory_displacement64()
            ),
            _ => std::format!("{:#x}", instruction.immediate(index)),
        })
        .collect();
    std::format!("{:?} {}", instruction.code(), operands.join(","))
}

/// Every byte that differs, by offset in the module.
pub fn changed(before: &[u8], after: &[u8]) -> Vec<u64> {
    let pairs = before.iter().zip(after);
    (0..)
        .zip(pairs)
        .filter(|(_, (old, new))| old != new)
        .map(|(at, _)| at)
        .collect()
}

/// A program that was unpatched once: instruction starts and effects, for comparison.
pub fn starts(machine: &Machine, pc: u64) -> BTreeMap<u64, Vec<String>> {
    let steps = trace(machine, pc, |addr| addr);
    let tails = (0..steps.len()).map(|at| (steps[at].pc, &steps[at..]));
    tails
        .map(|(pc, rest)| {
            (
                pc,
                effects(rest).into_iter().map(ToString::to_string).collect(),
            )
        })
        .collect()
}
