//! What a function does with a pointer that it loaded into a register.

use iced_x86::{FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};
use rustc_hash::FxHashSet;

use crate::flow::Flow;

const MAX_STEPS: usize = 600;

/// Where the function calls the pointer that the instruction at `ip` loads, if it does nothing else with it.
pub fn only_calls(flow: &Flow, ip: u64) -> Option<Vec<u64>> {
    let load = flow.at(ip)?;
    let insn = flow.insns.get(load)?;
    if insn.mnemonic() != Mnemonic::Mov || insn.op0_kind() != OpKind::Register {
        return None;
    }
    let mut factory = InstructionInfoFactory::new();
    let mut calls = Vec::new();
    let mut seen = FxHashSet::default();
    let register = insn.op0_register().full_register();
    let mut work: Vec<(usize, Register)> = flow.after(load).map(|next| (next, register)).collect();
    while let Some((index, register)) = work.pop() {
        if !seen.insert((index, register)) {
            continue;
        }
        // At the function's end it goes on into another.
        let insn = flow.insns.get(index).filter(|_| seen.len() <= MAX_STEPS)?;
        let goes_on = match insn.flow_control() {
            FlowControl::IndirectCall | FlowControl::IndirectBranch
                if insn.op0_register() == register =>
            {
                calls.push(insn.ip());
                insn.flow_control() == FlowControl::IndirectCall && is_kept(register)
            }
            FlowControl::Call | FlowControl::IndirectCall if is_argument(register) => return None,
            FlowControl::Call | FlowControl::IndirectCall => is_kept(register),
            FlowControl::Return if register == Register::RAX => return None,
            FlowControl::IndirectBranch => return None,
            FlowControl::UnconditionalBranch if flow.at(insn.near_branch_target()).is_none() => {
                return None;
            }
            FlowControl::ConditionalBranch if flow.at(insn.near_branch_target()).is_none() => {
                return None;
            }
            _ => {
                let (reads, writes) = touches(&mut factory, insn, register);
                let copies = insn.mnemonic() == Mnemonic::Mov
                    && insn.op0_kind() == OpKind::Register
                    && insn.op1_kind() == OpKind::Register;
                if reads && copies {
                    let copy = insn.op0_register().full_register();
                    work.extend(flow.after(index).map(|next| (next, copy)));
                } else if reads && !matches!(insn.mnemonic(), Mnemonic::Test | Mnemonic::Cmp) {
                    return None;
                }
                !writes
            }
        };
        if goes_on {
            work.extend(flow.after(index).map(|next| (next, register)));
        }
    }
    Some(calls)
}

/// Whether an instruction reads, and whether it overwrites, a register.
pub fn touches(
    factory: &mut InstructionInfoFactory,
    insn: &iced_x86::Instruction,
    register: Register,
) -> (bool, bool) {
    let info = factory.info(insn);
    let used = info
        .used_registers()
        .iter()
        .filter(|u| u.register().full_register() == register);
    let memory = info
        .used_memory()
        .iter()
        .any(|m| m.base() == register || m.index() == register);
    used.fold((memory, false), |(reads, writes), used| {
        match used.access() {
            OpAccess::Write => (reads, true),
            OpAccess::CondWrite | OpAccess::NoMemAccess | OpAccess::None => (reads, writes),
            OpAccess::ReadWrite => (true, true),
            OpAccess::Read | OpAccess::CondRead | OpAccess::ReadCondWrite => (true, writes),
        }
    })
}

/// Whether C hands over an argument in the register.
pub fn is_argument(register: Register) -> bool {
    use Register::{R8, R9, RCX, RDI, RDX, RSI};
    matches!(register, RDI | RSI | RDX | RCX | R8 | R9)
}

/// Whether a call leaves the register alone.
pub fn is_kept(register: Register) -> bool {
    use Register::{R12, R13, R14, R15, RBP, RBX};
    matches!(register, RBX | RBP | R12 | R13 | R14 | R15)
}
