//! What the program can reach: functions, and the data whose pointers lead to more of them.

mod names;
mod roots;

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::flow::Flow;
use crate::gates::Gates;
use crate::link::{Definition, Program};
use crate::module::{Function, Module};
use crate::pointers::{Pointer, To};
use crate::sweep::{Kind, Ref};
use crate::uses;

/// A function: its module and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    pub module: u32,
    pub function: u32,
}

/// How a function was reached first, which is a shortest way.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    pub from: Option<Id>,
    /// By direct calls all the way.
    pub certain: bool,
}

/// Where something was found: the function, and whether it runs for certain.
#[derive(Clone, Copy)]
struct From {
    id: Option<Id>,
    certain: bool,
}

pub struct Walk<'a> {
    program: &'a Program,
    pub reached: FxHashMap<Id, Reached>,
    /// Functions whose address something takes, so that calls with any arguments are possible.
    pub taken: FxHashSet<Id>,
    certain: VecDeque<Id>,
    rest: VecDeque<Id>,
    /// Pieces of data that were looked at: module and number of the boundary where they begin.
    pieces: FxHashSet<(u32, u32)>,
    /// Modules that look functions up by name, and the names seen until the first does.
    by_name: Vec<bool>,
    names: Vec<Vec<(String, Option<Id>)>>,
    roots: FxHashSet<Id>,
    gates: Gates,
    /// Calls of functions whose addresses were loaded from a pointer just before, by module and pointer.
    pub register_calls: FxHashMap<(usize, u64), Vec<u64>>,
    waiting: FxHashMap<usize, Vec<(Id, From)>>,
}

impl<'a> Walk<'a> {
    pub fn run(program: &'a Program) -> Self {
        let mut walk = Walk {
            program,
            reached: FxHashMap::default(),
            taken: FxHashSet::default(),
            certain: VecDeque::new(),
            rest: VecDeque::new(),
            pieces: FxHashSet::default(),
            by_name: program.modules.iter().map(names::has_own_lookup).collect(),
            names: vec![Vec::new(); program.modules.len()],
            roots: FxHashSet::default(),
            gates: Gates::new(&program.modules),
            register_calls: FxHashMap::default(),
            waiting: FxHashMap::default(),
        };
        walk.start();
        while let Some(id) = walk.certain.pop_front().or_else(|| walk.rest.pop_front()) {
            walk.visit(id);
        }
        walk
    }

    /// Whether direct calls lead from the entry to the first of a chain of callers.
    pub fn is_certain(&self, way: &[Id]) -> bool {
        way.first()
            .and_then(|id| self.reached.get(id))
            .is_some_and(|r| r.certain)
    }

    pub fn function(&self, id: Id) -> Option<(&'a Module, &'a Function)> {
        let module = self.program.modules.get(id.module as usize)?;
        Some((module, module.functions.get(id.function as usize)?))
    }

    pub fn at(&self, module: usize, at: u64) -> Option<Id> {
        let function = self.program.modules.get(module)?.function_at(at)?;
        Some(Id {
            module: module as u32,
            function: function as u32,
        })
    }

    fn visit(&mut self, id: Id) {
        let Some((module, function)) = self.function(id) else {
            return;
        };
        if function.stubs {
            return;
        }
        let certain = self.reached.get(&id).is_some_and(|r| r.certain);
        let from = From {
            id: Some(id),
            certain,
        };
        let mut flow = None;
        for found in module.refs_of(function) {
            if found.kind == Kind::Load && self.loads_function(id, module, *found) {
                let flow = flow.get_or_insert_with(|| Flow::decode(&module.image, function.range));
                let calls = flow
                    .as_ref()
                    .and_then(|flow| uses::only_calls(flow, u64::from(found.ip)));
                if let Some(calls) = calls {
                    self.called_from_register(id, module, *found, from, calls);
                    continue;
                }
            }
            self.follow(id.module as usize, module, *found, from);
        }
    }

    /// Whether an instruction loads the address of a function that has a symbol.
    fn loads_function(&self, id: Id, module: &Module, found: Ref) -> bool {
        let slot = u64::from(found.target);
        let pointer = module
            .pointers_in(slot, slot + 8)
            .first()
            .filter(|_| found.size == 8);
        pointer.is_some_and(|p| match p.to {
            To::Symbol(index, _) => self
                .program
                .bind(id.module as usize, index)
                .is_some_and(|d| d.function),
            _ => false,
        })
    }

    /// A function's address that is only loaded to be called at once is not taken.
    fn called_from_register(
        &mut self,
        id: Id,
        module: &Module,
        found: Ref,
        from: From,
        calls: Vec<u64>,
    ) {
        if !calls.is_empty() {
            let (number, slot) = (id.module as usize, u64::from(found.target));
            self.slot(number, module, slot, from, false);
            self.register_calls
                .entry((number, slot))
                .or_default()
                .extend(calls);
        }
    }

    fn follow(&mut self, number: usize, module: &Module, found: Ref, from: From) {
        let target = u64::from(found.target);
        // The entry hands `main` to the C library, and the dynamic linker's entry its own.
        let root = from.id.is_some_and(|id| self.roots.contains(&id));
        let guess = From {
            certain: from.certain && root,
            ..from
        };
        match found.kind {
            Kind::Call | Kind::Jump | Kind::Fall => self.code(number, target, from),
            Kind::SlotCall | Kind::SlotJump => self.slot(number, module, target, from, false),
            Kind::Load => {
                for pointer in module.pointers_in(target, target + u64::from(found.size)) {
                    self.pointer(number, *pointer, guess);
                }
            }
            Kind::Address => self.address(number, target, guess),
            Kind::Syscall | Kind::Compat => {}
        }
    }

    /// A direct branch to code.
    fn code(&mut self, number: usize, at: u64, from: From) {
        let Some(module) = self.program.modules.get(number) else {
            return;
        };
        if let Some(&slot) = module.stubs.get(&(at as u32)) {
            return self.slot(number, module, u64::from(slot), from, false);
        }
        if let Some(id) = self.at(number, at) {
            self.reach(id, from);
        }
    }

    fn slot(&mut self, number: usize, module: &Module, slot: u64, from: From, taken: bool) {
        for pointer in module.pointers_in(slot, slot + 8) {
            match pointer.to {
                To::Symbol(index, _) => {
                    self.note_lookup(number, self.program.symbol_name(number, index));
                    if let Some(definition) = self.program.bind(number, index) {
                        self.definition(definition, from, taken);
                    }
                }
                To::Address(at) | To::Resolver(at) if !taken => self.code(number, at, from),
                _ => self.pointer(number, *pointer, from),
            }
        }
    }

    /// A value in data leads to what it points at.
    fn pointer(&mut self, number: usize, pointer: Pointer, from: From) {
        match pointer.to {
            To::Address(at) => self.address(number, at, from),
            To::Resolver(at) => self.code(number, at, from),
            To::Symbol(index, add) => {
                self.note_lookup(number, self.program.symbol_name(number, index));
                if let Some(mut definition) = self.program.bind(number, index) {
                    if !definition.function {
                        definition.value = definition.value.wrapping_add(add as u64);
                    }
                    self.definition(definition, from, true);
                }
            }
            To::Copy(index) => {
                if let Some(definition) = self.program.copied(number, index) {
                    self.definition(definition, from, true);
                }
            }
        }
    }

    fn definition(&mut self, definition: Definition, from: From, taken: bool) {
        let Definition {
            module,
            value,
            size,
            function,
        } = definition;
        if function
            || self
                .program
                .modules
                .get(module)
                .is_some_and(|m| m.image.is_code(value))
        {
            if taken {
                self.address(module, value, from)
            } else {
                self.code(module, value, from)
            }
        } else {
            self.data(module, value, value.saturating_add(size.max(1)), from);
        }
    }

    /// An address that something keeps.
    fn address(&mut self, number: usize, at: u64, from: From) {
        let Some(module) = self.program.modules.get(number) else {
            return;
        };
        if module.image.is_code(at) {
            if let Some(&slot) = module.stubs.get(&(at as u32)) {
                return self.slot(number, module, u64::from(slot), from, true);
            }
            let Some(id) = self.at(number, at) else {
                return;
            };
            self.taken.insert(id);
            return self.reach(id, from);
        }
        self.name(number, module, at, from);
        self.data(number, at, at + 1, from);
    }

    /// Looks at all pieces of data between two addresses, to the end of the last.
    fn data(&mut self, number: usize, start: u64, end: u64, from: From) {
        let Some(module) = self.program.modules.get(number) else {
            return;
        };
        let end = module.object_end(start).unwrap_or(0).max(end);
        let mut piece = module
            .boundaries
            .partition_point(|&b| u64::from(b) <= start)
            .saturating_sub(1);
        while let (Some(&first), Some(&next)) = (
            module.boundaries.get(piece),
            module.boundaries.get(piece + 1),
        ) {
            if u64::from(first) >= end {
                break;
            }
            if self.pieces.insert((number as u32, piece as u32)) {
                let inner = From {
                    certain: false,
                    ..from
                };
                for pointer in module
                    .pointers_in(u64::from(first), u64::from(next))
                    .iter()
                    .filter(|p| !p.linkage)
                {
                    self.pointer(number, *pointer, inner);
                }
            }
            piece += 1;
        }
    }

    fn reach(&mut self, id: Id, from: From) {
        if from.id == Some(id) {
            return;
        }
        let key = (id.module, id.function);
        let inside = from.id.is_some_and(|caller| caller.module == id.module);
        for gate in self.gates.opens(key, inside) {
            for (id, from) in self.waiting.remove(&gate).unwrap_or_default() {
                self.reach(
                    id,
                    From {
                        certain: false,
                        ..from
                    },
                );
            }
        }
        if let Some(known) = self.reached.get(&id)
            && (known.certain || !from.certain)
        {
            return;
        }
        if let Some(gate) = self.gates.closed(key).filter(|_| inside) {
            return self.waiting.entry(gate).or_default().push((id, from));
        }
        self.reached.insert(
            id,
            Reached {
                from: from.id,
                certain: from.certain,
            },
        );
        if from.certain {
            self.certain.push_back(id);
        } else {
            self.rest.push_back(id);
        }
    }
}
