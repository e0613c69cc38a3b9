//! One function's instructions and the ways between them.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::functions::Range;
use crate::image::Image;
use crate::sweep::is_padding;

/// Larger functions are state machines of generated code; values in them stay unknown.
const MAX_INSTRUCTIONS: usize = 200_000;

/// How far the stack pointer and a frame pointer are from where the stack pointer was at the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    pub rsp: Option<i64>,
    pub rbp: Option<i64>,
}

pub struct Flow {
    pub insns: Vec<Instruction>,
    index: FxHashMap<u64, usize>,
    end: u64,
    predecessors: Vec<Vec<u32>>,
    stack: Vec<Stack>,
    /// Calls that do not return.
    stops: FxHashSet<usize>,
    /// Jumps whose targets a table or a register holds.
    pub indirect: Vec<usize>,
}

impl Flow {
    pub fn decode(image: &Image, range: Range) -> Option<Self> {
        let bytes = image.read(range.start, range.end - range.start);
        let decoder = Decoder::with_ip(64, bytes, range.start, DecoderOptions::NONE);
        let insns: Vec<Instruction> = decoder.into_iter().take(MAX_INSTRUCTIONS + 1).collect();
        if insns.len() > MAX_INSTRUCTIONS {
            return None;
        }
        let index = insns
            .iter()
            .enumerate()
            .map(|(i, insn)| (insn.ip(), i))
            .collect();
        let mut flow = Flow {
            predecessors: vec![Vec::new(); insns.len() + 1],
            stack: Vec::new(),
            stops: FxHashSet::default(),
            indirect: Vec::new(),
            index,
            end: range.end,
            insns,
        };
        flow.connect();
        flow.measure();
        Some(flow)
    }

    /// What follows these calls is not reached from them.
    pub fn stop_after(&mut self, calls: &[usize]) {
        if !calls.is_empty() {
            self.stops.extend(calls);
            self.predecessors.iter_mut().for_each(Vec::clear);
            self.indirect.clear();
            self.connect();
            self.measure();
        }
    }

    /// The number of the instruction at an address; one more than the last for the function's end.
    pub fn at(&self, ip: u64) -> Option<usize> {
        let end = || (ip == self.end).then_some(self.insns.len());
        self.index.get(&ip).copied().or_else(end)
    }

    pub fn before(&self, index: usize) -> &[u32] {
        self.predecessors.get(index).map_or(&[], Vec::as_slice)
    }

    pub fn stack(&self, index: usize) -> Stack {
        self.stack.get(index).copied().unwrap_or_default()
    }

    /// The instructions that may run after one, within the function.
    pub fn after(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        let mut found = [None, None];
        if let Some(insn) = self.insns.get(index) {
            if flows(insn) && !self.stops.contains(&index) {
                found[0] = Some(index + 1);
            }
            if is_branch(insn) {
                found[1] = self.at(insn.near_branch_target());
            }
        }
        found.into_iter().flatten()
    }

    /// The stack slot of a memory operand, counted from the stack pointer at the entry.
    pub fn slot(&self, index: usize) -> Option<i64> {
        let insn = self.insns.get(index)?;
        if insn.memory_index() != Register::None {
            return None;
        }
        let base = match insn.memory_base() {
            Register::RSP => self.stack(index).rsp?,
            Register::RBP => self.stack(index).rbp?,
            _ => return None,
        };
        Some(base.wrapping_add(insn.memory_displacement64() as i64))
    }

    /// Whether some code is entered by a table or by the handling of an exception.
    pub fn has_hidden_entries(&self) -> bool {
        let hidden = |(index, insn): (usize, &Instruction)| {
            index != 0 && self.before(index).is_empty() && !is_padding(insn)
        };
        self.insns.iter().enumerate().any(hidden)
    }

    fn connect(&mut self) {
        let targets: FxHashSet<u64> = self
            .insns
            .iter()
            .filter(|i| is_branch(i))
            .map(Instruction::near_branch_target)
            .collect();
        for index in 0..self.insns.len() {
            // Padding that nothing runs into leads nowhere: what follows is reached by a table, or not at all.
            let idle = |i: &Instruction| is_padding(i) && !targets.contains(&i.ip());
            if index != 0
                && self.before(index).is_empty()
                && self.insns.get(index).is_some_and(idle)
            {
                continue;
            }
            for next in self.after(index).collect::<Vec<_>>() {
                if let Some(list) = self.predecessors.get_mut(next) {
                    list.push(index as u32);
                }
            }
            let insn = self.insns.get(index);
            if insn.is_some_and(|i| {
                i.flow_control() == FlowControl::IndirectBranch && !i.is_ip_rel_memory_operand()
            }) {
                self.indirect.push(index);
            }
        }
    }

    fn measure(&mut self) {
        self.stack = vec![Stack::default(); self.insns.len() + 1];
        let mut seen = vec![false; self.insns.len() + 1];
        let mut work = Vec::new();
        if let Some(first) = self.stack.first_mut() {
            first.rsp = Some(0);
            work.push(0);
        }
        if let Some(first) = seen.first_mut() {
            *first = true;
        }
        while let Some(index) = work.pop() {
            let Some(insn) = self.insns.get(index) else {
                continue;
            };
            let next_stack = step(insn, self.stack(index));
            // A jump table's targets see the stack of its jump.
            let table = self.indirect.binary_search(&index).is_ok();
            let orphans = if table { self.orphans() } else { Vec::new() };
            for next in self.after(index).chain(orphans) {
                if let (Some(flag), Some(stack)) = (seen.get_mut(next), self.stack.get_mut(next))
                    && !std::mem::replace(flag, true)
                {
                    *stack = next_stack;
                    work.push(next);
                }
            }
        }
    }

    /// Instructions that nothing in the function leads to by itself.
    fn orphans(&self) -> Vec<usize> {
        (1..self.insns.len())
            .filter(|&i| self.before(i).is_empty())
            .collect()
    }
}

/// Whether the next instruction may follow.
pub fn flows(insn: &Instruction) -> bool {
    !matches!(
        insn.flow_control(),
        FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Return
            | FlowControl::Exception
            | FlowControl::Interrupt
    )
}

pub fn is_branch(insn: &Instruction) -> bool {
    matches!(
        insn.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    ) && insn.op0_kind() == OpKind::NearBranch64
}

fn step(insn: &Instruction, mut stack: Stack) -> Stack {
    let moved = i64::from(insn.stack_pointer_increment());
    match insn.mnemonic() {
        Mnemonic::Call | Mnemonic::Syscall => {}
        Mnemonic::Leave => {
            stack.rsp = stack.rbp.map(|rbp| rbp + 8);
            stack.rbp = None;
        }
        Mnemonic::Push => stack.rsp = stack.rsp.map(|rsp| rsp + moved),
        Mnemonic::Pop => {
            stack.rsp = stack.rsp.map(|rsp| rsp + moved);
            if insn.op0_register() == Register::RBP {
                stack.rbp = None;
            }
        }
        _ if insn.op_count() == 0 || insn.op0_kind() != OpKind::Register => {}
        _ => match insn.op0_register() {
            Register::RSP => stack.rsp = moved_pointer(insn, stack),
            Register::RBP => stack.rbp = moved_pointer(insn, stack),
            _ => {}
        },
    }
    stack
}

/// What an instruction that writes rsp or rbp makes of it.
fn moved_pointer(insn: &Instruction, stack: Stack) -> Option<i64> {
    let value = |register| match register {
        Register::RSP => stack.rsp,
        Register::RBP => stack.rbp,
        _ => None,
    };
    let immediate = |operand| match insn.op_kind(operand) {
        OpKind::Immediate8to64 | OpKind::Immediate32to64 => Some(insn.immediate(operand) as i64),
        _ => None,
    };
    match insn.mnemonic() {
        Mnemonic::Mov if insn.op1_kind() == OpKind::Register => value(insn.op1_register()),
        Mnemonic::Add => Some(value(insn.op0_register())?.wrapping_add(immediate(1)?)),
        Mnemonic::Sub => Some(value(insn.op0_register())?.wrapping_sub(immediate(1)?)),
        Mnemonic::Lea if insn.memory_index() == Register::None => {
            Some(value(insn.memory_base())?.wrapping_add(insn.memory_displacement64() as i64))
        }
        // Compares and tests name rsp first too, and leave it alone.
        Mnemonic::Cmp | Mnemonic::Test => value(insn.op0_register()),
        _ => None,
    }
}
