//! Which numbers each reachable `syscall` instruction is given, followed through wrappers that take them as arguments.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::details;
use crate::escape;
use crate::flow::Flow;
use crate::link::{Definition, Program};
use crate::module::{Function, Module};
use crate::pointers::To;
use crate::returns::Returns;
use crate::sweep::Kind;
use crate::uses;
use crate::values::{Place, Values, values};
use crate::walk::{Id, Walk};

/// Numbers beyond are no system calls of x86-64.
const MAX_NUMBER: u64 = 1023;
const MAX_VISITS: usize = 20_000;

const GO_PER_THREAD: &str = "runtime.runPerThreadSyscall";
const GO_ALL_THREADS: &str = "syscall.runtime_doAllThreadsSyscall";

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Where {
    pub id: Id,
    pub ip: u64,
}

pub struct Site {
    /// Each with the functions from the one that chose it to the site's own.
    pub numbers: BTreeMap<u64, Vec<Id>>,
    pub unresolved: BTreeSet<(Where, &'static str)>,
    /// Constants of arguments that select a sub-function.
    pub details: BTreeSet<(u64, &'static str, u64)>,
}

pub struct Calls<'a> {
    program: &'a Program,
    walk: &'a Walk<'a>,
    flows: FxHashMap<Id, Option<Flow>>,
    returns: Returns<'a>,
    /// Functions whose calls that do not return are cut off.
    cut: FxHashSet<Id>,
    importers: FxHashMap<(usize, u64), Vec<(usize, u64)>>,
    /// Of functions whose address is taken: who calls them through it, if that is known.
    pointer_calls: FxHashMap<Id, Option<Vec<(usize, u64)>>>,
}

/// What a place holds; `asker` is the number of the question that this one came from.
#[derive(Clone, Copy)]
struct Question {
    at: Where,
    place: Place,
    asker: Option<usize>,
}

#[derive(Default)]
struct Answer {
    constants: BTreeMap<u64, Vec<Id>>,
    unresolved: BTreeSet<(Where, &'static str)>,
}

impl<'a> Calls<'a> {
    pub fn new(program: &'a Program, walk: &'a Walk<'a>) -> Self {
        Calls {
            program,
            walk,
            flows: FxHashMap::default(),
            returns: Returns::new(program),
            cut: FxHashSet::default(),
            importers: FxHashMap::default(),
            pointer_calls: FxHashMap::default(),
        }
    }

    /// All reachable sites, in order.
    pub fn sites(&mut self) -> Vec<Site> {
        let mut ids: Vec<Id> = self.walk.reached.keys().copied().collect();
        ids.sort_unstable();
        let mut found = Vec::new();
        for id in ids {
            let Some((module, function)) = self.walk.function(id) else {
                continue;
            };
            for site in module
                .refs_of(function)
                .iter()
                .filter(|r| matches!(r.kind, Kind::Syscall | Kind::Compat))
            {
                let at = Where {
                    id,
                    ip: u64::from(site.ip),
                };
                let site = if site.kind == Kind::Syscall {
                    self.site(module, function, at)
                } else {
                    compat(function, at)
                };
                found.extend(site);
            }
        }
        found
    }

    fn site(&mut self, module: &Module, function: &Function, at: Where) -> Option<Site> {
        let mut answer = self.resolve(at, Register::RAX);
        let relays = self
            .flow(at.id)
            .is_some_and(|flow| is_xid_call(flow, at.ip));
        if relays {
            answer.unresolved.clear();
        }
        let numbers = std::mem::take(&mut answer.constants)
            .into_iter()
            .map(|(n, way)| (n & 0xffff_ffff, way));
        answer.constants = numbers.filter(|&(n, _)| n <= MAX_NUMBER).collect();
        // Data between code decodes as anything; what neither a table nor a call vouches for must at least load a number.
        let vouched = (function.range.vouched || is_called(module, function)) && function.whole;
        let resolved = answer.unresolved.is_empty() && !answer.constants.is_empty();
        if !vouched && !resolved && !relays && !self.sets_number(module, at) {
            return None;
        }
        let mut details = BTreeSet::new();
        if answer.constants.len() <= details::MAX_NUMBERS {
            for &number in answer.constants.keys() {
                for &(kind, register) in details::of(number) {
                    let values = self.resolve(at, register).constants;
                    details.extend(
                        values
                            .into_keys()
                            .map(|value| (number, kind, value & 0xffff_ffff)),
                    );
                }
            }
        }
        Some(Site {
            numbers: answer.constants,
            unresolved: answer.unresolved,
            details,
        })
    }

    /// Whether the function puts a constant or one of its arguments into rax before the site.
    fn sets_number(&mut self, module: &Module, at: Where) -> bool {
        let Some(flow) = self.flow(at.id) else {
            return false;
        };
        let Some(index) = flow.at(at.ip) else {
            return false;
        };
        let local = values(module, flow, index, Place::Register(Register::RAX));
        let given = |place: &Place| match *place {
            Place::Register(register) => uses::is_argument(register),
            Place::Stack(_) => true,
        };
        let some = !local.constants.is_empty() || !local.outside.is_empty();
        some && local.unknown.is_none() && local.outside.iter().all(|(_, place)| given(place))
    }

    fn resolve(&mut self, at: Where, register: Register) -> Answer {
        let mut answer = Answer::default();
        let mut seen = FxHashSet::default();
        let mut asked: Vec<Question> = vec![Question {
            at,
            place: Place::Register(register),
            asker: None,
        }];
        let mut next = 0;
        while let Some(&question) = asked.get(next) {
            let Question { at, place, .. } = question;
            next += 1;
            if !seen.insert((at, place)) {
                continue;
            }
            if seen.len() > MAX_VISITS {
                answer.unresolved.insert((at, "too many callers"));
                break;
            }
            let Some(found) = self.local(at, place) else {
                answer
                    .unresolved
                    .insert((at, "in a function too large or not decodable"));
                continue;
            };
            if !found.constants.is_empty() {
                let way = way(&asked, question);
                for constant in found.constants {
                    let known = answer
                        .constants
                        .entry(constant)
                        .or_insert_with(|| way.clone());
                    if !self.walk.is_certain(known) && self.walk.is_certain(&way) {
                        known.clone_from(&way);
                    }
                }
            }
            if let Some(why) = found.unknown {
                if self.asks_all_threads(at) {
                    let question = |at| Question {
                        at,
                        place: Place::Register(Register::RAX),
                        asker: Some(next - 1),
                    };
                    asked.extend(self.asked_of_all_threads(at.id).map(question));
                } else {
                    answer.unresolved.insert((at, why));
                }
            }
            for (entry, place) in found.outside {
                for at in self.callers(at, entry, &mut answer) {
                    asked.push(Question {
                        at,
                        place,
                        asker: Some(next - 1),
                    });
                }
            }
        }
        answer
    }

    /// Go makes all threads call what one of them left in a variable.
    fn asks_all_threads(&self, at: Where) -> bool {
        let go = self.walk.function(at.id).filter(|(module, _)| module.go);
        let names = [GO_PER_THREAD, GO_ALL_THREADS];
        go.is_some_and(|(module, function)| {
            names.contains(&module.name_of(function.range.start).as_str())
        })
    }

    /// Whoever wants that gives the number to this function. Go's linker leaves it out where nobody does.
    fn asked_of_all_threads(&self, id: Id) -> Option<Where> {
        let (module, _) = self.walk.function(id)?;
        let ip = module.function_named(GO_ALL_THREADS)?;
        Some(Where {
            id: self.walk.at(id.module as usize, ip)?,
            ip,
        })
    }

    /// What is known within one function. Calls that never return are looked for only where it matters.
    fn local(&mut self, at: Where, place: Place) -> Option<Values> {
        let found = self.values(at, place)?;
        if found.unknown.is_none() || !self.cut.insert(at.id) {
            return Some(found);
        }
        if let Some(Some(flow)) = self.flows.get_mut(&at.id) {
            self.returns.cut(at.id.module as usize, flow);
        }
        self.values(at, place)
    }

    fn values(&mut self, at: Where, place: Place) -> Option<Values> {
        let module = self.program.modules.get(at.id.module as usize)?;
        let flow = self.flow(at.id)?;
        let index = flow.at(at.ip)?;
        let place = match place {
            // From the callee's view to ours: a call pushed the return address.
            Place::Stack(slot) => {
                let pushed = if flow
                    .insns
                    .get(index)
                    .is_some_and(|i| i.mnemonic() == Mnemonic::Call)
                {
                    8
                } else {
                    0
                };
                Place::Stack(flow.stack(index).rsp? - pushed + slot)
            }
            register => register,
        };
        Some(values(module, flow, index, place))
    }

    /// All reachable places that branch to an address from outside.
    fn callers(&mut self, at: Where, entry: u64, answer: &mut Answer) -> Vec<Where> {
        let number = at.id.module as usize;
        let Some((module, function)) = self.walk.function(at.id) else {
            return Vec::new();
        };
        let mut found: Vec<(usize, u64)> =
            module.branches_to(entry).map(|ip| (number, ip)).collect();
        if entry == function.range.start {
            found.extend(self.imported(number, entry));
            if self.walk.taken.contains(&at.id) {
                match self.through_pointers(at.id) {
                    Some(calls) => found.extend(calls),
                    None => {
                        answer
                            .unresolved
                            .insert((at, "its address is taken: any caller may give the number"));
                    }
                }
            }
        }
        let places = found.into_iter().filter_map(|(module, ip)| {
            // What runs on into the entry lies before it.
            let inside = if (module, ip) == (number, entry) {
                ip.checked_sub(1)?
            } else {
                ip
            };
            Some(Where {
                id: self.walk.at(module, inside)?,
                ip,
            })
        });
        let runs = |place: &Where| self.walk.reached.contains_key(&place.id);
        let stub = |place: &Where| self.walk.function(place.id).is_some_and(|(_, f)| f.stubs);
        places.filter(|place| runs(place) && !stub(place)).collect()
    }

    fn through_pointers(&mut self, id: Id) -> Option<Vec<(usize, u64)>> {
        let find = || escape::callers(self.program, self.walk, id);
        self.pointer_calls.entry(id).or_insert_with(find).clone()
    }

    /// Calls from other files, and through the file's own pointers.
    fn imported(&mut self, number: usize, entry: u64) -> Vec<(usize, u64)> {
        if let Some(known) = self.importers.get(&(number, entry)) {
            return known.clone();
        }
        let definition = Definition {
            module: number,
            value: entry,
            size: 0,
            function: true,
        };
        let mut symbols: FxHashMap<usize, FxHashSet<u32>> = FxHashMap::default();
        for (module, index) in self.program.importers(definition) {
            symbols.entry(module).or_default().insert(index);
        }
        symbols.entry(number).or_default();
        let mut found = Vec::new();
        for (user, wanted) in symbols {
            let Some(module) = self.program.modules.get(user) else {
                continue;
            };
            let slots = module.pointers.iter().filter(|p| match p.to {
                To::Symbol(index, _) => wanted.contains(&index),
                To::Address(at) => user == number && at == entry,
                _ => false,
            });
            for slot in slots {
                found.extend(
                    self.walk
                        .register_calls
                        .get(&(user, slot.at))
                        .into_iter()
                        .flatten()
                        .map(|&ip| (user, ip)),
                );
                for ip in module.branches_through(slot.at) {
                    found.push((user, ip));
                    // A stub: what counts are its callers.
                    if module.stubs.contains_key(&(ip as u32)) {
                        found.extend(module.branches_to(ip).map(|from| (user, from)));
                        found.extend(
                            module
                                .branches_to(ip.wrapping_sub(4))
                                .map(|from| (user, from)),
                        );
                    }
                }
            }
        }
        self.importers.insert((number, entry), found.clone());
        found
    }

    fn flow(&mut self, id: Id) -> Option<&Flow> {
        let walk = self.walk;
        let decode = || {
            walk.function(id)
                .and_then(|(module, f)| Flow::decode(&module.image, f.range))
        };
        self.flows.entry(id).or_insert_with(decode).as_ref()
    }
}

/// The functions from a question's to the first one's.
fn way(asked: &[Question], from: Question) -> Vec<Id> {
    let mut ids = vec![from.at.id];
    let mut asker = from.asker;
    while let Some(question) = asker.and_then(|index| asked.get(index)) {
        if ids.last() != Some(&question.at.id) {
            ids.push(question.at.id);
        }
        asker = question.asker;
    }
    ids
}

/// Whether code that a table vouches for branches to the function.
fn is_called(module: &Module, function: &Function) -> bool {
    let mut callers = module.branches_to(function.range.start);
    callers.any(|from| {
        let caller = module
            .function_at(from)
            .and_then(|i| module.functions.get(i));
        caller.is_some_and(|caller| caller.range.vouched)
    })
}

fn compat(function: &Function, at: Where) -> Option<Site> {
    let unresolved = BTreeSet::from([(at, "a 32-bit system call (int 0x80 or sysenter)")]);
    let real = function.range.vouched && function.whole;
    real.then(|| Site {
        numbers: BTreeMap::new(),
        unresolved,
        details: BTreeSet::new(),
    })
}

/// Whether number and arguments come from glibc's `struct xid_command { int syscall_no; long id[3]; ... }`, by which one
/// thread makes the others call `setuid` and the like too. Each function that fills one in makes the same call itself as
/// long as there is one thread. So these sites add nothing.
fn is_xid_call(flow: &Flow, ip: u64) -> bool {
    let Some(site) = flow.at(ip) else {
        return false;
    };
    let wanted = [
        (Register::RDI, 8),
        (Register::RSI, 16),
        (Register::RDX, 24),
        (Register::RAX, 0),
    ];
    let before = flow.insns.get(site.saturating_sub(12)..site).unwrap_or(&[]);
    wanted
        .iter()
        .all(|&(register, offset)| before.iter().any(|insn| loads(insn, register, offset)))
}

fn loads(insn: &Instruction, register: Register, offset: u64) -> bool {
    matches!(insn.mnemonic(), Mnemonic::Mov | Mnemonic::Movsxd)
        && insn.op0_kind() == OpKind::Register
        && insn.op0_register().full_register() == register
        && insn.op1_kind() == OpKind::Memory
        && !matches!(
            insn.memory_base(),
            Register::RSP | Register::RIP | Register::None
        )
        && insn.memory_displacement64() == offset
}
