//! The values that a register or stack slot may have at a place: backward data flow within one function.

use std::collections::BTreeSet;

use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};
use rustc_hash::FxHashSet;

use crate::flow::Flow;
use crate::module::Module;

const MAX_STEPS: usize = 6000;

/// Where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Register(Register),
    /// Counted from the stack pointer at the function's entry.
    Stack(i64),
}

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub constants: BTreeSet<u64>,
    /// It comes from outside: what the place holds when code outside branches to the address.
    pub outside: BTreeSet<(u64, Place)>,
    pub unknown: Option<&'static str>,
}

/// What happens to a value between where it was found and where it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Change {
    add: i64,
    /// Before that its lowest byte is replaced: `mov $56,%al`.
    low: Option<(u8, i64)>,
}

impl Change {
    /// The value goes through one more addition before all that is known already.
    fn after_adding(self, more: i64) -> Self {
        let add = self.add.wrapping_add(more);
        Self { add, ..self }
    }

    /// The same for its lowest byte. `None`: too intricate.
    fn after_low_byte(self, byte: u8) -> Option<Self> {
        let low = Some((byte, self.add));
        self.low.is_none().then_some(Self { add: 0, low })
    }

    fn apply(self, value: u64) -> u64 {
        let value = value.wrapping_add(self.add as u64);
        match self.low {
            Some((byte, add)) => (value & !0xff | u64::from(byte)).wrapping_add(add as u64),
            None => value,
        }
    }
}

enum Step {
    /// The instruction leaves the place alone.
    Same,
    Moved(Place, i64),
    LowByte(u8),
    Constant(u64),
    /// One of two.
    Either(Place),
    Unknown(&'static str),
}

/// The values of a place just before an instruction.
pub fn values(module: &Module, flow: &Flow, index: usize, place: Place) -> Values {
    let mut search = Search {
        module,
        flow,
        factory: InstructionInfoFactory::new(),
        found: Values::default(),
    };
    search.run(index, place);
    search.found
}

struct Search<'a> {
    module: &'a Module,
    flow: &'a Flow,
    factory: InstructionInfoFactory,
    found: Values,
}

impl Search<'_> {
    fn run(&mut self, index: usize, place: Place) {
        let mut seen = FxHashSet::default();
        let mut work = vec![(index, place, Change::default())];
        while let Some((index, place, change)) = work.pop() {
            if !seen.insert((index, place, change)) {
                continue;
            }
            if seen.len() > MAX_STEPS {
                return self.unknown("too many ways lead here");
            }
            self.enter_from_outside(index, place, change);
            let before = self.flow.before(index);
            let orphan = before.is_empty() && index != 0;
            if orphan && self.flow.indirect.is_empty() {
                // A landing pad, or code that nothing reaches.
                self.unknown("no way here is known");
            }
            let tables = if orphan {
                self.flow.indirect.as_slice()
            } else {
                &[]
            };
            let all = before
                .iter()
                .map(|&p| p as usize)
                .chain(tables.iter().copied());
            for previous in all.collect::<Vec<_>>() {
                match self.step(previous, place) {
                    Step::Same => work.push((previous, place, change)),
                    Step::Moved(to, more) => work.push((previous, to, change.after_adding(more))),
                    Step::LowByte(byte) => match change.after_low_byte(byte) {
                        Some(change) => work.push((previous, place, change)),
                        None => self.unknown("a part of the register is written"),
                    },
                    Step::Constant(value) => {
                        self.found.constants.insert(change.apply(value));
                    }
                    Step::Either(other) => {
                        work.push((previous, place, change));
                        work.push((previous, other, change));
                    }
                    Step::Unknown(why) => self.unknown(why),
                }
            }
        }
    }

    fn enter_from_outside(&mut self, index: usize, place: Place, change: Change) {
        let Some(insn) = self.flow.insns.get(index) else {
            return;
        };
        let entered = index == 0
            || self
                .module
                .branches_to(insn.ip())
                .any(|from| self.flow.at(from).is_none());
        if entered && change == Change::default() {
            // In the middle the stack is no longer where it was at the entry.
            match place {
                // Arguments lie above the return address; what lies below is written through a pointer.
                Place::Stack(slot) if slot < 8 => {
                    self.unknown("a variable written through a pointer")
                }
                Place::Stack(_) if index != 0 => self.unknown("a stack slot of another function"),
                _ => {
                    self.found.outside.insert((insn.ip(), place));
                }
            }
        } else if entered {
            self.unknown("computed from an argument");
        }
    }

    fn unknown(&mut self, why: &'static str) {
        self.found.unknown.get_or_insert(why);
    }

    /// What an instruction makes of the place, seen backwards.
    fn step(&mut self, index: usize, place: Place) -> Step {
        let Some(insn) = self.flow.insns.get(index).copied() else {
            return Step::Unknown("no instruction");
        };
        match place {
            Place::Register(register) => self.register(index, &insn, register),
            Place::Stack(slot) => self.stack(index, &insn, slot),
        }
    }

    fn register(&mut self, index: usize, insn: &Instruction, register: Register) -> Step {
        if insn.mnemonic() == Mnemonic::Syscall {
            return match register {
                Register::RAX | Register::RCX | Register::R11 => {
                    Step::Unknown("what a system call left")
                }
                _ => Step::Same,
            };
        }
        if matches!(
            insn.flow_control(),
            FlowControl::Call | FlowControl::IndirectCall
        ) {
            return match (self.module.go, survives_calls(register)) {
                (false, true) => Step::Same,
                _ => Step::Unknown("the result of a call"),
            };
        }
        let info = self.factory.info(insn);
        let writes = info
            .used_registers()
            .iter()
            .filter(|used| used.register().full_register() == register);
        let writes = writes
            .filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead))
            .count();
        if writes == 0 {
            Step::Same
        } else {
            self.written(index, insn, register)
        }
    }

    fn written(&self, index: usize, insn: &Instruction, register: Register) -> Step {
        if insn.op_count() == 0
            || insn.op0_kind() != OpKind::Register
            || insn.op0_register().full_register() != register
        {
            return Step::Unknown("written beside something else");
        }
        if insn.mnemonic() == Mnemonic::Mov && is_low_byte(insn) && is_immediate(insn, 1) {
            return Step::LowByte(insn.immediate8());
        }
        if insn.op0_register().size() < 4 {
            return Step::Unknown("a part of the register is written");
        }
        let same = insn.op_count() > 1
            && insn.op1_kind() == OpKind::Register
            && insn.op1_register() == insn.op0_register();
        match insn.mnemonic() {
            Mnemonic::Mov | Mnemonic::Movsxd | Mnemonic::Movzx | Mnemonic::Movsx => {
                self.source(index, insn, 1)
            }
            Mnemonic::Xor | Mnemonic::Sub if same => Step::Constant(0),
            Mnemonic::Or if is_immediate(insn, 1) && insn.immediate(1) as i64 == -1 => {
                Step::Constant(u64::MAX)
            }
            Mnemonic::And if is_immediate(insn, 1) && insn.immediate(1) == 0 => Step::Constant(0),
            Mnemonic::Add if is_immediate(insn, 1) => {
                Step::Moved(Place::Register(register), insn.immediate(1) as i64)
            }
            Mnemonic::Sub if is_immediate(insn, 1) => Step::Moved(
                Place::Register(register),
                (insn.immediate(1) as i64).wrapping_neg(),
            ),
            Mnemonic::Inc => Step::Moved(Place::Register(register), 1),
            Mnemonic::Dec => Step::Moved(Place::Register(register), -1),
            Mnemonic::Lea => lea(insn),
            Mnemonic::Pop => match self.flow.stack(index).rsp {
                Some(slot) => Step::Moved(Place::Stack(slot), 0),
                None => Step::Unknown("an unknown stack slot"),
            },
            _ if is_conditional_move(insn) && insn.op1_kind() == OpKind::Register => {
                Step::Either(Place::Register(insn.op1_register().full_register()))
            }
            _ => Step::Unknown("computed"),
        }
    }

    fn source(&self, index: usize, insn: &Instruction, operand: u32) -> Step {
        match insn.op_kind(operand) {
            OpKind::Register => Step::Moved(
                Place::Register(insn.op_register(operand).full_register()),
                0,
            ),
            OpKind::Memory => match self.flow.slot(index) {
                Some(slot) => Step::Moved(Place::Stack(slot), 0),
                None => self.loaded(insn),
            },
            _ if is_immediate(insn, operand) => Step::Constant(insn.immediate(operand)),
            _ => Step::Unknown("computed"),
        }
    }

    /// Go keeps a few call numbers in variables that it never changes.
    fn loaded(&self, insn: &Instruction) -> Step {
        if self.module.go
            && insn.is_ip_rel_memory_operand()
            && let Some(value) = self.module.image.word(insn.ip_rel_memory_address())
            && value != 0
        {
            return Step::Constant(value);
        }
        Step::Unknown("loaded from memory")
    }

    fn stack(&self, index: usize, insn: &Instruction, slot: i64) -> Step {
        if insn.mnemonic() == Mnemonic::Push {
            let pushed = self.flow.stack(index).rsp.map(|rsp| rsp - 8);
            return if pushed == Some(slot) {
                self.source(index, insn, 0)
            } else {
                Step::Same
            };
        }
        if insn.op_count() == 0 || insn.op0_kind() != OpKind::Memory {
            return Step::Same;
        }
        let Some(at) = self.flow.slot(index) else {
            return Step::Same;
        };
        let size = insn.memory_size().size() as i64;
        if slot < at
            || slot >= at.saturating_add(size)
            || matches!(insn.mnemonic(), Mnemonic::Cmp | Mnemonic::Test)
        {
            return Step::Same;
        }
        match insn.mnemonic() {
            Mnemonic::Mov if at == slot => self.source(index, insn, 1),
            _ => Step::Unknown("a stack slot written in parts"),
        }
    }
}

fn lea(insn: &Instruction) -> Step {
    if insn.is_ip_rel_memory_operand() {
        return Step::Constant(insn.ip_rel_memory_address());
    }
    match (insn.memory_base(), insn.memory_index()) {
        (Register::None, Register::None) => Step::Constant(insn.memory_displacement64()),
        (base, Register::None) => Step::Moved(
            Place::Register(base.full_register()),
            insn.memory_displacement64() as i64,
        ),
        _ => Step::Unknown("computed"),
    }
}

fn is_immediate(insn: &Instruction, operand: u32) -> bool {
    matches!(
        insn.op_kind(operand),
        OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
            | OpKind::Immediate8to16
    )
}

fn is_low_byte(insn: &Instruction) -> bool {
    use Register::{AH, BH, CH, DH};
    insn.op0_register().size() == 1 && !matches!(insn.op0_register(), AH | BH | CH | DH)
}

fn is_conditional_move(insn: &Instruction) -> bool {
    use Mnemonic::*;
    matches!(
        insn.mnemonic(),
        Cmova
            | Cmovae
            | Cmovb
            | Cmovbe
            | Cmove
            | Cmovg
            | Cmovge
            | Cmovl
            | Cmovle
            | Cmovne
            | Cmovno
            | Cmovnp
            | Cmovns
            | Cmovo
            | Cmovp
            | Cmovs
    )
}

/// Registers that a called C function gives back as it got them.
fn survives_calls(register: Register) -> bool {
    use Register::{R12, R13, R14, R15, RBP, RBX, RSP};
    matches!(register, RBX | RBP | RSP | R12 | R13 | R14 | R15)
}
