//! Who calls a function whose address lies in a file's own data, if all that handle the address only call it.
//!
//! The address, and that of the data that hold it, are followed forward through registers and into called functions. Whatever
//! is not understood, a store above all, means that anyone may have it.

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::flow::{Flow, is_branch};
use crate::image::Image;
use crate::link::Program;
use crate::module::{Function, Module};
use crate::pointers::{Pointer, To};
use crate::sweep::{Kind, Ref};
use crate::uses::{is_argument, is_kept, touches};
use crate::walk::{Id, Walk};

const MAX_STEPS: usize = 20_000;
/// How much of a structure may lie before a pointer.
const NEAR: u64 = 256;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Held {
    Function,
    /// An address in or near data that hold the function's.
    Data(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct At {
    id: Id,
    index: usize,
    register: Register,
    held: Held,
}

enum Target {
    Known(Id),
    /// A weak function that no file has.
    Nothing,
    Unknown,
}

pub struct Escape<'a> {
    program: &'a Program,
    walk: &'a Walk<'a>,
    home: usize,
    slots: Vec<u64>,
    flows: FxHashMap<Id, Option<Flow>>,
    factory: InstructionInfoFactory,
    work: Vec<At>,
    calls: Vec<(usize, u64)>,
}

/// All calls of the function through registers and pointers to data, by module and place, or nothing where others may call.
pub fn callers(program: &Program, walk: &Walk, id: Id) -> Option<Vec<(usize, u64)>> {
    let (module, function) = walk.function(id)?;
    let entry = function.range.start;
    let inside = |at: u64| (entry..function.range.end).contains(&at);
    if module.go || module.symbols.iter().any(|s| s.defined && inside(s.value)) {
        return None;
    }
    let mut slots = Vec::new();
    for pointer in &module.pointers {
        match pointer.to {
            To::Address(at) if at == entry => slots.push(pointer.at),
            To::Address(at) | To::Resolver(at) if inside(at) => return None,
            _ => {}
        }
    }
    if slots.iter().any(|&slot| !is_private(module, slot)) {
        return None;
    }
    let mut escape = Escape {
        program,
        walk,
        home: id.module as usize,
        slots,
        flows: FxHashMap::default(),
        factory: InstructionInfoFactory::new(),
        work: Vec::new(),
        calls: Vec::new(),
    };
    escape.start(module, function)?;
    escape.run()?;
    Some(escape.calls)
}

/// Whether an address may be that of an object that holds a pointer. What is cut into two objects, since code takes the
/// address of a part too, may be one: so what lies shortly before counts.
fn may_span(module: &Module, at: u64, slot: u64) -> bool {
    !module.image.is_code(at)
        && (module.spans(at, slot) || (at..=at.saturating_add(NEAR)).contains(&slot))
}

/// Whether only this file's code can name the data around a pointer.
fn is_private(module: &Module, slot: u64) -> bool {
    let image: &Image = &module.image;
    let exported = |s: &crate::symbols::Symbol| {
        s.defined && (s.value..s.value.saturating_add(s.size.max(8))).contains(&slot)
    };
    // `__dso_handle` points at itself.
    let pointed =
        |p: &Pointer| matches!(p.to, To::Address(at) if at != p.at && may_span(module, at, slot));
    let arrays = [
        (elf::abi::DT_PREINIT_ARRAY, elf::abi::DT_PREINIT_ARRAYSZ),
        (elf::abi::DT_INIT_ARRAY, elf::abi::DT_INIT_ARRAYSZ),
        (elf::abi::DT_FINI_ARRAY, elf::abi::DT_FINI_ARRAYSZ),
    ];
    let in_array = arrays.iter().any(|&(table, size)| {
        image
            .table(table)
            .is_some_and(|at| (at..at.saturating_add(image.tag(size))).contains(&slot))
    });
    // A copy for each thread is made of such data.
    let per_thread = image.sections.iter().any(|s| {
        let start = image
            .relative(s.sh_addr)
            .filter(|_| s.sh_flags & u64::from(elf::abi::SHF_TLS) != 0);
        start.is_some_and(|at| (at..at.saturating_add(s.sh_size)).contains(&slot))
    });
    !image.sections.is_empty()
        && !in_array
        && !per_thread
        && !module.symbols.iter().any(exported)
        && !module.pointers.iter().any(pointed)
}

impl Escape<'_> {
    /// Where reachable code of the file takes up an address.
    fn start(&mut self, module: &Module, wanted: &Function) -> Option<()> {
        for (index, function) in module.functions.iter().enumerate() {
            let id = Id {
                module: self.home as u32,
                function: index as u32,
            };
            if self.walk.reached.contains_key(&id) {
                for found in module.refs_of(function) {
                    self.take(module, wanted, id, *found)?;
                }
            }
        }
        Some(())
    }

    fn take(&mut self, module: &Module, wanted: &Function, id: Id, found: Ref) -> Option<()> {
        let target = u64::from(found.target);
        let held = match found.kind {
            Kind::Address if target == wanted.range.start => Held::Function,
            Kind::Address if (wanted.range.start..wanted.range.end).contains(&target) => {
                return None;
            }
            Kind::Address
                if self
                    .slots
                    .iter()
                    .any(|&slot| may_span(module, target, slot)) =>
            {
                Held::Data(target)
            }
            Kind::Load if self.overlaps(target, u64::from(found.size)) => Held::Function,
            _ => return Some(()),
        };
        let flow = self.flow(id)?;
        let index = flow.at(u64::from(found.ip))?;
        let insn = *flow.insns.get(index)?;
        if found.kind == Kind::Load && matches!(insn.mnemonic(), Mnemonic::Cmp | Mnemonic::Test) {
            return Some(());
        }
        let loads = insn.mnemonic() == Mnemonic::Mov
            && (found.kind == Kind::Address || found.size == 8 && self.slots.contains(&target));
        let plain = insn.memory_index() == Register::None
            && matches!(insn.memory_base(), Register::None | Register::RIP);
        let takes = insn.mnemonic() == Mnemonic::Lea && found.kind == Kind::Address;
        if !(loads || takes) || !plain || insn.op0_kind() != OpKind::Register {
            return None;
        }
        let register = insn.op0_register().full_register();
        self.go_on(id, index, register, held)
    }

    fn run(&mut self) -> Option<()> {
        let mut seen = FxHashSet::default();
        while let Some(at) = self.work.pop() {
            if seen.insert(at) {
                (seen.len() <= MAX_STEPS).then_some(())?;
                self.step(at)?;
            }
        }
        Some(())
    }

    fn step(&mut self, at: At) -> Option<()> {
        let insn = *self.flow(at.id)?.insns.get(at.index)?;
        match insn.flow_control() {
            FlowControl::IndirectCall | FlowControl::IndirectBranch => self.indirect(at, &insn),
            FlowControl::Call if insn.mnemonic() == Mnemonic::Syscall => {
                // The kernel calls nothing that a register names; what it would keep lies in memory.
                self.go_on(at.id, at.index, at.register, at.held)
            }
            FlowControl::Call => self.call(at, &insn),
            FlowControl::Return => {
                (!matches!(at.register, Register::RAX | Register::RDX)).then_some(())
            }
            _ if is_branch(&insn) => {
                if self.flow(at.id)?.at(insn.near_branch_target()).is_none() {
                    let target = self.target(at.id.module as usize, insn.near_branch_target());
                    self.enter(at, target)?;
                }
                self.go_on(at.id, at.index, at.register, at.held)
            }
            FlowControl::Next => self.use_of(at, &insn),
            FlowControl::Exception | FlowControl::Interrupt => Some(()),
            _ => None,
        }
    }

    fn indirect(&mut self, at: At, insn: &Instruction) -> Option<()> {
        let through = insn.op0_kind() == OpKind::Memory;
        if through && insn.is_ip_rel_memory_operand() {
            let target = self.through(at.id.module as usize, insn.ip_rel_memory_address());
            return self.called(at, insn, target);
        }
        let named = match at.held {
            Held::Function => !through && insn.op0_register() == at.register,
            Held::Data(address) if through && insn.memory_base() == at.register => {
                (insn.memory_index() == Register::None).then_some(())?;
                let slot = address.wrapping_add(insn.memory_displacement64());
                self.slots.contains(&slot)
            }
            Held::Data(_) => false,
        };
        if named {
            self.calls.push((at.id.module as usize, insn.ip()));
        } else if insn.flow_control() == FlowControl::IndirectBranch {
            // A jump table: its targets are not known here.
            return None;
        }
        self.called(at, insn, Target::Unknown)
    }

    fn call(&mut self, at: At, insn: &Instruction) -> Option<()> {
        let target = self.target(at.id.module as usize, insn.near_branch_target());
        self.called(at, insn, target)
    }

    /// A call, or a jump through a pointer, that may hand the register over.
    fn called(&mut self, at: At, insn: &Instruction, target: Target) -> Option<()> {
        let jumps = insn.flow_control() == FlowControl::IndirectBranch;
        let local = matches!(target, Target::Known(id) if id.module == at.id.module);
        if is_argument(at.register) {
            self.enter(at, target)?;
        }
        // An exception takes up kept registers where no branch leads.
        if !jumps && is_kept(at.register) && self.flow(at.id)?.has_hidden_entries() {
            return None;
        }
        // Within one file the compiler may know that a called function leaves more registers alone.
        if !jumps && (is_kept(at.register) || local) {
            self.go_on(at.id, at.index, at.register, at.held)?;
        }
        Some(())
    }

    fn enter(&mut self, at: At, target: Target) -> Option<()> {
        match target {
            Target::Known(id) => {
                self.work.push(At { id, index: 0, ..at });
                Some(())
            }
            Target::Nothing => Some(()),
            Target::Unknown => None,
        }
    }

    fn use_of(&mut self, at: At, insn: &Instruction) -> Option<()> {
        let (reads, writes) = touches(&mut self.factory, insn, at.register);
        if reads {
            self.read(at, insn)?;
        }
        if !writes {
            self.go_on(at.id, at.index, at.register, at.held)?;
        }
        Some(())
    }

    fn read(&mut self, at: At, insn: &Instruction) -> Option<()> {
        let into = (insn.op_count() > 0 && insn.op0_kind() == OpKind::Register)
            .then(|| insn.op0_register().full_register());
        let base = insn.memory_base() == at.register;
        let plain = insn.memory_index() == Register::None;
        let held = match (insn.mnemonic(), at.held) {
            (Mnemonic::Cmp | Mnemonic::Test, _) if !base => return Some(()),
            (Mnemonic::Mov, held) if insn.op1_kind() == OpKind::Register && into.is_some() => held,
            (Mnemonic::Lea, Held::Data(address)) if base && plain => {
                Held::Data(address.wrapping_add(insn.memory_displacement64()))
            }
            (mnemonic, Held::Data(address)) if base && plain => {
                // A store of the address itself.
                if (1..insn.op_count()).any(|o| {
                    insn.op_kind(o) == OpKind::Register
                        && insn.op_register(o).full_register() == at.register
                }) {
                    return None;
                }
                let slot = address.wrapping_add(insn.memory_displacement64());
                let size = insn.memory_size().size() as u64;
                let stores = mnemonic == Mnemonic::Mov && insn.op0_kind() == OpKind::Memory;
                if size == 0 {
                    return None;
                }
                if stores || !self.overlaps(slot, size) {
                    return Some(());
                }
                (mnemonic == Mnemonic::Mov && size == 8 && self.slots.contains(&slot))
                    .then_some(Held::Function)?
            }
            _ => return None,
        };
        self.go_on(at.id, at.index, into?, held)
    }

    /// What runs next; off the function's end nothing is known.
    fn go_on(&mut self, id: Id, index: usize, register: Register, held: Held) -> Option<()> {
        let flow = self.flow(id)?;
        let end = flow.insns.len();
        let next: Vec<usize> = flow.after(index).collect();
        for index in next {
            if index >= end {
                return None;
            }
            self.work.push(At {
                id,
                index,
                register,
                held,
            });
        }
        Some(())
    }

    fn overlaps(&self, at: u64, size: u64) -> bool {
        let end = at.saturating_add(size);
        self.slots.iter().any(|&s| at < s + 8 && s < end)
    }

    fn target(&self, number: usize, at: u64) -> Target {
        let Some(module) = self.program.modules.get(number) else {
            return Target::Unknown;
        };
        match module.stubs.get(&(at as u32)) {
            Some(&slot) => self.through(number, u64::from(slot)),
            None => self.known(number, at),
        }
    }

    fn through(&self, number: usize, slot: u64) -> Target {
        let pointer = self
            .program
            .modules
            .get(number)
            .and_then(|m| m.pointers_in(slot, slot + 8).first());
        match pointer.map(|p| p.to) {
            Some(To::Symbol(index, _)) => match self.program.bind(number, index) {
                Some(found) => self.known(found.module, found.value),
                None => Target::Nothing,
            },
            _ => Target::Unknown,
        }
    }

    fn known(&self, number: usize, at: u64) -> Target {
        let id = self.walk.at(number, at);
        let starts = |id: &Id| {
            self.walk
                .function(*id)
                .is_some_and(|(_, f)| f.range.start == at)
        };
        id.filter(starts).map_or(Target::Unknown, Target::Known)
    }

    fn flow(&mut self, id: Id) -> Option<&Flow> {
        let walk = self.walk;
        let decode = || {
            let (module, function) = walk.function(id)?;
            Flow::decode(&module.image, function.range).filter(|_| function.whole)
        };
        self.flows.entry(id).or_insert_with(decode).as_ref()
    }
}
