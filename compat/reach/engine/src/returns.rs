//! Which calls do not come back: what follows them in memory does not follow in time.

use iced_x86::{FlowControl, Instruction};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::flow::{Flow, is_branch};
use crate::link::Program;
use crate::pointers::To;

/// Deeper, a function counts as one that returns.
const MAX_DEPTH: usize = 5;

pub struct Returns<'a> {
    program: &'a Program,
    known: FxHashMap<(usize, usize), bool>,
}

impl<'a> Returns<'a> {
    pub fn new(program: &'a Program) -> Self {
        Returns {
            program,
            known: FxHashMap::default(),
        }
    }

    /// Takes away the ways on from all calls of a function that do not return.
    pub fn cut(&mut self, module: usize, flow: &mut Flow) {
        let calls: Vec<usize> = (0..flow.insns.len())
            .filter(|&i| flow.insns.get(i).is_some_and(is_call))
            .collect();
        let dead: Vec<usize> = calls
            .into_iter()
            .filter(|&i| !self.comes_back(module, flow, i, 0))
            .collect();
        flow.stop_after(&dead);
    }

    /// Whether the call, or the jump out of the function, at an instruction comes back.
    fn comes_back(&mut self, module: usize, flow: &Flow, index: usize, depth: usize) -> bool {
        let Some(insn) = flow.insns.get(index) else {
            return true;
        };
        let target = match insn.flow_control() {
            FlowControl::Call
            | FlowControl::UnconditionalBranch
            | FlowControl::ConditionalBranch => self.target(module, insn.near_branch_target()),
            _ if insn.is_ip_rel_memory_operand() => {
                self.through(module, insn.ip_rel_memory_address())
            }
            _ => None,
        };
        target.is_none_or(|(module, at)| self.returns(module, at, depth + 1))
    }

    fn target(&self, module: usize, at: u64) -> Option<(usize, u64)> {
        match self.program.modules.get(module)?.stubs.get(&(at as u32)) {
            Some(&slot) => self.through(module, u64::from(slot)),
            None => Some((module, at)),
        }
    }

    fn through(&self, module: usize, slot: u64) -> Option<(usize, u64)> {
        let pointers = self
            .program
            .modules
            .get(module)?
            .pointers_in(slot, slot + 8);
        match pointers.first()?.to {
            To::Symbol(index, _) => self
                .program
                .bind(module, index)
                .map(|d| (d.module, d.value)),
            To::Address(at) => Some((module, at)),
            _ => None,
        }
    }

    fn returns(&mut self, module: usize, at: u64, depth: usize) -> bool {
        let Some(file) = self.program.modules.get(module) else {
            return true;
        };
        let Some(number) = file.function_at(at) else {
            return true;
        };
        if let Some(&known) = self.known.get(&(module, number)) {
            return known;
        }
        let Some(function) = file
            .functions
            .get(number)
            .filter(|f| depth < MAX_DEPTH && f.range.start == at)
        else {
            return true;
        };
        // Until it is known: a cycle of calls counts as returning.
        self.known.insert((module, number), true);
        let found = Flow::decode(&file.image, function.range)
            .is_none_or(|flow| self.finds_return(module, &flow, depth));
        self.known.insert((module, number), found);
        found
    }

    fn finds_return(&mut self, module: usize, flow: &Flow, depth: usize) -> bool {
        let mut seen = FxHashSet::default();
        let mut work = vec![0];
        while let Some(index) = work.pop() {
            let Some(insn) = flow.insns.get(index) else {
                return true;
            };
            if !seen.insert(index) {
                continue;
            }
            let leaves = is_branch(insn) && flow.at(insn.near_branch_target()).is_none();
            match insn.flow_control() {
                FlowControl::Return => return true,
                FlowControl::IndirectBranch if !insn.is_ip_rel_memory_operand() => return true,
                FlowControl::IndirectBranch if self.comes_back(module, flow, index, depth) => {
                    return true;
                }
                _ if leaves && self.comes_back(module, flow, index, depth) => return true,
                _ if is_call(insn) && !self.comes_back(module, flow, index, depth) => continue,
                _ => {}
            }
            // A call at the very end does not return, or the function would run on.
            work.extend(
                flow.after(index)
                    .filter(|&next| next < flow.insns.len() || !is_call(insn)),
            );
        }
        false
    }
}

fn is_call(insn: &Instruction) -> bool {
    match insn.flow_control() {
        FlowControl::Call => insn.near_branch_target() != 0,
        FlowControl::IndirectCall => true,
        _ => false,
    }
}
